package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/pause"
)

// path measures the whole way, from a request to a stored row, and then the delay at half that load.
func (b *bench) path(ctx context.Context) error {
	s := shape{reports: 10, readings: 100}
	dir, err := os.MkdirTemp("", "fieldlog-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up, err := b.up(ctx, dir+"/full")
	if err != nil {
		return err
	}
	begin := time.Now()
	readings, err := load(ctx, up.ready["gateway"]+"/v1/telemetry", s, b.load, 0)
	if err == nil {
		err = stored(ctx, up.ready["clickhouse"], readings)
	}
	wall := time.Since(begin)
	spent, stopped := up.stop()
	if err := errors.Join(err, stopped); err != nil {
		return fmt.Errorf("measure the whole path: %w", err)
	}
	floor := b.find("block to ClickHouse", "500000 rows, rollups and reports too, wall")
	b.add("whole path", s.String()+", CPU", float64(spent.Nanoseconds())/float64(readings), floor, "storing a block of 500,000")
	perSecond := float64(readings) / wall.Seconds()
	fmt.Printf("whole path: %.0f readings/s stored, wall, load generator included on the same cores\n", perSecond)
	return b.delay(ctx, dir+"/half", s, perSecond/2)
}

func (b *bench) find(what, shape string) float64 {
	for _, r := range b.rows {
		if r.what == what && r.shape == shape {
			return r.measured
		}
	}
	return 0
}

func (b *bench) up(ctx context.Context, dir string) (*child, error) {
	return start(ctx, b.binary, "up", "--data", dir, "--listen", "127.0.0.1:0", "--portal-listen", "127.0.0.1:0", "--kafka-listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0")
}

// ask returns the first cell of a query's answer.
func ask(ctx context.Context, clickhouse, sql string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, clickhouse+"/?query="+url.QueryEscape(sql), nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("query %q: %s", sql, text)
	}
	return strings.TrimSpace(string(text)), err
}

// stored waits until ClickHouse has exactly that many readings. More would be a reading stored twice.
func stored(ctx context.Context, clickhouse string, want int64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // a machine that stands still for a while is no failure
	defer cancel()
	for {
		text, err := ask(ctx, clickhouse, "SELECT count() FROM fieldlog.readings")
		if err != nil {
			return err
		}
		switch got, err := strconv.ParseInt(text, 10, 64); {
		case err != nil:
			return err
		case got == want:
			return nil
		case got > want:
			return fmt.Errorf("%d readings were acknowledged, %d are stored", want, got)
		}
		pause.For(ctx, 20*time.Millisecond)
	}
}

// delay measures from sending a report until a query finds it, while the system is under a steady load.
func (b *bench) delay(ctx context.Context, dir string, s shape, perSecond float64) error {
	up, err := b.up(ctx, dir)
	if err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := load(ctx, up.ready["gateway"]+"/v1/telemetry", s, b.load+time.Second, perSecond)
		loaded <- err
	}()
	pause.For(ctx, time.Second) // the first second is a start, not a steady state
	delays, err := b.probes(ctx, up)
	err = errors.Join(err, <-loaded)
	_, stopped := up.stop()
	if err := errors.Join(err, stopped); err != nil {
		return fmt.Errorf("measure the delay: %w", err)
	}
	slices.Sort(delays)
	fmt.Printf("delay at %.0f readings/s: p50 %s, p99 %s of %d probes, from sending a report until a query finds it\n",
		perSecond, delays[len(delays)/2].Round(time.Millisecond), delays[len(delays)*99/100].Round(time.Millisecond), len(delays))
	return nil
}

// probes sends a report every 73 ms, out of step with the blocks, and waits until each is found.
func (b *bench) probes(ctx context.Context, up *child) (delays []time.Duration, err error) {
	type found struct {
		delay time.Duration
		err   error
	}
	answers := make(chan found)
	sent := 0
	for begin := time.Now(); time.Since(begin) < b.load-time.Second; sent++ {
		go func(n int) {
			delay, err := probe(ctx, up, n)
			answers <- found{delay, err}
		}(sent)
		pause.For(ctx, 73*time.Millisecond)
	}
	for range sent {
		answer := <-answers
		delays, err = append(delays, answer.delay), errors.Join(err, answer.err)
	}
	return delays, err
}

// probe sends one report and asks until it is found.
func probe(ctx context.Context, up *child, n int) (time.Duration, error) {
	begin := time.Now()
	body := fmt.Sprintf(`{"client":"probe","device":"probe-%d","readings":{"n":%d}}`, n, n)
	if err := post(ctx, http.DefaultClient, up.ready["gateway"]+"/v1/telemetry", []byte(body)); err != nil {
		return 0, err
	}
	sql := fmt.Sprintf("SELECT count() FROM fieldlog.readings WHERE client = 'probe' AND device = 'probe-%d'", n)
	for {
		found, err := ask(ctx, up.ready["clickhouse"], sql)
		if err != nil || found == "1" {
			return time.Since(begin), err
		}
		if time.Since(begin) > 30*time.Second {
			return 0, fmt.Errorf("report %d was not found within 30 s", n)
		}
		pause.For(ctx, 20*time.Millisecond)
	}
}
