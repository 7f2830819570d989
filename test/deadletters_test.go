package test

import (
	"bufio"
	"bytes"
	wire "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// listed is a line of deadletters list.
type listed struct {
	Letter, ID, State, Reason, Record, Key string
	Attempt                                int
}

// letters returns the letters in a state once there are as many as wanted.
func (s *system) letters(state string, want int, filter ...string) []listed {
	s.t.Helper()
	var all []listed
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		all = nil
		for line := range strings.Lines(s.run("", append([]string{"deadletters", "list", "--state", state}, filter...)...)) {
			var l listed
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				s.t.Fatal(err)
			}
			all = append(all, l)
		}
		if len(all) == want {
			return all
		}
	}
	s.t.Fatalf("got %d letters that are %s, want %d: %+v", len(all), state, want, all)
	return nil
}

// produce sends records to telemetry with a plain client.
func (s *system) produce(records ...*kgo.Record) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(s.Kafka, ",")...))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	for _, r := range records {
		r.Topic = s.prefix + "telemetry"
		if err := client.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestDeadLetters puts garbage and a report of an unknown schema on the topic, redrives both in vain, registers the schema,
// redrives the report, and discards the garbage.
func TestDeadLetters(t *testing.T) {
	s := up(t, t.TempDir())
	s.produce(&kgo.Record{Key: []byte("cliente02/pump-7"), Value: []byte("garbage"), Headers: []kgo.RecordHeader{{Key: "from", Value: []byte("a scanner")}}})
	s.letters("open", 1)
	late := s.lateReport()
	s.produce(&kgo.Record{Key: []byte("cliente02/roof"), Value: late})
	s.letters("open", 2)

	s.run("", "deadletters", "redrive", "--all", "--why", "to see what happens")
	s.letters("redriven", 2)
	for _, l := range s.letters("open", 2) {
		if l.Attempt != 1 {
			t.Errorf("got %+v, want attempt 1", l)
		}
	}
	garbage := s.letters("open", 1, "--reason", "not_ours")[0]
	var shown struct {
		Value   []byte
		Headers []struct {
			Key   string
			Value []byte
		}
		Story []struct{ What, Detail string }
	}
	if err := json.Unmarshal([]byte(s.run("", "deadletters", "show", garbage.Letter)), &shown); err != nil {
		t.Fatal(err)
	}
	if string(shown.Value) != "garbage" || len(shown.Headers) != 2 || string(shown.Headers[0].Value) != "a scanner" || len(shown.Story) != 3 || shown.Story[1].Detail != "to see what happens" {
		t.Errorf("got %+v", shown)
	}

	s.registerLate(late)
	redriven := 2
	for deadline := time.Now().Add(patience); ; redriven++ { // until analytics asks for the schema anew
		s.run("", "deadletters", "redrive", "--reason", "unknown_schema")
		if s.settled("roof", redriven+1) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the report is not stored")
		}
	}
	s.run("", "deadletters", "discard", garbage.Letter, "--why", "a scanner")
	s.letters("open", 0)
	s.letters("redriven", redriven+1)
	if out := s.run("", "tail", "deadletters"); strings.Count(out, `"why":"a scanner"`) != 1 || strings.Count(out, "DeadLetterDiscarded") != 1 {
		t.Errorf("the discarding is not in the log: %s", out)
	}
	s.kill()

	again := up(t, s.dir)
	again.eventually(patience, "SELECT count(), uniqExact(event_id) FROM fieldlog.reports WHERE device = 'roof'", "1\t1")
	again.stop()
}

// settled waits until a redriven report is stored, which it tells, or is a letter again.
func (s *system) settled(device string, redriven int) bool {
	s.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if rows := s.query("SELECT count() FROM fieldlog.reports WHERE device = '" + device + "'"); rows[0] != "0" {
			return true
		}
		if len(s.letters("redriven", redriven)) == redriven && s.run("", "deadletters", "list", "--reason", "unknown_schema") != "" {
			return false
		}
	}
	s.t.Fatal("the redriven report is neither stored nor a letter")
	return false
}

