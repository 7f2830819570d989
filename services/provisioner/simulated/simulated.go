// Package simulated is a backend that needs nothing: a module is a folder on this machine. It takes its time, and can be
// told to fail, so that everything around it can be seen and tested.
//
// What is under the folder: <namespace>/site.json, written whole or not at all, and .removed/<order> with the version that removed
// an order. Steps take as long as Config.Pace says, a little more or less for each order. While there is a file [Down], every step
// fails: so one can see what becomes of orders when a whole backend is away. Where there is a file [Acts], every act that succeeds
// adds a line to it: so a test can count them.
//
// A version that was overtaken, or removed, is not made any more: a provisioner that was stopped in the middle of an act, and
// wakes up after another one has gone on, changes nothing.
package simulated

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Down is the file in the folder that takes all sites down while it is there.
const Down = ".down"

// Acts is the file in the folder that acts are noted in, where it is there: an [Act] a line, as JSON.
const Acts = ".acts"

// Act is what a site was asked to do, and did.
type Act struct {
	Client  string `json:"client"`
	Order   string `json:"order"`
	Version int32  `json:"version"`
	Step    string `json:"step"` // of the plan, or remove
	// Changed says that something was otherwise before.
	Changed bool `json:"changed"`
}

// Config says where sites are and how they behave.
type Config struct {
	// Dir holds the sites. Required.
	Dir string
	// Pace is how long a step takes on average; 0 is at once.
	Pace time.Duration
	// FailOneIn lets one order of so many fail, 0 none. Half of them recover after two tries of the last step; the others never
	// do. Which ones is decided by the order's id.
	FailOneIn uint32
}

// Simulated is the backend.
type Simulated struct {
	cfg Config

	mu    sync.Mutex // guards the sites' files and tries
	tries map[string]int
}

// New returns the backend. Its folder is made when it is needed.
func New(cfg Config) *Simulated { return &Simulated{cfg: cfg, tries: map[string]int{}} }

// Name implements backend.Backend.
func (s *Simulated) Name() string { return "simulated" }

// plan is every order's.
var plan = []string{"namespace", "quota", "workload", "rollout"}

// Plan implements backend.Backend.
func (s *Simulated) Plan(backend.Order) []string { return slices.Clone(plan) }

// site is what stands for a running module.
type site struct {
	Order   string           `json:"order"`
	Client  string           `json:"client"`
	Product string           `json:"product"`
	TraceID string           `json:"trace_id"`
	Steps   map[string]int32 `json:"steps"` // the version for which each was done
}

// Do implements backend.Backend.
func (s *Simulated) Do(ctx context.Context, o backend.Order, step string) error {
	if err := s.work(ctx, o); err != nil {
		return err
	}
	if err := s.trouble(o, step); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had, err := s.load(o)
	if err != nil {
		return err
	}
	if had.Steps[step] == o.Version {
		return s.note(o, step, false)
	}
	if err := s.current(o, had); err != nil {
		return err
	}
	had.Order, had.Client, had.Product, had.TraceID = o.ID, o.Client, o.Product, o.TraceID
	had.Steps[step] = o.Version
	if err := s.store(o, had); err != nil {
		return err
	}
	return s.note(o, step, true)
}

// Done implements backend.Backend.
func (s *Simulated) Done(_ context.Context, o backend.Order, step string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had, err := s.load(o)
	return err == nil && had.Steps[step] == o.Version, err
}

// Remove implements backend.Backend.
func (s *Simulated) Remove(ctx context.Context, o backend.Order) error {
	if err := s.work(ctx, o); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var refusal *backend.Refusal
	had, err := s.load(o)
	switch {
	case errors.As(err, &refusal):
		return nil // it is another's
	case err != nil:
		return err // it may be
	}
	if err := s.bury(o); err != nil {
		return err
	}
	if err := os.RemoveAll(s.path(o)); err != nil {
		return err
	}
	return s.note(o, "remove", had.Order != "")
}

// note adds an act that has succeeded to the file Acts, if there is one. A crash before it leaves the act out.
func (s *Simulated) note(o backend.Order, step string, changed bool) error {
	file, err := os.OpenFile(filepath.Join(s.cfg.Dir, Acts), os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note an act: %w", err)
	}
	line, err := json.Marshal(Act{Client: o.Client, Order: o.ID, Version: o.Version, Step: step, Changed: changed})
	if err == nil {
		_, err = file.Write(append(line, '\n')) // whole, beside those of other processes
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("note an act: %w", err)
	}
	return nil
}

