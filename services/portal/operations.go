package portal

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// operationsPage shows how the whole does.
type operationsPage struct {
	Lags   []lag
	Topics []flow
	Busy   []order // provisioning is under way
	Failed []order // failing or abandoned
	Cut    bool
}

// lag is how far a group is behind.
type lag struct {
	Reader
	Behind int64
	// Unread tells that the group has never committed anything.
	Unread bool
}

// flow is what goes through a topic.
type flow struct {
	Topic      string
	Partitions int32
	Held       int64
	Rate       float64 // records a second, over the last minute
	Doc        string
}

func (p *Portal) operations(v *visit) error {
	ctx, cancel := v.within(20 * time.Second)
	defer cancel()
	topics, err := p.sources.Log.Topics(ctx)
	if err != nil {
		return &unreachable{err}
	}
	var data operationsPage
	rates := p.pace.rates(time.Minute)
	for _, t := range topics {
		f := flow{Topic: string(t.Name), Partitions: t.ActualPartitions, Rate: rates[t.Name], Doc: t.Doc}
		for _, r := range t.Ranges {
			f.Held += int64(r.Next - r.First)
		}
		data.Topics = append(data.Topics, f)
	}
	if data.Lags, err = p.lags(ctx, topics); err != nil {
		return &unreachable{err}
	}
	for _, status := range []schemas.OrderStatus{
		schemas.OrderStatusFailing, schemas.OrderStatusAbandoned, schemas.OrderStatusAccepted, schemas.OrderStatusProvisioning, schemas.OrderStatusCancelled,
	} {
		page, err := p.api.orders(ctx, url.Values{"status": {string(status)}, "limit": {"100"}, "sort": {"newest"}})
		if err != nil {
			return err
		}
		data.Cut = data.Cut || page.Next != ""
		if status == schemas.OrderStatusFailing || status == schemas.OrderStatusAbandoned {
			data.Failed = append(data.Failed, page.Orders...)
		} else {
			data.Busy = append(data.Busy, page.Orders...)
		}
	}
	return v.showLive("operations", "Operations", "/live", data)
}

// lags counts what each group has not done yet of each topic it reads.
func (p *Portal) lags(ctx context.Context, topics []eventlog.TopicStatus) ([]lag, error) {
	var all []lag
	for _, reader := range p.sources.Readers {
		progress, err := p.sources.Log.Progress(ctx, reader.Group, reader.Topic)
		if err != nil {
			return nil, err
		}
		one := lag{Reader: reader, Unread: len(progress) == 0}
		i := slices.IndexFunc(topics, func(t eventlog.TopicStatus) bool { return t.Name == reader.Topic })
		if i < 0 {
			continue
		}
		for partition, r := range topics[i].Ranges {
			done := max(progress[partition].Next, r.First)
			one.Behind += int64(max(r.Next-done, 0))
		}
		all = append(all, one)
	}
	return all, nil
}

// pace remembers how far the topics were, to tell how fast they flow.
type pace struct {
	mu      sync.Mutex
	samples []sample // oldest first
}

type sample struct {
	at   time.Time
	ends map[eventlog.Topic]int64
}

const (
	paceEvery = 5 * time.Second
	paceKept  = 240 // 20 minutes
)

// measure looks at the topics again and again until ctx ends.
func (p *Portal) measure(ctx context.Context) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		topics, err := p.sources.Log.Topics(ctx)
		if err != nil && ctx.Err() == nil {
			p.logger.Debug("cannot look at the topics", "error", err)
		}
		if err == nil {
			p.pace.note(time.Now(), topics)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *pace) note(at time.Time, topics []eventlog.TopicStatus) {
	s := sample{at: at, ends: map[eventlog.Topic]int64{}}
	for _, t := range topics {
		for _, r := range t.Ranges {
			s.ends[t.Name] += int64(r.Next)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, s)
	if len(p.samples) > paceKept {
		p.samples = slices.Clone(p.samples[len(p.samples)-paceKept:])
	}
}

// rates returns records a second of each topic, over the last while.
func (p *pace) rates(while time.Duration) map[eventlog.Topic]float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	rates := map[eventlog.Topic]float64{}
	if len(p.samples) < 2 {
		return rates
	}
	last := p.samples[len(p.samples)-1]
	i := slices.IndexFunc(p.samples, func(s sample) bool { return last.at.Sub(s.at) <= while })
	first := p.samples[min(i, len(p.samples)-2)]
	for topic, end := range last.ends {
		rates[topic] = between(first, last, topic, end)
	}
	return rates
}

// between is the rate between two samples; a topic that was created anew has none.
func between(first, last sample, topic eventlog.Topic, end int64) float64 {
	return max(float64(end-first.ends[topic])/last.at.Sub(first.at).Seconds(), 0)
}

// throughputChart answers how fast the topics that flow at all did in the last minutes.
func (p *Portal) throughputChart(v *visit) error {
	p.pace.mu.Lock()
	samples := slices.Clone(p.pace.samples)
	p.pace.mu.Unlock()
	table := newColumns()
	for i := 1; i < len(samples); i++ {
		for topic, end := range samples[i].ends {
			if end > samples[0].ends[topic] || samples[len(samples)-1].ends[topic] > samples[0].ends[topic] {
				table.add(float64(samples[i].at.Unix()), string(topic), between(samples[i-1], samples[i], topic, end))
			}
		}
	}
	return v.json(table.chart("line"))
}
