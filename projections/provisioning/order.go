package provisioning

import "github.com/fieldlog/fieldlog/schemas"

// Order is an order and how far it is.
type Order struct {
	Client, ID string
	// Terms are those of the latest version.
	Terms schemas.Terms
	// Version is the latest accepted one; 0 when only its provisioning is known.
	Version int32
	// Cancelled says that it is to be removed.
	Cancelled bool
	// TraceID is that of the input that asked for the version, Cause its event id, Place its offset: a client's orders are
	// worked on in that order.
	TraceID string
	Cause   string
	Place   int64
	// Born is the Place of the first version: another order that has the id later, when this one is forgotten, has a later one.
	Born int64

	progress Progress
	early    wish   // about a version of which nothing was told yet
	after    *Order // has the id once this one is removed
}

// wish is what an operator wants of a version.
type wish struct {
	version int32
	action  schemas.Intervention
	event   string
}

// Progress is how far a version of an order is.
type Progress struct {
	Version int32
	// Requested and Started say that these facts were told.
	Requested, Started bool
	// Done counts the steps that are done.
	Done int32
	// Attempt counts the tries of the present step that failed, NextTry is when it may be tried again.
	Attempt int32
	NextTry schemas.Time
	// Ended is succeeded, abandoned or deprovisioned, empty before that.
	Ended schemas.ProvisioningState
	// GiveUp says that an operator wants it abandoned.
	GiveUp bool
	// Retried is the event id of the operator's last retry, empty before the first: what is told after it is told anew.
	Retried string
}

// Progress returns how far the latest version is.
func (o *Order) Progress() Progress {
	if o.progress.Version == o.Version {
		return o.progress
	}
	return o.begin(o.Version)
}

// begin returns the progress of a version of which nothing was told yet.
func (o *Order) begin(version int32) Progress {
	p := Progress{Version: version}
	if o.early.version == version {
		p.heed(o.early)
	}
	return p
}

// Open tells whether something is still to be done for the order.
func (o *Order) Open() bool { return o.Version > 0 && o.Progress().Ended == "" }

// at makes room for the progress of a version. It returns nil when a later one is known.
func (o *Order) at(version int32) *Progress {
	if version < o.progress.Version {
		return nil
	}
	if version > o.progress.Version {
		o.progress = o.begin(version)
	}
	return &o.progress
}

func (o *Order) progressed(e *schemas.ProvisioningProgressed) {
	p := o.at(e.Version)
	if p == nil {
		return
	}
	switch e.State {
	case schemas.ProvisioningRequested:
		p.Requested = true
	case schemas.ProvisioningStarted:
		p.Requested, p.Started = true, true
	case schemas.ProvisioningStep:
		if e.Step > p.Done {
			p.Done, p.Attempt, p.NextTry = e.Step, 0, 0
		}
	case schemas.ProvisioningFailed:
		p.Attempt, p.NextTry = e.Attempt+1, e.NextTry
	case schemas.ProvisioningSucceeded, schemas.ProvisioningAbandoned, schemas.ProvisioningDeprovisioned:
		p.Ended, p.GiveUp = e.State, false
	}
}

// intervened takes what an operator wants. Of a version of which nothing was told yet it is kept, and changes nothing else: there may
// never be such a version.
func (o *Order) intervened(e *schemas.ProvisioningIntervened) {
	w := wish{e.Version, e.Action, e.EventID}
	if w.version == 0 {
		w.version = o.progress.Version
	}
	switch {
	case w.version == o.progress.Version:
		o.progress.heed(w)
	case w.version > o.progress.Version:
		o.early = w
	}
}

// heed takes an operator's wish. A retry begins with the first step, because what was done may be gone: each is looked for before it is
// done.
func (p *Progress) heed(w wish) {
	switch w.action {
	case schemas.InterventionRetry:
		p.Attempt, p.NextTry, p.GiveUp, p.Retried = 0, 0, false, w.event
		if p.Ended != schemas.ProvisioningSucceeded {
			p.Done = 0
		}
		if p.Ended == schemas.ProvisioningAbandoned {
			p.Ended = ""
		}
	case schemas.InterventionAbandon:
		p.GiveUp = p.Ended == ""
	}
}
