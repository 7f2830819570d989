package main

//	the process's own metrics, read twice a second -> one line, redrawn in place; log lines scroll above it

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/obs"
)

// liveLine is the last line of a terminal. What is written to it appears above it.
type liveLine struct {
	mu      sync.Mutex
	out     io.Writer
	columns int
	text    string
}

// Write prints a log line above the live line. It implements io.Writer.
func (l *liveLine) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := fmt.Fprintf(l.out, "\r\x1b[K%s%s", line, l.text); err != nil {
		return 0, err
	}
	return len(line), nil
}

// show redraws the line.
func (l *liveLine) show(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = fit(text, l.columns-1)
	fmt.Fprintf(l.out, "\r\x1b[K%s", l.text)
}

// end leaves the line on the screen and goes below it.
func (l *liveLine) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text != "" {
		fmt.Fprintln(l.out)
	}
	l.text = ""
}

const (
	redraw   = 500 * time.Millisecond
	lookBack = 10 * time.Second // over which rates and delays are taken
)

// flow shows what flows into a table until ctx ends.
func (l *liveLine) flow(ctx context.Context, reg prometheus.Gatherer, table string, lag func() int64) error {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	var past []moment
	for {
		s, err := obs.Take(reg)
		if err != nil {
			return err
		}
		now := momentOf(time.Now(), s, table)
		past = append(past, now)
		for now.at.Sub(past[0].at) > lookBack {
			past = past[1:]
		}
		l.show(now.since(past[0], lag()))
		select {
		case <-ctx.Done():
			l.end()
			return nil
		case <-tick.C:
		}
	}
}

// moment is what the metrics said at one time.
type moment struct {
	at                        time.Time
	received, stored, refused float64
	delay                     obs.Histogram
}

// momentOf reads what the line shows.
func momentOf(at time.Time, s obs.Snapshot, table string) moment {
	return moment{
		at:       at,
		received: s.Sum("fieldlog_gateway_readings_accepted_total"),
		stored:   s.Sum("fieldlog_analytics_rows_total", "table", table),
		refused:  s.Sum("fieldlog_gateway_reports_refused_total"),
		delay:    s.Histogram("fieldlog_analytics_delay_seconds"),
	}
}

// since says what happened after an earlier moment.
func (m moment) since(earlier moment, lag int64) string {
	seconds := m.at.Sub(earlier.at).Seconds()
	rate := func(now, before float64) string {
		if seconds == 0 {
			return "–"
		}
		return thousands((now - before) / seconds)
	}
	delay := m.delay.Since(earlier.delay)
	return fmt.Sprintf("readings in %s/s · stored %s/s · lag %s records · delay p50 %s p99 %s · %s stored, %s reports refused · Ctrl-C ends",
		rate(m.received, earlier.received), rate(m.stored, earlier.stored), thousands(float64(lag)),
		duration(delay.Quantile(0.5)), duration(delay.Quantile(0.99)), thousands(m.stored), thousands(m.refused))
}

// duration says seconds; "–" when there are none.
func duration(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return "–"
	case seconds < 1:
		return strconv.Itoa(int(seconds*1000)) + " ms"
	}
	return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
}

// thousands says a number with commas.
func thousands(v float64) string {
	digits := strconv.FormatInt(int64(math.Round(v)), 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
