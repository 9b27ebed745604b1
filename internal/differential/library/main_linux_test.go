package library

import (
	"testing"

	"github.com/goproactor/goproactor/internal/queuetest"
)

func TestMain(m *testing.M) { queuetest.Main(m) }
