package broker_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/embedded/broker"
)

// TestMain lets the test binary be a broker that can be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BROKER_TEST_DIR"); dir != "" {
		minFree, _ := strconv.ParseInt(os.Getenv("BROKER_TEST_MIN_FREE"), 10, 64) // 0 is the default
		b := broker.New(broker.Config{Addr: "127.0.0.1:0", Dir: dir, MinFree: minFree, Logger: slog.New(slog.DiscardHandler)})
		if err := b.Start(); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		fmt.Println("listening", b.Addr())
		select {}
	}
	os.Exit(m.Run())
}

// child starts a broker in a process of its own.
func child(t *testing.T, dir string, env ...string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "BROKER_TEST_DIR="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "listening ") {
		t.Fatalf("the broker says %q (%v)", line, err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening ")), kill
}

func client(t testing.TB, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestAcknowledgedRecordsSurviveKill kills the broker while records are produced, three times over.
func TestAcknowledgedRecordsSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]string{} // partition/offset -> value
	var id kadm.TopicID
	for round := range 3 {
		addr, kill := child(t, dir)
		producer := client(t, addr, kgo.RecordDeliveryTimeout(5*time.Second), kgo.DefaultProduceTopic("t"))
		admin := kadm.NewClient(producer)
		if round == 0 {
			if _, err := admin.CreateTopic(t.Context(), 3, 1, nil, "t"); err != nil {
				t.Fatal(err)
			}
		}
		topics, err := admin.ListTopics(t.Context(), "t")
		if err != nil {
			t.Fatal(err)
		}
		if round > 0 && topics["t"].ID != id {
			t.Fatalf("the topic's id was %v, now is %v", id, topics["t"].ID)
		}
		id = topics["t"].ID
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: "t", Partition: 1, At: int64(round), LeaderEpoch: -1, Metadata: fmt.Sprintf("note %d", round)})
		if round > 0 {
			got, err := admin.FetchOffsets(t.Context(), "g")
			if err != nil {
				t.Fatal(err)
			}
			if o, _ := got.Lookup("t", 1); o.At != int64(round-1) || o.Metadata != fmt.Sprintf("note %d", round-1) {
				t.Errorf("committed offset came back as %+v", o)
			}
		}
		if _, err := admin.CommitOffsets(t.Context(), "g", offsets); err != nil {
			t.Fatal(err)
		}
		dead := time.AfterFunc(300*time.Millisecond, kill) // at any moment of what follows
		produceUntil(producer, round, acknowledged)
		dead.Stop()
		kill()
	}
	addr, _ := child(t, dir)
	checkHeld(t, addr, acknowledged)
}

// produceUntil produces, noting what is acknowledged, until an acknowledgement fails to come.
func produceUntil(producer *kgo.Client, round int, acknowledged map[string]string) {
	for n := 0; ; n++ {
		value := fmt.Sprintf("round %d record %d", round, n)
		answer := make(chan *kgo.Record, 1)
		producer.Produce(context.Background(), &kgo.Record{Value: []byte(value)}, func(r *kgo.Record, err error) {
			if err == nil {
				answer <- r
			}
		})
		select {
		case r := <-answer:
			acknowledged[fmt.Sprint(r.Partition, "/", r.Offset)] = value
		case <-time.After(2 * time.Second): // the broker is gone
			return
		}
	}
}

func checkHeld(t *testing.T, addr string, acknowledged map[string]string) {
	t.Helper()
	reader := client(t, addr, kgo.ConsumeTopics("t"))
	seen := map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for left := len(acknowledged); left > 0; {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d acknowledged records are gone", left, len(acknowledged))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if seen[string(r.Value)] {
				t.Errorf("%q is there twice", r.Value)
			}
			seen[string(r.Value)] = true
			if want, known := acknowledged[fmt.Sprint(r.Partition, "/", r.Offset)]; known {
				left--
				if want != string(r.Value) {
					t.Errorf("at %d/%d got %q, want %q", r.Partition, r.Offset, r.Value, want)
				}
			}
		})
	}
}

// BenchmarkProduce appends records of 10 KB, many in flight, beside writing and syncing the same bytes.
func BenchmarkProduce(b *testing.B) {
	value := make([]byte, 10<<10)
	b.Run("broker", func(b *testing.B) {
		server := broker.New(broker.Config{Addr: "127.0.0.1:0", Dir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
		if err := server.Start(); err != nil {
			b.Fatal(err)
		}
		defer server.Close()
		producer := client(b, server.Addr(), kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
		if _, err := kadm.NewClient(producer).CreateTopic(b.Context(), 4, 1, nil, "t"); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(value)))
		b.ResetTimer()
		for range b.N { // not b.Loop: the flush below belongs to the measurement
			producer.Produce(b.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := producer.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("ceiling", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "f"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		b.SetBytes(int64(len(value)))
		for n := 0; b.Loop(); n++ {
			if _, err := f.Write(value); err != nil {
				b.Fatal(err)
			}
			if n%100 == 99 { // as many records as a batch of the broker's holds
				if err := f.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
