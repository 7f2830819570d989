//go:build browser

package test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium that looks at a portal, and remembers what its console complains of.
type browser struct {
	t     *testing.T
	ctx   context.Context
	base  string
	shots string

	mu     sync.Mutex
	errors []string
}

// look opens a window of a size.
func look(t *testing.T, base string, width, height int64, phone bool) *browser {
	t.Helper()
	program := os.Getenv("FIELDLOG_TEST_CHROMIUM")
	if program == "" {
		var err error
		if program, err = exec.LookPath("chromium"); err != nil {
			t.Fatalf("there is no chromium: %v; run make test-browser, or set FIELDLOG_TEST_CHROMIUM", err)
		}
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.WindowSize(int(width), int(height)))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base, shots: os.Getenv("FIELDLOG_TEST_SCREENSHOTS")}
	if b.shots == "" {
		b.shots = t.TempDir()
	}
	if err := chromedp.Listen(ctx, b.heard); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	screen := emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone}
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, screen); err != nil {
		t.Fatal(err)
	}
	return b
}

// heard notes errors of scripts, refusals of the content security policy, and resources that were not loaded.
func (b *browser) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, fmt.Sprintf("%s at %s:%d", e.ExceptionDetails.Text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber))
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.errors = append(b.errors, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			b.errors = append(b.errors, fmt.Sprintf("console.error %v", e.Args))
		}
	}
}

// quiet holds that the console complained of nothing.
func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.errors) > 0 {
		b.t.Errorf("the console says:\n%s", strings.Join(b.errors, "\n"))
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\nthe console says: %s", err, b.errors)
	}
}

// press clicks what a selector finds, in the page itself: a list that catches up may replace it between being found and being hit.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector(%q) !== null`, selector))
	run(b, chromedp.Evaluate[bool](fmt.Sprintf(`document.querySelector(%q).click() === undefined`, selector)))
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// run runs an action that answers.
func run[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatalf("%v\nthe console says: %s", err, b.errors)
	}
	return answer
}

// until asks the page again and again until a script's answer is true. Nothing that waits in the page itself would outlive a
// navigation.
func (b *browser) until(script string) {
	b.t.Helper()
	tick, timeout := time.NewTicker(50*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
		if is {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			text, _ := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("main"))) // what there is of it helps
			b.t.Fatalf("%s did not come true: %v; the console says %s; the page says:\n%s", script, err, b.errors, text)
		}
	}
}

