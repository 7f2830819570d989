package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// ack acknowledges what was read, and returns the status.
func (f *readable) ack(t *testing.T, query string, lines ...eventlog.Line) (int, string) {
	t.Helper()
	var list []string
	for _, l := range lines {
		list = append(list, fmt.Sprintf(`{"partition":%d,"offset":%d}`, l.Partition, l.Offset))
	}
	status, body, _ := f.do(t, "POST", "/v1/topics/telemetry/groups/g/ack"+query, `{"positions":[`+strings.Join(list, ",")+`]}`)
	return status, body
}

func TestAGroupGoesOnBehindWhatItAcknowledged(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	const path = "/v1/topics/telemetry/events?group=g"
	all := f.read(t, path)
	if again := f.read(t, path); len(all) != 30 || len(again) != 30 {
		t.Fatalf("got %d, then %d records, want 30 as long as nothing is acknowledged", len(all), len(again))
	}
	if status, body := f.ack(t, "", all[:12]...); status != http.StatusNoContent {
		t.Fatalf("got %d %s", status, body)
	}
	rest := f.read(t, path+"&from=end") // from counts where nothing was acknowledged alone
	acknowledged := map[eventlog.Partition]bool{}
	for _, l := range all[:12] {
		acknowledged[l.Partition] = true
	}
	for _, l := range all[12:] {
		found := slices.ContainsFunc(rest, func(r eventlog.Line) bool { return r.Partition == l.Partition && r.Offset == l.Offset })
		if found != acknowledged[l.Partition] {
			t.Errorf("%d/%d came again: %v, its partition is acknowledged: %v", l.Partition, l.Offset, found, acknowledged[l.Partition])
		}
	}
	if status, body := f.ack(t, "", all[12:]...); status != http.StatusNoContent || len(f.read(t, path)) != 0 {
		t.Errorf("got %d %s", status, body)
	}
	if other := f.read(t, "/v1/topics/telemetry/events?group=other"); len(other) != 30 {
		t.Errorf("another group got %d records", len(other))
	}

	last := all[len(all)-1]
	last.Offset--
	if status, body := f.ack(t, "", last); status != http.StatusConflict || !strings.Contains(body, fmt.Sprintf("up to offset %d already", last.Offset+1)) {
		t.Errorf("backwards: got %d %s", status, body)
	}
	if status, body := f.ack(t, "?reset=true", last); status != http.StatusNoContent || len(f.read(t, path)) != 1 {
		t.Errorf("with reset: got %d %s", status, body)
	}
	last.Offset = 1000
	if status, body := f.ack(t, "", last); status != http.StatusBadRequest || !strings.Contains(body, "nothing is written") {
		t.Errorf("what is not written: got %d %s", status, body)
	}
	if sum := f.value(t, "fieldlog_gateway_acknowledgements_total"); sum != 5 {
		t.Errorf("%v acknowledgements are counted, want 5", sum)
	}
}

func TestAcknowledgementsAreChecked(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	try := func(body, want string) {
		t.Helper()
		if status, text, _ := f.do(t, "POST", "/v1/topics/telemetry/groups/g/ack", body); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%.100s: got %d %s, want %q", body, status, text, want)
		}
	}
	try(``, "no acknowledgement")
	try(`{}`, "0 positions")
	try(`{"positions":[{"partition":0}]}`, "positions[0] lacks")
	try(`{"positions":[{"offset":0}]}`, "positions[0] lacks")
	try(`{"positions":[{"partition":0,"offset":-1}]}`, "no offset -1")
	try(`{"positions":[{"partition":0,"offset":"1"}]}`, "no acknowledgement")
	try(`{"positions":[{"partition":0,"offset":0,"offset":1}]}`, "no acknowledgement")
	try(`{"positions":[{"partition":99,"offset":0}]}`, "no partition 99")
	try(`{"positions":[`+strings.Repeat(`{"partition":0,"offset":0},`, 10_000)+`{"partition":0,"offset":0}]}`, "10001 positions")
}

func TestAGroupTellsItsLag(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	type answer struct {
		Topic, Group string
		Lag          int64
		Partitions   []struct {
			Partition    eventlog.Partition
			Acknowledged *eventlog.Offset
			First, End   eventlog.Offset
			Lag          int64
		}
	}
	get := func() (a answer) {
		t.Helper()
		status, body, _ := f.do(t, "GET", "/v1/topics/telemetry/groups/g", "")
		if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		return a
	}
	if a := get(); a.Lag != 30 || a.Group != "g" || a.Topic != "telemetry" || len(a.Partitions) != 12 || a.Partitions[0].Acknowledged != nil {
		t.Errorf("got %+v", a)
	}
	all := f.read(t, "/v1/topics/telemetry/events")
	if status, body := f.ack(t, "", all[len(all)-1]); status != 204 {
		t.Fatalf("got %d %s", status, body)
	}
	last := all[len(all)-1]
	if a := get(); a.Lag != 30-int64(last.Offset)-1 || *a.Partitions[last.Partition].Acknowledged != last.Offset || a.Partitions[last.Partition].End != last.Offset+1 {
		t.Errorf("got %+v after %d/%d", a, last.Partition, last.Offset)
	}
	if status, body, _ := f.do(t, "DELETE", "/v1/topics/telemetry/groups/g", ""); status != 204 {
		t.Errorf("got %d %s", status, body)
	}
	if a := get(); a.Lag != 30 {
		t.Errorf("after it was forgotten: got %+v", a)
	}
}

// TestAGroupOfARecreatedTopicStartsOver leaves the place of a topic that is no more.
func TestAGroupOfARecreatedTopicStartsOver(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	var old kadm.Offsets
	for p := range int32(12) {
		old.Add(kadm.Offset{Topic: f.cluster.Name("telemetry"), Partition: p, At: 3, LeaderEpoch: -1, Metadata: "@00112233445566778899aabbccddeeff"})
	}
	if err := f.cluster.Admin(t).CommitAllOffsets(t.Context(), f.cluster.Name("http.g"), old); err != nil {
		t.Fatal(err)
	}
	if got := f.read(t, "/v1/topics/telemetry/events?group=g&from=end"); len(got) != 30 {
		t.Errorf("got %d records, want all 30", len(got))
	}
}
