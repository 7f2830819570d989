package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestClockSteps has the gateway's clock step hours back and ahead between any two requests, under load.
func TestClockSteps(t *testing.T) {
	var step atomic.Int64
	cfg := future
	cfg.Now = func() time.Time {
		hours := []int{0, -5, 7, 0, -11, 3}[step.Add(1)%6]
		return time.Now().Add(time.Duration(hours) * time.Hour)
	}
	f := start(t, cfg)
	const devices, reports = 8, 100
	var senders sync.WaitGroup
	for device := range devices {
		senders.Go(func() {
			for n := range reports {
				body := fmt.Sprintf(`{"client":"c","device":"d%d","readings":{"n":%d}}`, device, n)
				if status, answer, _ := f.do(t, "POST", "/v1/telemetry", body); status != http.StatusOK {
					t.Errorf("got %d %s", status, answer)
				}
			}
		})
	}
	senders.Wait()
	ids, next := map[string]bool{}, map[string]int64{}
	for _, r := range f.stored(t) {
		if ids[r.EventID] {
			t.Errorf("event id %q stands twice", r.EventID)
		}
		ids[r.EventID] = true
		if got := r.Readings[0].Value.Integer(); got != next[r.Device] {
			t.Fatalf("%s: after report %d comes %d", r.Device, next[r.Device]-1, got)
		}
		next[r.Device]++
	}
	if len(ids) != devices*reports {
		t.Errorf("%d reports are in the log, want %d", len(ids), devices*reports)
	}
}

// TestAClockBehindRefusesByTheDevicesTime tells a device whose clock is right that the gateway's is not.
func TestAClockBehindRefusesByTheDevicesTime(t *testing.T) {
	cfg := future
	cfg.Future = 10 * time.Minute
	cfg.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	f := start(t, cfg)
	body := fmt.Sprintf(`{"client":"c","device":"d","time":%q,"readings":{"n":1}}`, time.Now().Format(time.RFC3339))
	if status, answer, _ := f.do(t, "POST", "/v1/telemetry", body); status != http.StatusBadRequest || !strings.Contains(answer, "future") {
		t.Errorf("got %d %s", status, answer)
	}
}
