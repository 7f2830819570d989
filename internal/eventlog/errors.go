package eventlog

import "errors"

var (
	// ErrOverloaded says that too much waits to be sent. The event is not in the log; try again later.
	ErrOverloaded = errors.New("too many events wait to be appended")
	// ErrTooLarge says that the event is larger than the topic takes. It is not in the log and never will be.
	ErrTooLarge = errors.New("event is larger than the log takes")
	// ErrUnconfirmed says that the brokers did not confirm in time. The event may or may not be in the log.
	ErrUnconfirmed = errors.New("the log did not confirm in time")
	// ErrNotRegistered says that the registry has no schema of use for an event.
	ErrNotRegistered = errors.New("not registered")
	// ErrNoPartition says that a topic has no such partition.
	ErrNoPartition = errors.New("there is no partition")
)