// lateReport returns the bytes of a report whose schema the registry does not know yet: its id will be the next.
func (s *system) lateReport() []byte {
	s.t.Helper()
	log := s.openLog()
	if err := log.Setup(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	at, err := log.Append(s.t.Context(), &schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: "late", ReceivedTime: schemas.TimeOf(time.Now())}, Client: "cliente02", Device: "shed",
		Readings: []schemas.Reading{{Metric: "temperature", Time: schemas.TimeOf(time.Now()), Value: schemas.DoubleValue(4.5)}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var value []byte
	for r, err := range log.Read(s.t.Context(), eventlog.ReadOptions{Topic: at.Topic, Partitions: []eventlog.Partition{at.Partition}, From: eventlog.FromOffset(at.Offset)}) {
		if err != nil {
			s.t.Fatal(err)
		}
		value = bytes.Replace(r.Value, []byte("shed"), []byte("roof"), 1)
		break
	}
	wire.BigEndian.PutUint32(value[1:], s.registerVariant(0)+ahead)
	return value
}

// ahead is how many schemas are registered before the late one.
const ahead = 5

// registerLate registers schemas that read the report, each under a subject of its own, until one has the report's id.
func (s *system) registerLate(value []byte) {
	s.t.Helper()
	want := wire.BigEndian.Uint32(value[1:])
	for n := 1; ; n++ {
		switch id := s.registerVariant(n); {
		case id == want:
			return
		case id > want || n > 10*ahead:
			s.t.Fatalf("the registry gave id %d, want %d", id, want)
		}
	}
}

// registerVariant registers the schema of reports with another text, as another program would, and returns its id.
func (s *system) registerVariant(n int) uint32 {
	s.t.Helper()
	versions, err := schemas.KindTelemetryReported.Versions()
	if err != nil {
		s.t.Fatal(err)
	}
	text := strings.Replace(versions[0].Text, `"doc": "`, fmt.Sprintf(`"doc": "As program %d writes it. `, n), 1)
	body, err := json.Marshal(map[string]string{"schema": text})
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.Post(fmt.Sprintf("%s/subjects/late-%d/versions", s.Registry, n), "application/vnd.schemaregistry.v1+json", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ ID uint32 }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.ID == 0 {
		s.t.Fatalf("register a schema: got %d %+v (%v)", resp.StatusCode, answer, err)
	}
	return answer.ID
}

// TestARedriveIsKilled kills one redrive after the other, and lets two run at the same time now and then. Each record is
// redriven once, in the order of its key.
func TestARedriveIsKilled(t *testing.T) {
	dir := t.TempDir()
	s := up(t, dir)
	const letters, keys, rounds = 6000, 40, 10
	records := make([]*kgo.Record, letters)
	for i := range records {
		records[i] = &kgo.Record{Key: fmt.Appendf(nil, "cliente02/pump-%d", i%keys), Value: fmt.Appendf(nil, "garbage %05d", i)}
	}
	s.produce(records...)
	s.letters("open", letters)
	s.stop()
	s = up(t, dir, "--block-age", "1h") // what is redriven and fails again does not become a letter, for which others would have to wait
	redrive := []string{"deadletters", "redrive", "--all"}
	random := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for round := range rounds {
		wait := time.Duration(random.IntN(20)) * time.Millisecond
		if round%3 == 2 {
			rival := s.start(redrive...)
			killed += s.killAfter(s.start(redrive...), wait)
			_, _ = io.Copy(io.Discard, rival.out)
			_ = rival.Wait() // it did all, or was fenced by the other
			continue
		}
		killed += s.killAfter(s.start(redrive...), wait)
	}
	if t.Logf("%d of %d redrives were killed", killed, rounds); killed < rounds/4 {
		t.Errorf("%d of %d redrives were killed, which proves little", killed, rounds)
	}
	s.run("", redrive...)
	attempts, last := map[string][2]int{}, map[string]string{}
	for r, err := range s.openLog().Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		n, value := attempts[string(r.Value)], string(r.Value)
		attempt := len(schemas.Redrives(r.Headers))
		n[attempt]++
		attempts[value] = n
		if attempt == 1 {
			if value <= last[string(r.Key)] {
				t.Errorf("%s: %q was redriven after %q", r.Key, value, last[string(r.Key)])
			}
			last[string(r.Key)] = value
		}
	}
	for value, n := range attempts {
		if n != [2]int{1, 1} {
			t.Errorf("%q was appended %d times and redriven %d times", value, n[0], n[1])
		}
	}
	if len(attempts) != letters {
		t.Errorf("got %d records, want %d", len(attempts), letters)
	}
	s.stop()
}

// start starts a command of the program.
func (s *system) start(args ...string) *started {
	s.t.Helper()
	c := &started{Cmd: exec.Command(binary(s.t), args...)}
	c.Env = s.environment()
	out, err := c.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	return c
}

// started is a command that runs.
type started struct {
	*exec.Cmd
	out *bufio.Reader
}

// killAfter kills a command some time after it has printed something, and tells whether it was in time.
func (s *system) killAfter(c *started, wait time.Duration) int {
	s.t.Helper()
	_, _ = c.out.ReadString('\n') // or its end
	time.Sleep(wait)
	_ = c.Process.Kill()
	if err := c.Wait(); c.ProcessState.Exited() {
		return 0 // it was done, or had nothing to do
	} else if err == nil {
		s.t.Error("a killed process ended well")
	}
	return 1
}
