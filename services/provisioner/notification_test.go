package provisioner_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// notifications returns what somebody should be told of an order.
func (f *fixture) notifications(id string) (raised []schemas.NotificationRaised) {
	f.Helper()
	decoder := eventlog.NewDecoder[schemas.NotificationRaised](f.log, schemas.KindNotificationRaised)
	for r, err := range f.log.Read(f.Context(), eventlog.ReadOptions{Topic: eventlog.TopicNotifications}) {
		var e schemas.NotificationRaised
		if err == nil {
			err = decoder.Decode(f.Context(), r, &e)
		}
		if err != nil {
			f.Fatal(err)
		}
		if want := f.log.PartitionOf([]byte(e.Client), eventlog.OrderPartitions); r.Partition != want || string(r.Key) != e.Client {
			f.Errorf("it lies in partition %d with key %q, want %d and its client", r.Partition, r.Key, want)
		}
		if e.OrderID == id {
			raised = append(raised, e)
		}
	}
	return raised
}

// once holds that an order was abandoned once, and that one notification says the same.
func (f *fixture) once(id string, attempts int32) {
	f.Helper()
	told := f.wait(id, 1, schemas.ProvisioningAbandoned)
	abandoned := 0
	for _, e := range told {
		if e.State == schemas.ProvisioningAbandoned {
			abandoned++
		}
	}
	raised := f.notifications(id)
	if abandoned != 1 || len(raised) != 1 {
		f.Fatalf("%s was abandoned %d times and notified of %d times, want once", id, abandoned, len(raised))
	}
	fact, n := told[len(told)-1], raised[0]
	if n.Notice != schemas.NoticeOrderAbandoned || n.TraceID != trace || n.EventID == "" || n.EventID == fact.EventID || n.Client != fact.Client ||
		n.Version != 1 || n.Reason != fact.Reason || n.Detail != fact.Detail || n.StepName != "two" || n.Namespace != id || n.Backend != "world" {
		f.Errorf("the fact is %+v, the notification %+v", fact, n)
	}
	if n.Attempts != attempts {
		f.Errorf("%s: it tells of %d tries, want %d", id, n.Attempts, attempts)
	}
}

func TestAnAbandonmentIsNotifiedOf(t *testing.T) {
	f := start(t)
	f.world.before = func(_ context.Context, o backend.Order, step string) error {
		switch {
		case step != "two":
			return nil
		case o.Namespace == "refused":
			return backend.Refuse("no_license", "there is none left")
		}
		return errors.New("out of reach")
	}
	f.accept("c1", "never", 1)
	f.accept("c2", "refused", 1)
	f.run("p")
	f.once("never", 4)
	f.once("refused", 1)
	f.intervene("c1", "never", 1, schemas.InterventionRetry)
	for told := f.facts("never"); len(told) < 13; told = f.facts("never") { // four tries and the end
		f.wait("never", 1, schemas.ProvisioningAbandoned)
	}
	if raised := f.notifications("never"); len(raised) != 2 || raised[0].EventID == raised[1].EventID {
		t.Errorf("abandoned twice, it was notified of by %+v", raised)
	}
}

// TestAnAbandonmentIsNotifiedOfOnce stops a provisioner in each try of a step that never succeeds, lets another one take over, and
// then lets the first go on.
func TestAnAbandonmentIsNotifiedOfOnce(t *testing.T) {
	for try := int32(1); try <= 4; try++ {
		t.Run(fmt.Sprint("try ", try), func(t *testing.T) {
			f := start(t)
			reached, goOn := make(chan struct{}), make(chan struct{})
			var tries atomic.Int32
			f.world.before = func(_ context.Context, _ backend.Order, step string) error {
				if step != "two" {
					return nil
				}
				if tries.Add(1) == try {
					close(reached)
					<-goOn
				}
				return errors.New("out of reach")
			}
			f.accept("c1", "a", 1)
			stop := f.run("first")
			<-reached
			f.run("second")
			f.wait("a", 1, schemas.ProvisioningAbandoned)
			close(goOn)
			stop() // it has tried to tell what it did
			f.once("a", 4)
		})
	}
}
