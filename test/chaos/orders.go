package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// The shape of the orders. Each buyer asks for one thing at a time.
const (
	buyers     = 3
	orderEvery = 400 * time.Millisecond // each is half a dozen transactions
)

// orderReceipt is the gateway's word that the log has an input.
type orderReceipt struct {
	EventID  string `json:"event_id"`
	Position struct {
		Topic     eventlog.Topic
		Partition eventlog.Partition
		Offset    eventlog.Offset
	}
}

// shopping places, changes and cancels orders at gateways and keeps the receipts.
type shopping struct {
	gateways []string
	name     string // begins the names of its clients: a DNS label
	seed     uint64

	mu       sync.Mutex
	receipts []orderReceipt
}

// run shops until ctx ends and the requests under way are answered or given up.
func (s *shopping) run(ctx context.Context) {
	var all sync.WaitGroup
	for n := range buyers {
		b := &buyer{shopping: s, client: fmt.Sprintf("%s-%d", s.name, n), rng: rand.New(rand.NewPCG(s.seed, uint64(n)))}
		b.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
		all.Go(func() { b.run(ctx) })
	}
	all.Wait()
}

// buyer is one client.
type buyer struct {
	shopping *shopping
	client   string
	rng      *rand.Rand
	http     *http.Client
	asked    int
	placed   []string // orders that the log has
}

func (b *buyer) run(ctx context.Context) {
	defer b.http.CloseIdleConnections()
	paced(ctx, orderEvery, func() {
		b.ask()
		b.asked++
	})
}

// ask places an order, or changes or cancels one that was placed. What is not answered is asked again under the same event id,
// and now and then what was.
func (b *buyer) ask() {
	id := fmt.Sprintf("%s-e%d", b.client, b.asked)
	method, order := http.MethodPost, fmt.Sprintf("%s-o%d", b.client, b.asked)
	if len(b.placed) > 0 && b.rng.IntN(2) == 0 {
		order = b.placed[b.rng.IntN(len(b.placed))]
		method = []string{http.MethodPut, http.MethodDelete}[b.rng.IntN(2)]
	}
	for range 1 + b.rng.IntN(3) {
		if b.send(method, order, id) {
			if method == http.MethodPost {
				b.placed = append(b.placed, order)
			}
			if b.rng.IntN(5) > 0 {
				return
			}
		}
	}
}

// send sends a request to any of the gateways and tells whether it was accepted.
func (b *buyer) send(method, order, id string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second) // the answer counts even when the round is over
	defer cancel()
	address := b.shopping.gateways[b.rng.IntN(len(b.shopping.gateways))] + "/v1/orders"
	body := fmt.Sprintf(`{"client":%q,"event_id":%q,"order_id":%q,"namespace":%q,"environment":"Development","archtype":"SaaS","hardware":"Shared","product":"Product-A","parameters":{"size":"%d"}}`,
		b.client, id, order, order, b.asked)
	if method != http.MethodPost {
		address += "/" + order + "?client=" + b.client
	}
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.http.Do(req)
	if err != nil {
		return false // nothing was promised
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var r orderReceipt
	if err != nil || resp.StatusCode/100 != 2 || json.Unmarshal(text, &r) != nil {
		return false
	}
	b.shopping.mu.Lock()
	defer b.shopping.mu.Unlock()
	b.shopping.receipts = append(b.shopping.receipts, r)
	return true
}
