package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// Exception is an error that ClickHouse told us.
type Exception struct {
	// Code is ClickHouse's, 0 if it told none.
	Code int
	// Status is that of the HTTP answer.
	Status int
	// Message is in ClickHouse's words.
	Message string
}

// Error implements error.
func (e *Exception) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("clickhouse answered with HTTP status %d", e.Status)
	}
	return e.Message
}

// Class says what kind of trouble an error is. The list is closed: every class is a metric's label.
type Class string

// The classes. All but Refused are a bad world: the same call may well succeed later.
const (
	// Unreachable: no answer, or a connection that broke. Nobody knows whether the call took effect.
	Unreachable Class = "unreachable"
	// Overloaded: too many parts or queries, no memory, too slow.
	Overloaded Class = "overloaded"
	// Unavailable: read-only, without its keeper or its quorum, without disk, shutting down.
	Unavailable Class = "unavailable"
	// Denied: wrong user, password or rights. An operator must change something.
	Denied Class = "denied"
	// Refused: everything else. A mistake of ours, or tables that somebody changed.
	Refused Class = "refused"
)

// Classes lists every class.
func Classes() []Class { return []Class{Unreachable, Overloaded, Unavailable, Denied, Refused} }

// classOf returns the class of a code of ClickHouse's ErrorCodes.cpp; false if there is no code.
func classOf(code int) (Class, bool) {
	switch code {
	case 159, 160, 202, 209, 241, tooManyParts, 319, 394, 439, 745:
		return Overloaded, true // timeouts, too many queries, memory, parts, threads
	case 164, 203, 225, 236, 242, 243, 285, 286, 289, 425, 999, 1000, 1001:
		return Unavailable, true // read-only, keeper, aborted, space, quorum, system
	case 210, 279:
		return Unreachable, true
	case 192, 193, 194, 497, 516:
		return Denied, true
	}
	return Refused, code != 0
}

const tooManyParts = 252

// ClassOf returns the class of an error of this package.
func ClassOf(err error) Class {
	var ours *Exception
	if errors.As(err, &ours) {
		if ours.Code == tooManyParts && strings.Contains(ours.Message, "single INSERT block") {
			return Refused // more than one partition value in a block
		}
		if class, known := classOf(ours.Code); known {
			return class
		}
		return classOfStatus(ours.Status)
	}
	var theirs *driver.Exception
	if errors.As(err, &theirs) {
		class, _ := classOf(int(theirs.Code))
		return class
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Overloaded
	}
	return Unreachable
}

// classOfStatus judges an answer that has no code, from whatever stands between us and ClickHouse.
func classOfStatus(status int) Class {
	switch {
	case status == 401 || status == 403:
		return Denied
	case status == 429 || status == 408:
		return Overloaded
	case status >= 500:
		return Unavailable
	}
	return Refused
}
