package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// child is a process whose CPU time is measured, its own children's included.
type child struct {
	cmd   *exec.Cmd
	ready map[string]string // the attributes of its log line "ready"
	out   io.ReadCloser
}

// start runs a program that logs JSON lines, and waits for the line "ready".
func start(ctx context.Context, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, program, args...)}
	var err error
	if c.out, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %q: %w; run make build", program, err)
	}
	lines := bufio.NewScanner(c.out)
	for lines.Scan() {
		line := map[string]any{}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == "ready" {
			c.ready = map[string]string{}
			for name, value := range line {
				c.ready[name] = fmt.Sprint(value)
			}
			go func() { _, _ = io.Copy(io.Discard, c.out) }()
			return c, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%q ended before it was ready", program), c.cmd.Wait())
}

// stop ends the child and returns the CPU time it took.
func (c *child) stop() (time.Duration, error) {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	if err := c.cmd.Wait(); err != nil {
		return 0, fmt.Errorf("the child ended with: %w", err)
	}
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime(), nil
}

// serveNull is the gateway's ceiling: it reads the body, appends it as it is, as one record, and answers what the gateway
// answers once the broker has it.
func serveNull(ctx context.Context, addr, broker string) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic("null"), kgo.ProducerLinger(time.Millisecond))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if _, err := kadm.NewClient(producer).CreateTopic(ctx, 12, 1, nil, "null"); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answer := []byte(`{"accepted":1,"readings":100,"refused":0,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}` + "\n")
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = producer.ProduceSync(r.Context(), &kgo.Record{Value: body}).FirstErr()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})}
	fmt.Printf("{\"msg\":\"ready\",\"gateway\":\"http://%s\"}\n", listener.Addr())
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() { <-end; _ = server.Close() }()
	_ = server.Serve(listener)
}
