package program

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/goproactor/goproactor/bench/contestant"
	"github.com/goproactor/goproactor/bench/load"
	"github.com/goproactor/goproactor/bench/workload"
)

var _ = workload.Register(workload.Workload{
	Name:    "files",
	About:   "static files over HTTP/1.1, from the page cache",
	Unit:    "requests",
	Section: workload.Programs,
	Cells:   []workload.Cell{filesCell(3, 64, 1, 0), filesCell(64<<10, 16, 1, 0), filesCell(16<<20, 4, 1, 0)},
	Custom:  filesCell,
	Contestants: slices.Concat(netHTTP(serveFiles).contestants(), fastHTTP(serveFilesFast).contestants(),
		example("httpd", "fasthttp in coroutines, files by SendFile", func(o contestant.Options) []string {
			return []string{"-addr", o.Addr, "-engine", "fasthttp", "-loops", strconv.Itoa(o.Loops), "-root", o.Dir}
		})),
	Baseline: "nethttp-net",
	Prepare:  makeFiles,
	Drive: workload.Requests{
		Request: func(job load.Job) []byte { return httpRequest("/files/" + strconv.Itoa(job.Size)) },
		Probe: workload.ProbeHTTP(func(job load.Job, body []byte) error {
			if !bytes.Equal(body, fileContent(job.Size)) {
				return fmt.Errorf("the body is not the file of %d bytes", job.Size)
			}
			return nil
		}),
	}.Drive,
})

// fileSizes are those that there are files of.
var fileSizes = []int{3, 64 << 10, 16 << 20}

// filesCell takes the smallest file that has the size.
func filesCell(size, conns, window, _ int) workload.Cell {
	i, _ := slices.BinarySearch(fileSizes, size)
	return workload.Cell{Workload: "files", Size: fileSizes[min(i, len(fileSizes)-1)], Conns: or(conns, 16), Window: or(window, 1)}
}

func makeFiles(dir string) error {
	for _, size := range fileSizes {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(size)), fileContent(size), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func fileContent(size int) []byte {
	p := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(p)
	return p
}

func serveFiles(o contestant.Options) http.Handler {
	return http.StripPrefix("/files", http.FileServer(http.Dir(o.Dir)))
}

func serveFilesFast(o contestant.Options) fasthttp.RequestHandler {
	fs := &fasthttp.FS{Root: o.Dir, PathRewrite: fasthttp.NewPathSlashesStripper(1)}
	return fs.NewRequestHandler()
}
