package eventlog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// TestHistoryLeavesWhatIsUndecided reads a history while somebody else's transaction is open: whoever follows from where it ended
// is given what that transaction appends.
func TestHistoryLeavesWhatIsUndecided(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	fact := func(id string) *schemas.OrderAccepted {
		e := &schemas.OrderAccepted{OrderID: id, Client: "c1"}
		e.EventID = id
		return e
	}
	first, err := log.Append(t.Context(), fact("first"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	var next map[eventlog.Topic]eventlog.Offset
	err = transactor(t, log, "test").Run(t.Context(), func(tx *eventlog.Tx) error {
		if err := tx.Append(fact("second")); err != nil {
			return err
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			ends, err := log.Ends(t.Context(), eventlog.TopicClients)
			if err != nil {
				return err
			}
			if ends[first.Partition].Next > first.Offset+1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the record does not arrive")
			}
		}
		next, err = log.History(t.Context(), first.Partition, []eventlog.Topic{eventlog.TopicClients}, func(e schemas.Event) { told = append(told, e.Head().EventID) })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	o := eventlog.ReadOptions{
		Topic: eventlog.TopicClients, Partitions: []eventlog.Partition{first.Partition},
		Starts: map[eventlog.Partition]eventlog.Offset{first.Partition: next[eventlog.TopicClients]},
	}
	for r, err := range log.Read(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, r.Header("ce_id"))
	}
	if want := []string{"first", "second"}; !slices.Equal(told, want) {
		t.Errorf("the history and what follows it tell %q, want %q", told, want)
	}
}
