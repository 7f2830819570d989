package main

//	brokers, topics, registry, ClickHouse, clock, gateway -> findings

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/analytics"
)

const maxSkew = 2 * time.Second // between our clock and ClickHouse's

func (e *examination) services(ctx context.Context, f *doctorFlags, cfg eventlog.Config, logger *slog.Logger) {
	e.brokers(ctx, cfg, logger)
	e.registry(ctx, cfg)
	e.clickhouse(ctx, &f.clickhouse)
	e.gateway(ctx, f.gateway)
}

// reach tells whether anything listens. What does not listen on this machine is no fault: "fieldlog up" may start it.
func (e *examination) reach(ctx context.Context, check, flag, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, e.bound)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close() // nothing was sent
		return true
	}
	host, _, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		e.nothing(check, "nothing listens on %s; it is free for \"fieldlog up\"", address)
		return false
	}
	e.wrong(check, "start it, or change "+flag, "%v", err)
	return false
}

func (e *examination) brokers(ctx context.Context, cfg eventlog.Config, logger *slog.Logger) {
	for _, address := range cfg.Brokers {
		if !e.reach(ctx, "brokers", "--brokers", address) {
			return
		}
	}
	log, err := eventlog.New(cfg, logger, prometheus.NewRegistry())
	if err != nil {
		e.wrong("brokers", "change --brokers or --registry", "%v", err)
		return
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(ctx, e.bound)
	defer cancel()
	topics, err := log.Topics(ctx)
	if err != nil {
		e.wrong("brokers", "end what else listens there, or change --brokers", "%s: %v", strings.Join(cfg.Brokers, ","), err)
		return
	}
	e.well("brokers", "%s answer", strings.Join(cfg.Brokers, ","))
	for _, topic := range topics {
		e.topic(topic, cfg.Partitions)
	}
}

func (e *examination) topic(t eventlog.TopicStatus, asked int32) {
	switch {
	case !t.Exists:
		e.wrong("topic", "start any service: it creates what is missing", "%q is missing", t.FullName)
	case t.Together && t.ActualPartitions != t.Partitions:
		e.wrong("topic", "delete it if it is empty, and it is created anew, or use another --prefix",
			"%q has %d partitions and must have %d, as all topics about orders", t.FullName, t.ActualPartitions, t.Partitions)
	case asked > 0 && t.Name == eventlog.TopicTelemetry && t.ActualPartitions != asked:
		e.wrong("topic", "leave --partitions out: a topic's count is fixed", "%q has %d partitions, %d are asked for", t.FullName, t.ActualPartitions, asked)
	default:
		e.well("topic", "%q has %d partitions, %d declared", t.FullName, t.ActualPartitions, t.Partitions)
	}
}

func (e *examination) registry(ctx context.Context, cfg eventlog.Config) {
	address, err := hostPort(cfg.Registry)
	if err != nil {
		e.wrong("registry", "change --registry", "%v", err)
		return
	}
	if !e.reach(ctx, "registry", "--registry", address) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.bound)
	defer cancel()
	r := newRegistry(cfg)
	if _, err := r.subjects(ctx); err != nil {
		e.wrong("registry", "end what else listens there, or change --registry", "%v", err)
		return
	}
	e.well("registry", "%s answers", cfg.Registry)
	for _, kind := range schemas.Kinds() {
		against, err := incompatible(ctx, r, kind)
		switch {
		case err != nil:
			e.wrong("schema", "look at the registry", "%v", err)
		case len(against) > 0:
			e.wrong("schema", "use the program that wrote it, or another registry", "%s is %s", kind.Subject, strings.Join(against, "; "))
		default:
			e.well("schema", "%s is compatible", kind.Subject)
		}
	}
}

// hostPort returns the address behind a URL.
func hostPort(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is not a URL like http://host:port", address)
	}
	if u.Port() != "" {
		return u.Host, nil
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme]), nil
}

func (e *examination) clickhouse(ctx context.Context, c *clickhouseFlags) {
	address, err := hostPort(c.cfg.URL)
	if err != nil {
		e.wrong("clickhouse", "change --clickhouse", "%v", err)
		return
	}
	if !e.reach(ctx, "clickhouse", "--clickhouse", address) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.bound)
	defer cancel()
	server := *c
	server.cfg.Database = "default" // ours may not be there yet
	version, err := server.value(ctx, "SELECT version()")
	if err != nil {
		e.wrong("clickhouse", "end what else listens there, or change --clickhouse", "%v", err)
		return
	}
	e.well("clickhouse", "%s answers, version %s", c.cfg.URL, version)
	e.tables(ctx, &server, c.cfg.Database)
	e.clock(ctx, &server)
}

func (e *examination) tables(ctx context.Context, c *clickhouseFlags, database string) {
	views := analytics.Views()
	found, err := c.value(ctx, fmt.Sprintf("SELECT count() FROM system.tables WHERE database = %s AND name IN ('%s')",
		clickhouse.Quote(database), strings.Join(views, "','")))
	switch {
	case err != nil:
		e.wrong("tables", "look at ClickHouse", "%v", err)
	case found != strconv.Itoa(len(views)):
		e.wrong("tables", "start fieldlog analytics: it makes them", "%s of %d are in database %q", found, len(views), database)
	default:
		e.well("tables", "all are in database %q", database)
	}
}

func (e *examination) clock(ctx context.Context, c *clickhouseFlags) {
	before := time.Now()
	text, err := c.value(ctx, "SELECT toUnixTimestamp64Micro(now64(6))")
	after := time.Now()
	micros, parsed := strconv.ParseInt(text, 10, 64)
	if err != nil || parsed != nil {
		e.wrong("clock", "look at ClickHouse", "cannot read its clock: %q %v", text, err)
		return
	}
	theirs := time.UnixMicro(micros)
	skew := max(before.Sub(theirs), theirs.Sub(after), 0)
	if skew > maxSkew {
		e.wrong("clock", "run a time service (NTP) on both", "ClickHouse's clock is %s off ours", skew)
		return
	}
	e.well("clock", "ClickHouse's is within %s of ours", max(skew, after.Sub(before)).Round(time.Millisecond))
}

func (e *examination) gateway(ctx context.Context, address string) {
	host, err := hostPort(address)
	if err != nil {
		e.wrong("gateway", "change --url", "%v", err)
		return
	}
	if !e.reach(ctx, "gateway", "--url", host) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.bound)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(address, "/")+"/readyz", nil)
	if err != nil {
		e.wrong("gateway", "change --url", "%v", err)
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.wrong("gateway", "end what else listens there, or change --listen", "%v", err)
		return
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	if res.StatusCode != http.StatusOK {
		e.wrong("gateway", "look at "+address+"/readyz", "%s answers %d on /readyz: not ready, or not Fieldlog", address, res.StatusCode)
		return
	}
	e.well("gateway", "%s is ready", address)
}
