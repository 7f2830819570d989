package schemas

// ProvisioningProgressed says that what was ordered came a step closer, or did not.
type ProvisioningProgressed struct {
	Envelope        // Attempt counts the tries of the step before this one
	OrderID  string `avro:"order_id"`
	Client   string `avro:"client"`
	// Version is the version of the order it acts for.
	Version int32             `avro:"version"`
	State   ProvisioningState `avro:"state"`
	// Step of Steps are done; StepName is the one in question.
	Step     int32  `avro:"step"`
	Steps    int32  `avro:"steps"`
	StepName string `avro:"step_name"`
	// Reason says why it failed in one word, Detail in more.
	Reason string `avro:"reason"`
	Detail string `avro:"detail"`
	// NextTry is when a failed step is tried again; 0 when it is not.
	NextTry Time `avro:"next_try"`
	// Backend provisions it; Namespace is where it runs.
	Backend   string `avro:"backend"`
	Namespace string `avro:"namespace"`
}

// ProvisioningState is how far provisioning is.
type ProvisioningState string

// The states of provisioning. Failed is tried again at NextTry; Succeeded, Abandoned and Deprovisioned are final for the version.
const (
	ProvisioningRequested     ProvisioningState = "requested"
	ProvisioningStarted       ProvisioningState = "started"
	ProvisioningStep          ProvisioningState = "step"
	ProvisioningSucceeded     ProvisioningState = "succeeded"
	ProvisioningFailed        ProvisioningState = "failed"
	ProvisioningAbandoned     ProvisioningState = "abandoned"
	ProvisioningDeprovisioned ProvisioningState = "deprovisioned"
)

// ProvisioningStates lists every state.
func ProvisioningStates() []ProvisioningState {
	return []ProvisioningState{
		ProvisioningRequested, ProvisioningStarted, ProvisioningStep, ProvisioningSucceeded, ProvisioningFailed,
		ProvisioningAbandoned, ProvisioningDeprovisioned,
	}
}

// ProvisioningIntervened says that an operator decided about an order that fails.
type ProvisioningIntervened struct {
	Envelope
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	// Version is the version of the order it is about; 0 for the present one.
	Version int32        `avro:"version"`
	Action  Intervention `avro:"action"`
	// By is who decided, Why their words.
	By  string `avro:"by"`
	Why string `avro:"why"`
}

// Intervention is what an operator decided.
type Intervention string

// The interventions.
const (
	// InterventionRetry starts over with no tries counted.
	InterventionRetry Intervention = "retry"
	// InterventionAbandon gives up.
	InterventionAbandon Intervention = "abandon"
)

// Interventions lists every intervention.
func Interventions() []Intervention { return []Intervention{InterventionRetry, InterventionAbandon} }

// EffectRecorded is an entry of the ledger of effects: an intent before anything is done, then its outcome.
type EffectRecorded struct {
	Envelope // Attempt counts the tries before this one
	// EffectID is the same for every try: a hash of the event that asks for it, the effector and the step.
	EffectID string `avro:"effect_id"`
	OrderID  string `avro:"order_id"`
	Client   string `avro:"client"`
	// Version is the version of the order it acts for.
	Version int32 `avro:"version"`
	// Effector acts; Step is what it does.
	Effector string      `avro:"effector"`
	Step     string      `avro:"step"`
	State    EffectState `avro:"state"`
	// Detail is the error in words.
	Detail string `avro:"detail"`
}

// EffectState tells an intent from an outcome.
type EffectState string

// The states of an effect.
const (
	EffectIntended EffectState = "intended"
	EffectDone     EffectState = "done"
	EffectFailed   EffectState = "failed"
)

// Kind implements Event.
func (*ProvisioningProgressed) Kind() Kind { return KindProvisioningProgressed }

// Kind implements Event.
func (*ProvisioningIntervened) Kind() Kind { return KindProvisioningIntervened }

// Kind implements Event.
func (*EffectRecorded) Kind() Kind { return KindEffectRecorded }

// AppendKey implements Event: the client, so that what happens to a client's orders keeps its order.
func (p *ProvisioningProgressed) AppendKey(dst []byte) []byte { return append(dst, p.Client...) }

// AppendKey implements Event: the client.
func (p *ProvisioningIntervened) AppendKey(dst []byte) []byte { return append(dst, p.Client...) }

// AppendKey implements Event: the effect's id, of which the topic keeps the last entry. Its partition is that of the client's
// orders and must be given: the key does not decide it.
func (e *EffectRecorded) AppendKey(dst []byte) []byte { return append(dst, e.EffectID...) }
