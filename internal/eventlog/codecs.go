package eventlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/eventlog/avro"
	"github.com/fieldlog/fieldlog/schemas"
)

// wireHeader is the size of the Confluent wire format's header: a zero byte and the schema id, big-endian.
const wireHeader = 5

// Refusal is an error that no retry can mend: the record itself is bad.
type Refusal struct {
	Reason schemas.Reason
	Err    error
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Reason, r.Err) }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// codecs knows how each kind of event is written today, and the schema behind every id that was asked for.
type codecs struct {
	registry *sr.Client
	kinds    map[schemas.Subject]*kindCodec

	mu    sync.Mutex
	known map[int]*writer
}

// kindCodec writes events of one kind.
type kindCodec struct {
	kind   schemas.Kind
	today  *avro.Schema
	append func(dst []byte, event unsafe.Pointer) []byte
	reader func(writer *avro.Schema) (readEvent, error)
	id     atomic.Int64 // of today's schema at the registry; 0 before Setup
}

// readEvent makes a new event of what one writer's schema wrote, without the wire format's header. It belongs to one goroutine.
type readEvent func(data []byte) (schemas.Event, error)

// writer is a schema that wrote events, or the proof that the registry does not know the id.
type writer struct {
	schema *avro.Schema
	err    error
	until  time.Time // an unknown id is asked for again after this
}

func newCodecs(registry *sr.Client) (*codecs, error) {
	c := &codecs{registry: registry, kinds: map[schemas.Subject]*kindCodec{}, known: map[int]*writer{}}
	err := errors.Join(
		addKind[schemas.TelemetryReported](c, schemas.KindTelemetryReported),
		addKind[schemas.OrderPlaced](c, schemas.KindOrderPlaced),
		addKind[schemas.OrderChangeRequested](c, schemas.KindOrderChangeRequested),
		addKind[schemas.OrderCancelRequested](c, schemas.KindOrderCancelRequested),
		addKind[schemas.ClientRegistered](c, schemas.KindClientRegistered),
		addKind[schemas.OrderAccepted](c, schemas.KindOrderAccepted),
		addKind[schemas.OrderChanged](c, schemas.KindOrderChanged),
		addKind[schemas.OrderCancelled](c, schemas.KindOrderCancelled),
		addKind[schemas.OrderRejected](c, schemas.KindOrderRejected),
		addKind[schemas.ProvisioningProgressed](c, schemas.KindProvisioningProgressed),
		addKind[schemas.ProvisioningIntervened](c, schemas.KindProvisioningIntervened),
		addKind[schemas.EffectRecorded](c, schemas.KindEffectRecorded),
		addKind[schemas.NotificationRaised](c, schemas.KindNotificationRaised),
		addKind[schemas.ClientState](c, schemas.KindClientState),
		addKind[schemas.DeadLetter](c, schemas.KindDeadLetter),
		addKind[schemas.DeadLetterRedriven](c, schemas.KindDeadLetterRedriven),
		addKind[schemas.DeadLetterDiscarded](c, schemas.KindDeadLetterDiscarded),
		addKind[schemas.ReceiptsCounted](c, schemas.KindReceiptsCounted),
	)
	return c, err
}

// addKind compiles the codec of a kind whose Go type is E.
func addKind[E any, P interface {
	*E
	schemas.Event
}](c *codecs, kind schemas.Kind) error {
	versions, err := kind.Versions()
	if err != nil {
		return err
	}
	today, err := avro.Parse(versions[len(versions)-1].Text)
	if err != nil {
		return err
	}
	encoder, err := avro.NewEncoder[E](today)
	if err != nil {
		return err
	}
	reader := func(writer *avro.Schema) (readEvent, error) {
		decoder, err := avro.NewDecoder[E](today, writer)
		if err != nil {
			return nil, err
		}
		return func(data []byte) (schemas.Event, error) {
			event := P(new(E))
			return event, decoder.Decode(data, (*E)(event))
		}, nil
	}
	c.kinds[kind.Subject] = &kindCodec{kind: kind, today: today, append: encoder.AppendPointer, reader: reader}
	return nil
}

// written remembers the registry's id of a kind's newest schema.
func (c *codecs) written(kind schemas.Kind, id int) { c.kinds[kind.Subject].id.Store(int64(id)) }

// encode appends the wire format of an event.
func (c *codecs) encode(dst []byte, event schemas.Event) ([]byte, error) {
	codec := c.kinds[event.Kind().Subject]
	id := codec.id.Load()
	if id == 0 {
		return dst, fmt.Errorf("encode %q: its schema is not registered yet; call Setup first", codec.kind.Fact)
	}
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(id))
	return codec.append(dst, reflect.ValueOf(event).UnsafePointer()), nil
}

// schemaID reads the wire format's header.
func schemaID(value []byte) (int, error) {
	if len(value) < wireHeader || value[0] != 0 {
		return 0, &Refusal{schemas.ReasonNotOurs, errors.New("the value is not in the Confluent wire format")}
	}
	return int(binary.BigEndian.Uint32(value[1:])), nil
}

// schema returns the schema behind an id. A *Refusal says that the registry does not know it, any other error that the
// registry could not be asked.
func (c *codecs) schema(ctx context.Context, id int) (*avro.Schema, error) {
	c.mu.Lock()
	w := c.known[id]
	c.mu.Unlock()
	if w != nil && (w.err == nil || time.Now().Before(w.until)) {
		return w.schema, w.err
	}
	w, err := c.ask(ctx, id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[id] = w
	return w.schema, w.err
}

const (
	maxKnown   = 10_000           // schema ids remembered, so that hostile ids cannot fill the memory
	unknownFor = 10 * time.Second // how long an unknown id is not asked for again
)

func (c *codecs) ask(ctx context.Context, id int) (*writer, error) {
	found, err := c.registry.SchemaByID(ctx, id)
	var answer *sr.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		refusal := &Refusal{schemas.ReasonUnknownSchema, fmt.Errorf("the registry does not know schema id %d", id)}
		return &writer{err: refusal, until: time.Now().Add(unknownFor)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask the registry for schema id %d: %w", id, err)
	}
	schema, err := avro.Parse(found.Schema)
	if err != nil {
		refusal := &Refusal{schemas.ReasonWrongEvent, fmt.Errorf("schema id %d: %w", id, err)}
		return &writer{err: refusal, until: time.Now().Add(unknownFor)}, nil
	}
	return &writer{schema: schema}, nil
}
