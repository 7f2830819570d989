package engines

import (
	"context"
	"testing"
	"time"
)

// startTime bounds the start of the engines, on a machine that does much else.
const startTime = 3 * time.Minute

// StartTest starts a cluster for a test. It is gone when the test ends; if the test failed, the end of every log is shown.
func StartTest(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	c, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Logs(60))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