// keepShots puts pictures into a folder of their own, where they are wanted at all.
func (b *browser) keepShots(folder string) {
	b.t.Helper()
	b.shots = filepath.Join(b.shots, folder)
	if err := os.MkdirAll(b.shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) shot(name string) {
	b.t.Helper()
	image := run(b, chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(b.shots, name+".png"), image, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// order fills the form and sends it. It returns the order's id, and marks the page, so that a reload would show.
func (b *browser) order(client, namespace string) string {
	b.t.Helper()
	b.open("/orders/new")
	b.do(chromedp.Click(chromedp.CSS(`input[value="Product-B"]`)), chromedp.SendKeys(chromedp.CSS("#client"), client), chromedp.SendKeys(chromedp.CSS("#namespace"), namespace))
	b.shot("form")
	b.press("form.form button[type=submit]")
	b.until(`document.querySelector('.notice') !== null`)
	run(b, chromedp.Evaluate[bool](`window.marked = true`))
	at := run(b, chromedp.Location())
	parsed, err := url.Parse(at)
	if err != nil || parsed.Query().Get("order") == "" {
		b.t.Fatalf("got %q after ordering", at)
	}
	return parsed.Query().Get("order")
}

// becomes waits until an order has one of the statuses, on a page that was not loaded again since.
func (b *browser) becomes(id string, statuses ...string) string {
	b.t.Helper()
	pill := fmt.Sprintf(`document.getElementById('order-%s').closest('article').querySelector('.pill').textContent`, id)
	b.until(fmt.Sprintf(`%q.split(' ').includes(%s)`, strings.Join(statuses, " "), pill))
	status := run(b, chromedp.Evaluate[string](pill))
	if !run(b, chromedp.Evaluate[bool](`window.marked === true`)) {
		b.t.Error("the page was loaded again to show a new status")
	}
	return status
}

// wide tells by how much the page is wider than the window.
func (b *browser) wide() int {
	b.t.Helper()
	return run(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
}

// TestPortal orders modules until one is ready and one was given up, retries that one, and reads its timeline; on a desktop and on
// a phone. Half of all orders fail, for a while or until they are given up.
func TestPortal(t *testing.T) {
	s := up(t, t.TempDir(), "--fleet", "8", "--fleet-every", "5s", "--fleet-history", "3h", "--site-fail-one-in", "2", "--site-pace", "100ms", "--provision-attempts", "2", "--provision-first-wait", "200ms")
	for _, size := range []struct {
		name          string
		width, height int64
		phone         bool
	}{{"desktop", 1280, 800, false}, {"phone", 360, 740, true}} {
		t.Run(size.name, func(t *testing.T) {
			b := look(t, s.Portal, size.width, size.height, size.phone)
			b.keepShots(size.name)
			b.story(size.name)
			for _, page := range []string{"/orders", "/orders/new", "/clients", "/clients/cliente02", "/events?topic=provisioning", "/letters", "/operations", "/trace"} {
				b.open(page)
				b.do(chromedp.WaitVisible(chromedp.CSS("h1")))
				if over := b.wide(); over > 0 {
					t.Errorf("%s is %d pixels wider than the window", page, over)
				}
				if page == "/orders" || page == "/operations" || page == "/clients/cliente02" {
					b.until(`document.querySelectorAll('.chart .uplot, .chart .none').length === document.querySelectorAll('.chart').length`)
				}
				if page == "/clients/cliente02" { // a metric is chosen, and then shown: the keys that choose lead nowhere
					b.until(`document.querySelector('form.filter button').checkVisibility()`)
				}
				if page == "/orders" {
					b.until(`document.querySelectorAll('.chart .uplot').length === 2`)
				}
				b.shot(strings.NewReplacer("/", "", "?", "-", "=", "-").Replace(page))
			}
			b.looks()
			b.open("/operations")
			b.until(`document.querySelectorAll('#busy td[data-label="Group"]').length === 5 && !document.querySelector('#busy').textContent.includes('nothing read yet')`)
			b.follow()
			b.quiet()
		})
	}
}

// story is an order's, from the form to ready, and another's, which fails and is tried again.
func (b *browser) story(prefix string) {
	b.t.Helper()
	ready, gone := "", ""
	for i := 0; (ready == "" || gone == "") && i < 24; i++ {
		id := b.order("cliente02", fmt.Sprintf("%s-%d", prefix, i))
		switch b.becomes(id, "ready", "abandoned") {
		case "ready":
			ready = id
		case "abandoned":
			gone = id
		}
	}
	if ready == "" || gone == "" {
		b.t.Fatalf("got a ready order %q and an abandoned one %q among 24", ready, gone)
	}
	b.open("/clients/cliente02?order=" + gone)
	b.until(`document.querySelector('#timeline').textContent.includes('Abandoned')`)
	b.until(`document.querySelectorAll('.chart .uplot').length === 1`)
	b.shot("abandoned")
	b.press(fmt.Sprintf(`form[action="/orders/%s/retry"] button`, gone))
	b.until(`document.querySelector('.notice') !== null`)
	b.until(`document.querySelector('#timeline').textContent.includes('Operator: retry')`)
	b.until(`document.querySelector('#timeline li:first-child').textContent.match(/Ready|Abandoned/) !== null`)
	b.do(chromedp.ScrollIntoView(chromedp.CSS("#timeline")))
	b.shot("timeline")
	b.press(`#timeline li:first-child a[href^="/trace/"]`)
	b.until(`['Ordered', 'Accepted', 'Provisioning started', 'Operator: retry'].every((words) => document.title.startsWith('Trace') && document.querySelector('.story').textContent.includes(words))`)
	b.shot("story")
}

// follow sees an event come without asking for it.
func (b *browser) follow() {
	b.t.Helper()
	b.open("/events?topic=telemetry&from=end")
	b.do(chromedp.Click(chromedp.CSS("[data-follow]")))
	b.until(`document.querySelectorAll('#followed .line').length > 0`)
}
