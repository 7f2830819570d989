package portal

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldlog/fieldlog/schemas"
)

//go:embed templates/*.html
var templates embed.FS

// static holds our own style, script and icon, and in static/vendor what `make build` brings.
//
//go:embed static
var static embed.FS

// assets are the files that pages load, by name, each with a digest in its address so that browsers keep it.
type assets struct{ files map[string]asset }

type asset struct {
	text    []byte
	kind    string
	version string
}

// vendored are the files that `make build` brings.
var vendored = []string{"vendor/htmx.min.js", "vendor/sse.min.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css"}

func findAssets() (*assets, error) {
	a := &assets{files: map[string]asset{}}
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := static.ReadFile(name)
		sum := sha256.Sum256(text)
		a.files[strings.TrimPrefix(name, "static/")] = asset{text, mime.TypeByExtension(path.Ext(name)), hex.EncodeToString(sum[:6])}
		return err
	})
	return a, err
}

// missing names the first file that the program was built without; empty if it has all.
func (a *assets) missing() string {
	for _, name := range vendored {
		if _, there := a.files[name]; !there {
			return name
		}
	}
	return ""
}

func (a *assets) url(name string) string { return "/static/" + name + "?v=" + a.files[name].version }

// static answers a file.
func (p *Portal) static(v *visit) error {
	file, there := p.assets.files[v.r.PathValue("file")]
	if !there {
		return fail(http.StatusNotFound, "There is no such file.")
	}
	v.w.Header().Set("Content-Type", file.kind)
	if v.r.URL.Query().Get("v") == file.version {
		v.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, err := v.w.Write(file.text)
	return unheard(err)
}

// unheard is for answers that have begun: a browser that went away cannot be told.
func unheard(error) error { return nil }

// parsePages reads the templates: one a page, each with the layout around it.
func parsePages(a *assets) (map[string]*template.Template, error) {
	layout, err := template.New("layout.html").Funcs(functions(a)).ParseFS(templates, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	pages := map[string]*template.Template{}
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		one, err := layout.Clone()
		if err == nil {
			one, err = one.ParseFS(templates, file)
		}
		if err != nil {
			return nil, fmt.Errorf("parse page: %w", err)
		}
		pages[strings.TrimSuffix(path.Base(file), ".html")] = one
	}
	return pages, nil
}

func functions(a *assets) template.FuncMap {
	return template.FuncMap{
		"asset":  a.url,
		"charts": func() bool { return a.missing() == "" },
		"when":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"clock":  func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"pretty": pretty,
		"shown":  shown,
		"short":  func(text string) string { return cut(text, 10) },
		"count":  count,
		"since":  func(t time.Time) string { return span(time.Since(t)) },
		"done":   func(o schemas.OrderStatus) bool { return o == schemas.OrderStatusDeprovisioned },
		"record": func(topic string, partition int32, offset int64) string {
			return "/events?" + url.Values{"topic": {topic}, "partition": {fmt.Sprint(partition)}, "from": {fmt.Sprint(offset)}, "limit": {"1"}}.Encode()
		},
	}
}

func pretty(event json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, event, "", "  ") != nil {
		return string(event)
	}
	return out.String()
}

// shown returns bytes as text where they are one, else in base64.
func shown(value []byte) string {
	if utf8.Valid(value) && !bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }) {
		return string(value)
	}
	return base64.StdEncoding.EncodeToString(value)
}

func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// count groups digits.
func count(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + " " + digits[i:]
	}
	return digits
}

// span says how long ago something was.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

// view is what the layout is made of.
type view struct {
	Title, Page string
	User        User
	Login, Act  bool
	// Here is the address of this page without what it says of the last click; Live that of its updates, empty without.
	Here, Live string
	Notice     string
	Data       any
}

// notices are what a page says of the click that led to it. The list is closed.
var notices = map[string]string{
	"placed":  "The order is accepted.",
	"pending": "It is in the log, and waits to be decided. Load this page again to see what was decided.",
	"changed": "The order is changed.", "cancelled": "The order is cancelled. What runs of it is removed.",
	"retry": "It is tried again.", "abandon": "It is given up.",
	"redriven": "The record is in its topic again.", "discarded": "The letter is discarded.",
}

// show answers a page.
func (v *visit) show(page, title string, data any) error {
	return v.showAs(http.StatusOK, page, title, data)
}

func (v *visit) showAs(status int, page, title string, data any) error {
	return v.write(status, page, title, "", data)
}

// showLive answers a page that follows what happens.
func (v *visit) showLive(page, title, live string, data any) error {
	return v.write(http.StatusOK, page, title, live, data)
}

func (v *visit) write(status int, page, title, live string, data any) error {
	here := *v.r.URL
	query := here.Query()
	said := notices[query.Get("done")]
	query.Del("done")
	here.RawQuery = query.Encode()
	made := &view{
		Title: title, Page: page, User: v.user, Login: v.portal.users != nil, Act: v.user.Role == RoleOperator,
		Here: here.RequestURI(), Live: live, Notice: said, Data: data,
	}
	var out bytes.Buffer
	if err := v.portal.pages[page].ExecuteTemplate(&out, "layout.html", made); err != nil {
		return fmt.Errorf("make page %q: %w", page, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, err := out.WriteTo(v.w)
	return unheard(err)
}

// json answers data for a chart.
func (v *visit) json(data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	_, err = v.w.Write(text)
	return unheard(err)
}

type problemPage struct {
	Status         int
	Detail, Advice string
}

// problem answers an error as a page. What a person cannot do anything about is logged.
func (v *visit) problem(err error) {
	page := problemPage{Status: http.StatusInternalServerError, Detail: "Something is wrong with the portal."}
	var known *failure
	var no *refused
	var silent *unreachable
	switch {
	case errors.As(err, &known):
		page.Status, page.Detail = known.status, known.detail
	case errors.As(err, &no):
		page.Status, page.Detail = no.Status, no.Detail
	case errors.As(err, &silent):
		page.Status, page.Detail, page.Advice = http.StatusBadGateway, silent.Error(), "Try again in a moment. Nothing that was accepted before is lost."
	default:
		v.portal.logger.Error("page failed", "page", v.page, "error", err, "trace_id", v.trace)
	}
	if page.Status == http.StatusUnauthorized && v.portal.users == nil {
		page.Status = http.StatusBadGateway // it is the portal whose token the gateway refuses
	}
	if err := v.showAs(page.Status, "problem", http.StatusText(page.Status), page); err != nil {
		v.portal.logger.Error("page failed", "page", "problem", "error", err)
	}
}
