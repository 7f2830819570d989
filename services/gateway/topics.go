package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Readable is the log as far as readers need it. *eventlog.Log is one.
type Readable interface {
	// Open finds where to begin to read.
	Open(ctx context.Context, o eventlog.ReadOptions) (*eventlog.Reading, error)
	// Line returns a record as JSON tells it.
	Line(ctx context.Context, r *eventlog.Record, headers bool) (*eventlog.Line, error)
}

// Places keeps how far named groups of readers have come. *eventlog.Log is one.
type Places interface {
	// Resume returns where a group goes on in the partitions that it ever acknowledged.
	Resume(ctx context.Context, group eventlog.Group, topic eventlog.Topic) (map[eventlog.Partition]eventlog.Offset, error)
	// Acknowledge returns nil when it is durable that the group is done with everything up to the given offsets.
	Acknowledge(ctx context.Context, group eventlog.Group, topic eventlog.Topic, done map[eventlog.Partition]eventlog.Offset, back bool) error
	// Standing returns how far a group has come in each partition.
	Standing(ctx context.Context, group eventlog.Group, topic eventlog.Topic) ([]eventlog.Standing, error)
	// Forget deletes what a group has acknowledged of a topic.
	Forget(ctx context.Context, group eventlog.Group, topic eventlog.Topic) error
}

// topicOf returns the declared topic that a request's path names.
func topicOf(r *http.Request) (eventlog.Topic, *problem) {
	var names []string
	for _, spec := range eventlog.Topics() {
		if string(spec.Name) == r.PathValue("topic") {
			return spec.Name, nil
		}
		names = append(names, string(spec.Name))
	}
	return "", newProblem(http.StatusNotFound, fmt.Sprintf("there is no topic %.100q; there are %s", r.PathValue("topic"), strings.Join(names, ", ")))
}

// groupName is what a group may be called.
var groupName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// groupOf returns the group that a name stands for. It has no members, and shares no name with those that do.
func groupOf(name string) (eventlog.Group, *problem) {
	if !groupName.MatchString(name) {
		return "", newProblem(http.StatusBadRequest, fmt.Sprintf("the group's name %.150q is not 1 to 128 letters, digits, dots, dashes or underscores", name))
	}
	return eventlog.Group("http." + name), nil
}

// placeOf returns the topic and the group that a request's path names.
func placeOf(r *http.Request) (eventlog.Topic, eventlog.Group, *problem) {
	topic, wrong := topicOf(r)
	if wrong != nil {
		return "", "", wrong
	}
	group, wrong := groupOf(r.PathValue("group"))
	return topic, group, wrong
}

// logProblem tells what the reader must change from a log that is not well.
func logProblem(err error) *problem {
	var behind *eventlog.Backwards
	switch {
	case errors.As(err, &behind):
		return newProblem(http.StatusConflict, fmt.Sprintf("%v, nothing was changed; add ?reset=true to go back", behind))
	case errors.Is(err, eventlog.ErrNoPartition), errors.Is(err, eventlog.ErrNotWritten):
		return newProblem(http.StatusBadRequest, err.Error())
	}
	return later(http.StatusServiceUnavailable, "the log does not answer: "+err.Error())
}
