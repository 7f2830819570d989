package clients

import (
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/schemas"
)

// TestAProductOfAnotherBackendIsAnotherOrder: what runs would be left behind where it is.
func TestAProductOfAnotherBackendIsAnotherOrder(t *testing.T) {
	s := fold(schemas.ClientState{}, positioned{0, place("p1", "o1", "n1")})
	input := change("c1", "o1", "n1", 1)
	input.Product = "Product-W"
	facts, err := Decide(s, input, 2, products)
	if err != nil || len(facts) != 1 {
		t.Fatalf("got %v, %v", facts, err)
	}
	if r, is := facts[0].(*schemas.OrderRejected); !is || r.Reason != schemas.RejectedInvalid || !strings.Contains(r.Detail, "elsewhere") {
		t.Errorf("got %+v", facts[0])
	}
}
