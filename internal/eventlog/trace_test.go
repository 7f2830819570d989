package eventlog

import "testing"

func TestTraceID(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := TraceID(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736")
	f("4BF92F35-77b3-4da6-a3ce-929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736")
	f("Root=1-67891233-abcdef012345678912345678", "")
	f("4bf92f3577b34da6", "")
	f("", "")
}
