//go:build browser

package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// call sends the browser a command that answers nothing.
func call[P any](b *browser, command cdp.Command[P, cdp.Empty], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// looks holds that what is on a page can be read in light and in dark, by who sees the charts and by who does not.
func (b *browser) looks() {
	b.t.Helper()
	// Lightness of a colour, from 0 to 1, and the contrast between two, as WCAG has them.
	const script = `(() => {
		const part = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
		const light = (text) => { const [r, g, b] = text.match(/[\d.]+/g).map(Number); return .2126 * part(r) + .7152 * part(g) + .0722 * part(b); };
		const style = getComputedStyle(document.body), pill = getComputedStyle(document.querySelector('.pill'));
		const contrast = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		return [light(style.backgroundColor), contrast(light(style.color), light(style.backgroundColor)), contrast(light(pill.color), light(pill.backgroundColor))];
	})()`
	for _, scheme := range []string{"light", "dark"} {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		b.open("/orders")
		b.until(`document.querySelectorAll('.chart .uplot').length === 2`)
		got := run(b, chromedp.Evaluate[[]float64](script))
		if dark := got[0] < 0.2; dark != (scheme == "dark") || got[1] < 7 || got[2] < 4.5 {
			b.t.Errorf("%s: the page is %.2f light, its text has a contrast of %.1f, that of a status %.1f", scheme, got[0], got[1], got[2])
		}
		b.shot("orders-" + scheme)
	}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
	b.until(`[...document.querySelectorAll('.chart')].every((figure) => figure.querySelector('.uplot').role === 'img' && figure.querySelectorAll('.numbers tbody tr').length > 0)`)
	b.press(".chart .numbers summary")
	b.until(`document.querySelector('.chart .numbers thead').textContent.includes('Product-B') && document.querySelector('.chart .numbers table').checkVisibility()`)
	if over := b.wide(); over > 0 {
		b.t.Errorf("with a chart as a table the page is %d pixels wider than the window", over)
	}
}

// TestPortalWithoutScript orders a module, sees it become ready and cancels it, in a browser that runs no script.
func TestPortalWithoutScript(t *testing.T) {
	s := up(t, t.TempDir(), "--site-pace", "100ms")
	b := look(t, s.Portal, 360, 740, true)
	b.keepShots("plain")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	id := b.order("cliente02", "plain")
	if run(b, chromedp.Evaluate[bool](`typeof htmx !== 'undefined'`)) {
		t.Error("the page's scripts run")
	}
	// loaded loads the client's page again and again until the order has a status.
	loaded := func(status string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; {
			b.open("/clients/cliente02?order=" + id)
			pill := run(b, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector('#card-%s .pill').textContent`, id)))
			if pill == status {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the order is %s, want %s", pill, status)
			}
		}
	}
	loaded("ready")
	b.until(`document.querySelector('#timeline').textContent.includes('Accepted')`)
	b.shot("plain")
	b.do(chromedp.Click(chromedp.CSS("#cancel-"+id+" summary")), chromedp.SendKeys(chromedp.CSS("#cancel-"+id+" input[name=why]"), "no longer needed"))
	b.press("#cancel-" + id + " button")
	b.until(`document.querySelector('.notice') !== null`)
	loaded("deprovisioned")
	for _, page := range []string{"/orders", "/clients", "/events?topic=orders", "/letters", "/operations", "/trace"} {
		b.open(page)
		b.do(chromedp.WaitVisible(chromedp.CSS("h1")))
	}
	b.quiet()
}