// current returns an error when a later version of the order was made, or removed it.
func (s *Simulated) current(o backend.Order, had site) error {
	latest, err := s.removed(o)
	if err != nil {
		return err
	}
	for _, version := range had.Steps {
		latest = max(latest, version)
	}
	if latest > o.Version {
		return fmt.Errorf("version %d of order %q is here already, not %d", latest, o.ID, o.Version)
	}
	return nil
}

// grave is the file that tells by which version an order was removed. A namespace does not begin with a dot.
func (s *Simulated) grave(o backend.Order) string {
	sum := sha256.Sum256([]byte(o.Client + "\x00" + o.ID))
	return filepath.Join(s.cfg.Dir, ".removed", hex.EncodeToString(sum[:16]))
}

// removed returns the version that removed the order, 0 for none.
func (s *Simulated) removed(o backend.Order) (int32, error) {
	text, err := os.ReadFile(s.grave(o))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look whether order %q was removed: %w", o.ID, err)
	}
	var born int64
	var version int32
	if _, err := fmt.Sscan(string(text), &version, &born); err != nil {
		return 0, fmt.Errorf("look whether order %q was removed: %w", o.ID, err)
	}
	if born < o.Born {
		return 0, nil // it was another order, which had the id before
	}
	return version, nil
}

// bury notes that the order is being removed, before it is.
func (s *Simulated) bury(o backend.Order) error {
	if err := os.MkdirAll(filepath.Dir(s.grave(o)), 0o755); err != nil {
		return fmt.Errorf("note that order %q is removed: %w", o.ID, err)
	}
	return replace(s.grave(o), fmt.Append(nil, o.Version, " ", o.Born))
}

// replace writes a file so that a crash leaves the old one or the new one.
func replace(file string, text []byte) error {
	if err := os.WriteFile(file+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (s *Simulated) path(o backend.Order) string { return filepath.Join(s.cfg.Dir, o.Namespace) }

// load returns the order's site, an empty one when there is none.
func (s *Simulated) load(o backend.Order) (site, error) {
	empty := site{Steps: map[string]int32{}}
	if !filepath.IsLocal(o.Namespace) || filepath.Base(o.Namespace) != o.Namespace {
		return empty, backend.Refuse(backend.ReasonInvalid, "namespace %q is no folder's name", o.Namespace)
	}
	text, err := os.ReadFile(filepath.Join(s.path(o), "site.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, fmt.Errorf("look at site %q: %w", o.Namespace, err)
	}
	had := empty
	if err := json.Unmarshal(text, &had); err != nil {
		return empty, fmt.Errorf("read site %q: %w", o.Namespace, err)
	}
	if had.Order != o.ID || had.Client != o.Client {
		return empty, backend.Refuse(backend.ReasonNamespaceTaken, "namespace %q belongs to somebody else", o.Namespace)
	}
	return had, nil
}

// store writes a site so that a crash leaves the old one or the new one.
func (s *Simulated) store(o backend.Order, as site) error {
	text, err := json.MarshalIndent(as, "", "  ")
	if err == nil {
		err = os.MkdirAll(s.path(o), 0o755)
	}
	if err == nil {
		err = replace(filepath.Join(s.path(o), "site.json"), text)
	}
	if err != nil {
		return fmt.Errorf("write site %q: %w", o.Namespace, err)
	}
	return nil
}

// work takes as long as a step takes.
func (s *Simulated) work(ctx context.Context, o backend.Order) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.cfg.Pace == 0 {
		return nil
	}
	timer := time.NewTimer(s.cfg.Pace/2 + s.cfg.Pace*time.Duration(number(o)%1000)/1000)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	// errTrouble is what a site that fails says. The other sites are well.
	errTrouble = fmt.Errorf("%w: the image could not be pulled: registry timed out", backend.ErrUnready)
	// errDown is what every site says while the file Down is there: that is the backend's own fault.
	errDown = errors.New("the sites are out of reach")
)

// trouble fails everything while the sites are down, and else the last step of some orders.
func (s *Simulated) trouble(o backend.Order, step string) error {
	switch _, err := os.Stat(filepath.Join(s.cfg.Dir, Down)); {
	case err == nil:
		return errDown
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look whether the sites are down: %w", err)
	}
	if s.cfg.FailOneIn == 0 || number(o)%s.cfg.FailOneIn != 0 || step != plan[len(plan)-1] {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := o.ID + "/" + strconv.Itoa(int(o.Version))
	if s.tries[k]++; number(o)/s.cfg.FailOneIn%2 == 0 && s.tries[k] > 2 {
		delete(s.tries, k)
		return nil
	}
	return errTrouble
}

// number is the same for the same order, and evenly spread.
func number(o backend.Order) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(o.ID)) // a hash does not fail
	return h.Sum32()
}
