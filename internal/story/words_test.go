package story

import (
	"slices"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/schemas"
)

func TestDescribe(t *testing.T) {
	f := func(kind, event string, tone Tone, title, detail string) {
		t.Helper()
		if got := Describe(kind, []byte(event)); got.Tone != tone || got.Title != title || got.Detail != detail {
			t.Errorf("%s: got %+v, want %s %q %q", kind, got, tone, title, detail)
		}
	}
	f("order.placed", `{"product":"Product-A","environment":"Stage","hardware":"Shared","namespace":"n","requested_by":"ada"}`, Quiet, "Ordered", "Product-A · Stage · Shared · namespace n · by ada")
	f("order.rejected", `{"detail":"taken"}`, Bad, "Rejected", "taken")
	f("provisioning.progressed", `{"state":"step","step":2,"steps":4,"step_name":"quota"}`, Busy, "Step done: quota", "step 2 of 4")
	f("provisioning.progressed", `{"state":"failed","step_name":"rollout","reason":"failed","attempt":1,"next_try":"2026-01-31T12:00:00Z"}`, Bad, "Failed: rollout", "failed · attempt 2 · next try at 12:00:00 UTC")
	f("provisioning.progressed", `{"state":"failed","step_name":"rollout","next_try":"1970-01-01T00:00:00Z"}`, Bad, "Failed: rollout", "attempt 1")
	f("provisioning.progressed", `{"state":"succeeded","namespace":"n"}`, Good, "Ready", "namespace n")
	f("provisioning.intervened", `{"action":"retry","by":"ada","why":"fixed"}`, Busy, "Operator: retry", "fixed · by ada")
	f("effect.recorded", `{"step":"quota","state":"failed","effector":"helm"}`, Bad, "Effect quota: failed", "by helm")
	f("notification.raised", `{"notice":"order_abandoned","reason":"failed","detail":"out of reach"}`, Bad, "Notification: order abandoned", "failed · out of reach")
	f("deadletter", `{"reason":"invalid","topic":"telemetry"}`, Bad, "Dead letter: invalid", "topic telemetry")
	f("order.cancelled", `{"reason":"moved away ","requested_by":"ada"}`, Quiet, "Cancelled", "moved away · by ada")
	f("provisioning.progressed", `{"state":"requested","version":2,"backend":""}`, Busy, "Provisioning requested", "version 2")
	f("com.example.Unknown", `not json`, Quiet, "com.example.Unknown", "")
}

// TestEveryKindHasWords holds that no kind about orders and their provisioning is told by its name only.
func TestEveryKindHasWords(t *testing.T) {
	for _, kind := range schemas.Kinds() {
		about := slices.Contains([]string{"orders", "clients", "provisioning", "effects", "notifications", "deadletters"}, kind.Topic)
		states := []string{""}
		if kind.Fact == schemas.KindProvisioningProgressed.Fact {
			states = nil
			for _, s := range schemas.ProvisioningStates() {
				states = append(states, string(s))
			}
		}
		for _, state := range states {
			if got := Describe(kind.Fact, []byte(`{"state":"`+state+`"}`)); about && strings.HasPrefix(got.Title, kind.Fact+" ") || about && got.Title == kind.Fact {
				t.Errorf("%s %s: got the title %q", kind.Fact, state, got.Title)
			}
		}
	}
}

func TestSpellings(t *testing.T) {
	f := func(trace string, want ...string) {
		t.Helper()
		var got []string
		for _, id := range spellingsOf(trace) {
			got = append(got, string(id))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", trace, got, want)
		}
	}
	const plain, uuid = "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
	f(plain, plain, uuid)
	f(uuid, plain, uuid)
	f("my-own-id", "my-own-id")
}
