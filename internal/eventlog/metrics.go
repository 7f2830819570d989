package eventlog

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/plugin/kprom"
)

// metrics are the package's metrics. Labels are topics, groups, causes and outcomes: nothing grows with the data.
type metrics struct {
	kafka          *kprom.Metrics
	appended       *prometheus.CounterVec
	appendedBytes  *prometheus.CounterVec
	refused        *prometheus.CounterVec
	commits        *prometheus.CounterVec
	blocks         *prometheus.CounterVec
	blocksRepeated *prometheus.CounterVec
	storeRetries   *prometheus.CounterVec
	processed      *prometheus.CounterVec
	transactions   *prometheus.CounterVec
	lag            *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "fieldlog", Subsystem: "log", Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		kafka:          kprom.NewMetrics("fieldlog_kafka", kprom.Registerer(reg)),
		appended:       counter("appended_events_total", "Events that every in-sync replica has.", "topic"),
		appendedBytes:  counter("appended_bytes_total", "Bytes of those events' values.", "topic"),
		refused:        counter("refused_events_total", "Events that were not confirmed, by cause.", "topic", "cause"),
		commits:        counter("commits_total", "Offset commits, by outcome.", "topic", "outcome"),
		blocks:         counter("blocks_total", "Blocks stored.", "topic"),
		blocksRepeated: counter("blocks_repeated_total", "Blocks announced by an earlier owner and stored again.", "topic"),
		storeRetries:   counter("store_retries_total", "Failed attempts to fold or store, each retried.", "topic"),
		processed:      counter("processed_records_total", "Inputs whose consequences are committed.", "group"),
		transactions:   counter("transactions_total", "Transactions of processes, by outcome.", "group", "outcome"),
		lag:            prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "log", Name: "lag_records", Help: "Records not yet stored, over the partitions this process owns."}, []string{"topic", "group"}),
	}
	reg.MustRegister(m.lag)
	return m
}
