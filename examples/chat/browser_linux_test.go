package main

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestBrowser loads the page in Chromium, and talks from there to somebody on a line.
func TestBrowser(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed (Debian: chromium)")
	}
	onEach(t, func(t *testing.T, s chatServer) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
			chromedp.NoSandbox, chromedp.WSURLReadTimeout(patience), chromedp.UserDataDir(t.TempDir()))
		ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
		defer cancel()
		ctx, cancel = chromedp.NewContext(ctx)
		defer cancel()

		anna := joins(t, call(t, "tcp", s.Addr), "anna", "attic")
		say := func(line string) chromedp.Action[chromedp.Void] {
			return chromedp.SendKeys(chromedp.ID("text"), line+"\n")
		}
		shows := func(line string) chromedp.Action[chromedp.Void] {
			return chromedp.WaitVisible(chromedp.Search(`//div[@id="log"]/div[text()="` + line + `"]`))
		}
		require.NoError(t, chromedp.Do(ctx,
			chromedp.Navigate("http://"+s.web+"/"),
			chromedp.WaitVisible(chromedp.Search(`//div[@id="log"]/div[contains(text(), "you are guest")]`)),
			say("/nick Zoë"), shows("* you are Zoë"),
			say("/join attic"), shows("* Zoë joined attic"),
			say("hello <b>from</b> a browser"), shows("<Zoë> hello <b>from</b> a browser")))
		waits(t, anna, "<Zoë> hello <b>from</b> a browser")
		anna.say(t, "hello <i>from</i> a line")
		require.NoError(t, chromedp.Do(ctx, shows("<anna> hello <i>from</i> a line")))
		require.NoError(t, chromedp.Cancel(ctx), "closes the browser")
		waits(t, anna, "* Zoë left attic")
	})
}
