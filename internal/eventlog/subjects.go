package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/eventlog/avro"
	"github.com/fieldlog/fieldlog/schemas"
)

// Version chooses one of the schemas that are registered for a subject. The zero Version is the newest.
type Version struct {
	// Number is the subject's version, ID the registry's id of a schema. At most one of them is given.
	Number, ID int
}

// subjects knows the registered schemas that JSON is encoded with.
type subjects struct {
	codecs *codecs
	now    func() time.Time
	mu     sync.Mutex
	known  map[subjectVersion]*registered
}

type subjectVersion struct {
	subject schemas.Subject
	number  int // -1 is the newest
}

// registered is what the registry has for a subject and version: a schema, or the reason why there is none of use.
type registered struct {
	id     int
	schema *avro.Schema
	err    error
	asked  time.Time // when the registry said so
}

const (
	newestFor  = 10 * time.Second // how long the newest version counts as the newest
	missingFor = time.Second      // how long a schema that is missing, or that data does not fit, is not asked for again
	latest     = -1
)

// find returns a schema. The error wraps ErrNotRegistered, or says that the registry could not be asked; what was found
// before stays good while it cannot. again asks anew whatever is younger than missingFor.
func (s *subjects) find(ctx context.Context, subject schemas.Subject, v Version, again bool) (int, *avro.Schema, error) {
	if v.ID != 0 {
		return s.byID(ctx, subject, v.ID)
	}
	key := subjectVersion{subject, v.Number}
	if key.number == 0 {
		key.number = latest
	}
	old, good := s.take(key, again)
	if good {
		return old.id, old.schema, old.err
	}
	now, err := s.ask(ctx, key)
	switch {
	case err != nil && old != nil && old.err == nil:
		return old.id, old.schema, nil
	case err != nil:
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[key] = now
	return now.id, now.schema, now.err
}

// take returns what is known, and whether it is good as it is. Of those who find it too old one is sent to ask, the others go
// on with it.
func (s *subjects) take(key subjectVersion, again bool) (r *registered, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r = s.known[key]; r == nil {
		return nil, false
	}
	age := s.now().Sub(r.asked)
	switch {
	case again || r.err != nil:
		good = age < missingFor
	default:
		good = key.number != latest || age < newestFor
	}
	if !good {
		r.asked = s.now()
	}
	return r, good
}

func (s *subjects) ask(ctx context.Context, key subjectVersion) (*registered, error) {
	found, err := s.codecs.registry.SchemaByVersion(ctx, string(key.subject), key.number)
	var answer *sr.ResponseError
	switch {
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusUnprocessableEntity):
		return &registered{asked: s.now(), err: notRegistered(key)}, nil
	case err != nil:
		return nil, fmt.Errorf("ask the registry for %q: %w", key.subject, err)
	}
	r := &registered{id: found.ID, asked: s.now()}
	if found.Type != sr.TypeAvro {
		r.err = fmt.Errorf("%w: %q is registered as %v, not as Avro", ErrNotRegistered, key.subject, found.Type)
		return r, nil
	}
	if r.schema, err = avro.Parse(found.Schema.Schema); err != nil {
		r.err = fmt.Errorf("%w: the schema of %q cannot be used: %w", ErrNotRegistered, key.subject, err)
	} else {
		r.err = describes(r.schema, key.subject)
	}
	return r, nil
}

func notRegistered(key subjectVersion) error {
	if key.number == latest {
		return fmt.Errorf("%w: the registry has no subject %q; register the record's Avro schema under that name first", ErrNotRegistered, key.subject)
	}
	return fmt.Errorf("%w: the registry has no version %d of %q", ErrNotRegistered, key.number, key.subject)
}

// describes refuses a schema whose record has another name than its subject: readers find subjects by the record's name.
func describes(schema *avro.Schema, subject schemas.Subject) error {
	if schema.Name() != string(subject) {
		return fmt.Errorf("%w: the schema describes %q, not %q; a subject is the full name of its record", ErrNotRegistered, schema.Name(), subject)
	}
	return nil
}

func (s *subjects) byID(ctx context.Context, subject schemas.Subject, id int) (int, *avro.Schema, error) {
	schema, err := s.codecs.schema(ctx, id)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return 0, nil, fmt.Errorf("%w: %w", ErrNotRegistered, refusal.Err)
	}
	if err != nil {
		return 0, nil, err
	}
	return id, schema, describes(schema, subject)
}
