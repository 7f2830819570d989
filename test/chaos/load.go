package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// The shape of the load. Each sender posts one request at a time.
const (
	senders = 4
	every   = 30 * time.Millisecond // a sender's pace while it is answered
	reports = 10                    // of a request, each of another device
)

// load posts reports to gateways and keeps the receipts.
type load struct {
	gateways []string // URLs
	name     string   // begins the names of its clients
	seed     uint64
	receipts *receipts
	blind    bool // never asks for positions
}

// run posts until ctx ends and the requests under way are answered or given up.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	for n := range senders {
		s := &sender{load: l, client: fmt.Sprintf("%s-%d", l.name, n), rng: rand.New(rand.NewPCG(l.seed, uint64(n)))}
		s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		all.Go(func() { s.run(ctx) })
	}
	all.Wait()
}

// sender is one client with some devices.
type sender struct {
	load   *load
	client string
	rng    *rand.Rand
	http   *http.Client
	posted int
}

func (s *sender) run(ctx context.Context) {
	defer s.http.CloseIdleConnections()
	paced(ctx, every, func() {
		s.post()
		s.posted++
	})
}

// paced does something again and again, at most so often, until ctx ends.
func paced(ctx context.Context, every time.Duration, do func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// patience is how long a sender waits for an answer. Some are impatient, and leave in the middle.
func (s *sender) patience() time.Duration {
	if s.rng.IntN(10) == 0 {
		return time.Duration(5+s.rng.IntN(200)) * time.Millisecond
	}
	return 15 * time.Second // more than the gateway takes to say that it does not know
}

// post sends the reports of one request, again when there was no good answer, as a careful sender does. Now and then one sends
// them again although it was answered.
func (s *sender) post() {
	ids, body := s.body()
	for range 1 + s.rng.IntN(3) {
		if s.send(ids, body) && s.rng.IntN(20) > 0 {
			return
		}
	}
}

// send sends a request to any of the gateways and tells whether it was accepted. Half of them ask for positions.
func (s *sender) send(ids []string, body []byte) bool {
	positions := s.rng.IntN(2) == 0 && !s.load.blind
	ctx, cancel := context.WithTimeout(context.Background(), s.patience()) // the answer counts even when the round is over
	defer cancel()
	address := s.load.gateways[s.rng.IntN(len(s.load.gateways))] + "/v1/telemetry"
	if positions {
		address += "?positions"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := s.http.Do(req)
	if err != nil {
		return false // nothing was promised
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusMultiStatus {
		return false
	}
	s.keep(ids, text, positions)
	return true
}

// body makes the reports of a request. Their numbers are quarters, whose sums are exact in any order, so that rollups can be
// compared to the bit. Some lie in another month, so that a block has several parts.
func (s *sender) body() (ids []string, body []byte) {
	now := time.Now()
	for device := range reports {
		id := fmt.Sprintf("%s/%d/%d", s.client, s.posted, device)
		at := now
		if device%5 == 4 && s.posted%8 == 7 {
			at = now.AddDate(0, 0, -31)
		}
		body = fmt.Appendf(body, `{"client":%q,"device":"d%d","event_id":%q,"time":%q,"readings":{"level":%d.25,"count":%d,"on":%v,"state":"s%d"}}`+"\n",
			s.client, device, id, at.Format(time.RFC3339Nano), s.posted, s.posted*device, s.posted%2 == 0, s.posted%5)
		ids = append(ids, id)
	}
	return ids, body
}

// keep notes what an answer promises.
func (s *sender) keep(ids []string, text []byte, positions bool) {
	var answer struct {
		Accepted int
		Errors   []struct{ Index int }
		Items    []struct {
			EventID   string `json:"event_id"`
			Index     int
			Topic     eventlog.Topic
			Partition eventlog.Partition
			Offset    eventlog.Offset
		}
	}
	if json.Unmarshal(text, &answer) != nil {
		return
	}
	refused := map[int]bool{}
	for _, e := range answer.Errors {
		refused[e.Index] = true
	}
	key := func(device int) string { return fmt.Sprintf("%s/d%d", s.client, device) }
	s.load.receipts.mu.Lock()
	defer s.load.receipts.mu.Unlock()
	if !positions {
		for i, id := range ids {
			if !refused[i] {
				s.load.receipts.add(receipt{id: id, key: key(i), number: s.posted})
			}
		}
		return
	}
	for _, item := range answer.Items {
		position := eventlog.Position{Topic: item.Topic, Partition: item.Partition, Offset: item.Offset}
		s.load.receipts.add(receipt{id: item.EventID, key: key(item.Index), number: s.posted, at: &position})
	}
}

// receipt is the gateway's word that the log has a report.
type receipt struct {
	id     string
	key    string // of the device
	number int    // of the request, rising for a device
	at     *eventlog.Position
}

// receipts are those that were not checked yet.
type receipts struct {
	mu    sync.Mutex
	all   map[string]receipt // by event id
	total int
}

func newReceipts() *receipts { return &receipts{all: map[string]receipt{}} }

func (r *receipts) add(one receipt) {
	r.all[one.id] = one
	r.total++
}

// count returns how many receipts there were, checked ones included.
func (r *receipts) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// take returns the receipts that are to be checked, and forgets them.
func (r *receipts) take() map[string]receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.all
	r.all = map[string]receipt{}
	return taken
}
