package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// oneOrder is a Book of one order, or of none.
type oneOrder struct {
	shelf
	state *schemas.OrderState
}

func (o *oneOrder) Order(string, string) (string, *schemas.OrderState, error) {
	return "cliente02", o.state, nil
}

func TestOperatorsIntervene(t *testing.T) {
	book := &oneOrder{}
	cfg := selling
	cfg.Book = book
	f := start(t, cfg)
	try := func(path string, status schemas.OrderStatus, want int, header ...string) {
		t.Helper()
		book.state = nil
		if status != "" {
			book.state = &schemas.OrderState{OrderID: "o-17", Version: 3, Status: status, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"}
		}
		if code, body, _ := f.do(t, "POST", path, `{"requested_by":"ana","reason":"the cluster is back"}`, header...); code != want {
			t.Errorf("%s of an order that is %q: got %d %s, want %d", path, status, code, body, want)
		}
	}
	try("/v1/orders/o-17/retry", "", http.StatusNotFound)
	try("/v1/orders/o-17/retry", schemas.OrderStatusReady, http.StatusConflict)
	try("/v1/orders/o-17/retry", schemas.OrderStatusAbandoned, http.StatusConflict, "If-Match", `"2"`)
	try("/v1/orders/o-17/retry", schemas.OrderStatusAbandoned, http.StatusAccepted, "If-Match", `"3"`)
	try("/v1/orders/o-17/abandon", schemas.OrderStatusAbandoned, http.StatusConflict)
	try("/v1/orders/o-17/abandon", schemas.OrderStatusFailing, http.StatusAccepted)
	try("/v1/orders/o-17/retry", schemas.OrderStatusCancelled, http.StatusAccepted)                    // its removal failed
	try("/v1/orders/o-17/retry", schemas.OrderStatusAbandoned, http.StatusConflict, "If-Match", `"4"`) // nobody has seen it

	var told []*schemas.ProvisioningIntervened
	events := f.log.NewEvents()
	for r, err := range f.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicProvisioning}) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := events.Decode(t.Context(), r)
		if err != nil || string(r.Key) != "cliente02" || !strings.Contains(r.Header("traceparent"), "4bf92f3577b34da6a3ce929d0e0e4736") {
			t.Fatalf("got key %q, traceparent %q, %v", r.Key, r.Header("traceparent"), err)
		}
		told = append(told, event.(*schemas.ProvisioningIntervened))
	}
	if len(told) != 3 || told[2].Version != 3 || told[0].Action != schemas.InterventionRetry || told[1].Action != schemas.InterventionAbandon {
		t.Fatalf("the log has %+v", told)
	}
	if e := told[0]; e.By != "ana" || e.Why != "the cluster is back" || e.Version != 3 || e.OrderID != "o-17" || e.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("got %+v", e)
	}
}
