package schemas_test

import (
	"fmt"
	"testing"

	"github.com/fieldlog/fieldlog/schemas"
)

func TestRedrivesAreReadAsTheyAreWritten(t *testing.T) {
	first := schemas.Redrive{Letter: "analytics-00ff-3-42", Topic: "telemetry", TopicID: "00ff", Partition: 3, Offset: 42}
	odd := schemas.Redrive{Letter: "a letter of others@/ ", Topic: "a/b@c", Partition: 1<<31 - 1, Offset: 1<<63 - 1}
	headers := []schemas.Header{{Key: "ce_id", Value: []byte("x")}, first.Header(), {Key: "fieldlog", Value: nil}, odd.Header()}
	if got, want := fmt.Sprint(schemas.Redrives(headers)), fmt.Sprint([]schemas.Redrive{first, odd}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHeadersOfOthersAreNoRedrives(t *testing.T) {
	f := func(value string) {
		t.Helper()
		if got := schemas.Redrives([]schemas.Header{{Key: schemas.HeaderRedriven, Value: []byte(value)}}); len(got) != 0 {
			t.Errorf("%q: got %v", value, got)
		}
	}
	f("")
	f("1")
	f("letter")
	f("letter 00ff")
	f("letter 00ff telemetry")
	f("letter 00ff telemetry/3")
	f("letter 00ff telemetry@3")
	f("letter 00ff telemetry/3@")
	f("letter 00ff telemetry/3@-1")
	f("letter 00ff telemetry/-3@1")
	f("letter 00ff telemetry/3@9223372036854775808")
	f("letter 00ff telemetry/2147483648@1")
	f("00ff telemetry/3@1")
}

func TestALetterKnowsWhetherItWasCut(t *testing.T) {
	f := func(size int64, value, detail string, want bool) {
		t.Helper()
		if got := (&schemas.DeadLetter{Size: size, Key: []byte("k"), Value: []byte(value), Detail: detail}).Cut(); got != want {
			t.Errorf("%d bytes of %d, %q: got %v", len(value)+1, size, detail, got)
		}
	}
	f(4, "abc", "", false)
	f(5, "abc", "", true)
	f(1, "", "", false)
	f(-1, "abc", "it is bad", false)
	f(-1, "abc", "it is bad (value cut from 990000 bytes; headers left out)", true)
}
