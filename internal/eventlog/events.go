package eventlog

import (
	"context"
	"fmt"

	"github.com/fieldlog/fieldlog/schemas"
)

// Events reads events of every kind from records: where a topic holds several. It belongs to one goroutine.
type Events struct {
	log   *Log
	known map[int]readEvent // by schema id
}

// NewEvents returns a reader of events.
func (l *Log) NewEvents() *Events { return &Events{log: l, known: map[int]readEvent{}} }

// Decode returns a new event, whose strings and bytes point into r.Value. A *Refusal says that r is bad and why; any other error
// that the registry could not be asked, so that trying again may help.
func (e *Events) Decode(ctx context.Context, r *Record) (schemas.Event, error) {
	id, err := schemaID(r.Value)
	if err != nil {
		return nil, err
	}
	if e.known[id] == nil {
		if err := e.learn(ctx, id); err != nil {
			return nil, err
		}
	}
	event, err := e.known[id](r.Value[wireHeader:])
	if err != nil {
		return nil, &Refusal{schemas.ReasonUndecodable, err}
	}
	return event, nil
}

func (e *Events) learn(ctx context.Context, id int) error {
	schema, err := e.log.codecs.schema(ctx, id)
	if err != nil {
		return err
	}
	codec := e.log.codecs.kinds[schemas.Subject(schema.Name())]
	if codec == nil {
		return &Refusal{schemas.ReasonWrongEvent, fmt.Errorf("the value is a %q, which is no event of ours", schema.Name())}
	}
	read, err := codec.reader(schema)
	if err != nil {
		return &Refusal{schemas.ReasonUndecodable, err}
	}
	e.known[id] = read
	return nil
}
