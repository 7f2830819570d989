package auditor

import (
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// Kind says in what way two of the three accounts differ. The list is closed: every kind is a metric's label.
type Kind string

// The kinds of differences.
const (
	// Lost: a gateway has a receipt for it, and the log does not have it.
	Lost Kind = "lost"
	// Missing: the log has it, and ClickHouse does not, although the group's offset says that it is stored.
	Missing Kind = "missing"
	// Doubled: ClickHouse has it more than once.
	Doubled Kind = "doubled"
	// Unexpected: ClickHouse has it, and the log does not, or has it as a dead letter.
	Unexpected Kind = "unexpected"
	// ReceiptsLost: an instance's receipts have a gap in their numbers, which every gateway writes without one.
	ReceiptsLost Kind = "receipts_lost"
)

// Kinds lists every kind of difference.
func Kinds() []Kind { return []Kind{Lost, Missing, Doubled, Unexpected, ReceiptsLost} }

var words = map[Kind]string{
	Lost: "claimed but not in the log", Missing: "missing in ClickHouse", Doubled: "doubled in ClickHouse",
	Unexpected: "in ClickHouse but not in the log", ReceiptsLost: "receipts lost",
}

// Difference names a range in which two accounts differ.
type Difference struct {
	Kind Kind
	// Table is readings, reports or duplicates; empty where ClickHouse is not concerned.
	Table     string
	Topic     eventlog.Topic
	TopicID   eventlog.TopicID
	Partition eventlog.Partition
	// Range are the offsets, or the sequence numbers of lost receipts.
	Range eventlog.Range
	// Instance is whose receipts are lost.
	Instance string
}

// String names the difference in a line: missing in ClickHouse: telemetry/3@100-120 (readings).
func (d Difference) String() string {
	if d.Kind == ReceiptsLost {
		return fmt.Sprintf("%s: of gateway %s, numbers %d-%d", words[d.Kind], d.Instance, d.Range.First, d.Range.Next-1)
	}
	where := fmt.Sprintf("%s: %s/%d@%d-%d", words[d.Kind], d.Topic, d.Partition, d.Range.First, d.Range.Next-1)
	if d.Table != "" {
		where += " (" + d.Table + ")"
	}
	return where
}

// Row is what the accounts say of one partition in one hour. All but Readings are records.
type Row struct {
	Topic     eventlog.Topic
	TopicID   eventlog.TopicID
	Partition eventlog.Partition
	// Hour is the beginning of the hour, or of the window within it.
	Hour time.Time
	// Range are the offsets of the partition in that time, as far as the log holds them.
	Range eventlog.Range
	// Accepted are in receipts. Unclaimed are in the log and in no receipt: a gateway was killed, or somebody else appended them.
	Accepted, Unclaimed int64
	// Log and Readings are in the log.
	Log, Readings int64
	// Stored are in ClickHouse, counted once each. Pending are not stored yet, by the group's offset. DeadLetters and Copies
	// were not to be stored: the storer buried them, or an earlier copy is stored.
	Stored, Pending, DeadLetters, Copies int64
	// Expired are readings that ClickHouse's retention may have dropped: they were not compared.
	Expired int64
}

// Result is what an audit found.
type Result struct {
	Window Window
	// Began is when the audit began, which is where a window without an end ends.
	Began time.Time
	// Generation of the tables that were compared.
	Generation int
	// Rows are those that have any record, by topic, hour and partition.
	Rows []Row
	// Differences are named in order, the first maxNamed of them; More counts the rest.
	Differences []Difference
	More        int
	named       map[Difference]int // the last of a kind, table and partition (its range is left out), by its place in Differences
	// Notes say what could not be compared, and why.
	Notes []string
	// Pending is when the oldest record that is not stored yet was appended; zero if there is none.
	Pending time.Time
}

// maxNamed bounds the differences that are named.
const maxNamed = 10_000

// Differs tells whether any difference was found.
func (r *Result) Differs() bool { return len(r.Differences) > 0 }

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// name adds a difference for each range of a set. One that begins where the last of its kind ended, in the hour before, makes that
// longer.
func (r *Result) name(d Difference, set offsets.Set) {
	d.Range = eventlog.Range{}
	kind := d
	for _, d.Range = range set {
		last, known := r.named[kind]
		switch {
		case known && r.Differences[last].Range.Next == d.Range.First:
			r.Differences[last].Range.Next = d.Range.Next
		case len(r.Differences) >= maxNamed:
			r.More++
		default:
			if r.named == nil {
				r.named = map[Difference]int{}
			}
			r.named[kind] = len(r.Differences)
			r.Differences = append(r.Differences, d)
		}
	}
}

// total adds up a column of the rows.
func (r *Result) total(column func(*Row) int64) (n int64) {
	for i := range r.Rows {
		n += column(&r.Rows[i])
	}
	return n
}
