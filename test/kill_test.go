package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// fails runs a command of the program that must fail, and returns what it printed.
func (s *system) fails(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(binary(s.t), args...).CombinedOutput()
	if err == nil {
		s.t.Errorf("fieldlog %s did not fail:\n%s", strings.Join(args, " "), out)
	}
	return string(out)
}

// receipts are what the gateway acknowledged.
type receipts struct {
	mu  sync.Mutex
	all map[eventlog.Position]string // -> event id
}

// count returns how many there are.
func (r *receipts) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// load posts reports from several senders until the gateway is gone. Every acknowledged report leaves a receipt; first is
// called at the first one.
func (r *receipts) load(gateway string, senders, round int, first func()) {
	var wg sync.WaitGroup
	var once sync.Once
	before, deadline := r.count(), time.Now().Add(patience)
	for sender := range senders {
		wg.Go(func() {
			client := &http.Client{Timeout: 45 * time.Second}
			for n := 0; r.send(client, gateway, sender, round, n); n++ {
				switch {
				case r.count() > before:
					once.Do(first)
				case time.Now().After(deadline):
					return
				}
			}
		})
	}
	wg.Wait()
}

func (r *receipts) send(client *http.Client, gateway string, sender, round, n int) bool {
	var body bytes.Buffer
	for report := range 20 {
		// Quarters add up exactly in any order, so sums can be compared; some reports lie in another month.
		at := time.Now().Add(-time.Duration(report%3) * 20 * 24 * time.Hour).Format(time.RFC3339Nano)
		fmt.Fprintf(&body, `{"client":"c%d","device":"d%d","event_id":"%d-%d-%d-%d","time":%q,"readings":{"level":%d.25,"count":%d,"on":%v,"state":"s%d"}}`+"\n",
			sender, report, round, sender, n, report, at, n, n*report, n%2 == 0, n%5)
	}
	resp, err := client.Post(gateway+"/v1/telemetry?positions=true", "application/x-ndjson", &body)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return false
	}
	var answer struct {
		Items []struct {
			EventID   string `json:"event_id"`
			Topic     eventlog.Topic
			Partition eventlog.Partition
			Offset    eventlog.Offset
		}
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil {
		return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range answer.Items {
		r.all[eventlog.Position{Topic: item.Topic, Partition: item.Partition, Offset: item.Offset}] = item.EventID
	}
	return true
}

// check reads the log and compares: every receipt is there at its position; every record is stored exactly once, and every
// rollup is what its readings say.
func (r *receipts) check(t *testing.T, s *system) {
	t.Helper()
	log := s.openLog()
	decoder := eventlog.NewDecoder[schemas.TelemetryReported](log, schemas.KindTelemetryReported)
	want, total := map[string]int{}, 0
	left := len(r.all)
	for record, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		var event schemas.TelemetryReported
		if err := decoder.Decode(t.Context(), record, &event); err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprintf("%d\t%d", record.Partition, record.Offset)] = len(event.Readings)
		total += len(event.Readings)
		if id, acknowledged := r.all[record.Position]; acknowledged {
			left--
			if id != event.EventID {
				t.Errorf("at %v is event %q, acknowledged was %q", record.Position, event.EventID, id)
			}
		}
	}
	if left != 0 {
		t.Errorf("%d of %d acknowledged reports are not in the log", left, len(r.all))
	}
	s.eventually(patience, "SELECT count() FROM fieldlog.readings", fmt.Sprint(total))
	for _, row := range s.query("SELECT partition, `offset`, count(), uniqExact(`index`) FROM fieldlog.readings GROUP BY ALL") {
		var partition, offset, count, distinct int
		if _, err := fmt.Sscan(row, &partition, &offset, &count, &distinct); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%d\t%d", partition, offset)
		if count != want[key] || distinct != count {
			t.Errorf("record %s has %d readings; stored are %d rows, %d of them different", key, want[key], count, distinct)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("%d records are not stored", len(want))
	}
	s.eventually(patience, "SELECT count() FROM fieldlog.reports", fmt.Sprint(len(s.query("SELECT 1 FROM fieldlog.readings GROUP BY partition, `offset`"))))
	checkRollups(t, s)
	t.Logf("%d reports acknowledged, %d readings stored", len(r.all), total)
}

// checkRollups compares every rollup with what the readings say.
func checkRollups(t *testing.T, s *system) {
	t.Helper()
	for table, start := range map[string]string{"readings_1m": "toStartOfMinute(time)", "readings_1h": "toStartOfHour(time)", "readings_1d": "toStartOfDay(time)"} {
		const same = "client, device, metric, toUnixTimestamp(%s) AS t, toUInt64(%s), toFloat64(%s), toFloat64(%s), toFloat64(%s), toFloat64(%s)"
		stored := fmt.Sprintf("SELECT "+same+" FROM fieldlog.%s", "time", "count", "min", "max", "sum", "last", table)
		derived := fmt.Sprintf("SELECT "+same+" FROM fieldlog.readings WHERE type != 'text' GROUP BY client, device, metric, t",
			start, "count()", "min(value)", "max(value)", "sum(value)", "argMax(value, (time, partition, `offset`, `index`))")
		// A view is fed a moment after its table; what is missing for longer is lost.
		var rows []string
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			rows = append(s.query(stored+" EXCEPT "+derived), s.query(derived+" EXCEPT "+stored)...)
			if len(rows) == 0 {
				break
			}
		}
		if len(rows) > 0 {
			t.Errorf("%s differs from its readings in %d rows, such as %q", table, len(rows), rows[0])
		}
		if len(s.query(stored+" LIMIT 1")) == 0 {
			t.Errorf("%s is empty", table)
		}
	}
}

// TestTenKillsUnderLoad kills the whole process tree ten times while reports come in.
func TestTenKillsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	r := &receipts{all: map[eventlog.Position]string{}}
	ids := ""
	for round := range 10 {
		begin := time.Now()
		s := up(t, dir, "--block-age", "300ms")
		ready := time.Since(begin)
		if got := s.schemaIDs(); ids == "" {
			ids = got
		} else if got != ids {
			t.Errorf("the registry's ids were %s, now are %s", ids, got)
		}
		before := len(r.all)
		var dead *time.Timer
		r.load(s.Gateway, 4, round, func() {
			dead = time.AfterFunc(time.Duration(200+137*round)*time.Millisecond, s.kill) // a different moment each time
		})
		if dead != nil {
			dead.Stop()
		}
		s.kill()
		t.Logf("round %d: ready after %s, %d acknowledged, over after %s", round, ready.Round(time.Millisecond), len(r.all)-before, time.Since(begin).Round(time.Millisecond))
		if len(r.all) == before {
			t.Errorf("nothing was acknowledged in round %d:\n%s", round, s.output())
		}
	}
	s := up(t, dir)
	r.check(t, s)
	if a := s.audit("--wait=1m"); a.code != 0 || a.log < len(r.all) || a.stored != a.log {
		t.Errorf("the audit says %+v", a)
	}
	s.stop()
}
