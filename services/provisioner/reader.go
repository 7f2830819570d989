package provisioner

import (
	"context"
	"fmt"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// reader decodes the events that say something about provisioning. It belongs to one goroutine.
type reader struct {
	log     *eventlog.Log
	decodes map[schemas.Subject]func(context.Context, *eventlog.Record) (schemas.Event, error)
}

func newReader(log *eventlog.Log) *reader {
	r := &reader{log: log, decodes: map[schemas.Subject]func(context.Context, *eventlog.Record) (schemas.Event, error){}}
	decode[schemas.OrderAccepted](r, schemas.KindOrderAccepted)
	decode[schemas.OrderChanged](r, schemas.KindOrderChanged)
	decode[schemas.OrderCancelled](r, schemas.KindOrderCancelled)
	decode[schemas.OrderRejected](r, schemas.KindOrderRejected)
	decode[schemas.ClientRegistered](r, schemas.KindClientRegistered)
	decode[schemas.ProvisioningProgressed](r, schemas.KindProvisioningProgressed)
	decode[schemas.ProvisioningIntervened](r, schemas.KindProvisioningIntervened)
	decode[schemas.EffectRecorded](r, schemas.KindEffectRecorded)
	return r
}

func decode[E any, P interface {
	*E
	schemas.Event
}](r *reader, kind schemas.Kind) {
	decoder := eventlog.NewDecoder[E](r.log, kind)
	r.decodes[kind.Subject] = func(ctx context.Context, record *eventlog.Record) (schemas.Event, error) {
		event := P(new(E))
		return event, decoder.Decode(ctx, record, (*E)(event))
	}
}

// event decodes a record. A *eventlog.Refusal says that it is none of ours.
func (r *reader) event(ctx context.Context, record *eventlog.Record) (schemas.Event, error) {
	ref, err := r.log.SchemaOf(ctx, record)
	if err != nil {
		return nil, err
	}
	decode := r.decodes[ref.Subject]
	if decode == nil {
		return nil, &eventlog.Refusal{Reason: schemas.ReasonWrongEvent, Err: fmt.Errorf("a %s says nothing about provisioning", ref.Subject)}
	}
	return decode(ctx, record)
}
