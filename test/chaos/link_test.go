package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers each connection with what it says, until it has said its last.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func linked(t *testing.T) (*link, *atomic.Int64) {
	t.Helper()
	var cuts atomic.Int64
	l, err := newLink("test", echo(t), &cuts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l, &cuts
}

func dial(t *testing.T, l *link) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// talk says something and returns how much of it came back before the connection ended.
func talk(t *testing.T, conn *net.TCPConn, text string) (back string, err error) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	_ = conn.CloseWrite()
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func TestALinkPasses(t *testing.T) {
	l, cuts := linked(t)
	text := strings.Repeat("every byte ", 100_000)
	if back, err := talk(t, dial(t, l), text); back != text || err != nil {
		t.Errorf("got %d bytes back (%v), want %d", len(back), err, len(text))
	}
	l.set(weather{delay: 20 * time.Millisecond})
	begin := time.Now()
	if back, err := talk(t, dial(t, l), "late"); back != "late" || err != nil {
		t.Errorf("delayed: got %q, %v", back, err)
	}
	if took := time.Since(begin); took < 40*time.Millisecond {
		t.Errorf("delayed: it came back after %s, want 20 ms each way", took)
	}
	if n := cuts.Load(); n != 0 {
		t.Errorf("%d connections were cut, want none", n)
	}
}

func TestALinkBreaks(t *testing.T) {
	f := func(name string, w weather, most string) {
		t.Helper()
		l, cuts := linked(t)
		l.set(w)
		back := ""
		conn, err := net.Dial("tcp", l.addr()) // a refusal may show here already
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			back, err = talk(t, conn.(*net.TCPConn), "0123456789")
		}
		if err == nil || !strings.HasPrefix(most, back) {
			t.Errorf("%s: got %q (%v), want at most %q and a broken connection", name, back, err, most)
		}
		if n := cuts.Load(); n != 1 {
			t.Errorf("%s: %d connections were cut, want 1", name, n)
		}
	}
	f("refuse", weather{refuse: true}, "")
	f("deaf", weather{deaf: true}, "")
	f("cut in the middle", weather{cutAfter: 4}, "0123") // what got there may be answered before the cut
}

func TestALinkLosesSomeAnswers(t *testing.T) {
	l, cuts := linked(t)
	l.set(weather{deaf: true, about: "secret"})
	if back, err := talk(t, dial(t, l), "known"); back != "known" || err != nil {
		t.Errorf("got %q (%v) for what the weather is not about", back, err)
	}
	if back, err := talk(t, dial(t, l), "a secret"); back != "" || err == nil || cuts.Load() != 1 {
		t.Errorf("got %q (%v) and %d cuts for what it is about", back, err, cuts.Load())
	}
}

func TestALinkHolds(t *testing.T) {
	l, _ := linked(t)
	conn := dial(t, l)
	l.set(weather{hold: true})
	if _, err := io.WriteString(conn, "held"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes (%v) through a link that holds everything", n, err)
	}
	l.set(weather{})
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, 4)
	if _, err := io.ReadFull(conn, back); err != nil || string(back) != "held" {
		t.Errorf("got %q (%v) afterwards, want what was held", back, err)
	}
}

// TestALinkDeliversLate holds what a client said, which then leaves: it arrives all the same.
func TestALinkDeliversLate(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var cuts atomic.Int64
	l, err := newLink("test", listener.Addr().String(), &cuts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	l.set(weather{hold: true})
	conn := dial(t, l)
	if _, err := io.WriteString(conn, "last words"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	l.set(weather{})
	if heard, err := io.ReadAll(server); err != nil || string(heard) != "last words" {
		t.Errorf("the server heard %q (%v)", heard, err)
	}
}

func TestACutBreaksOpenConnections(t *testing.T) {
	l, cuts := linked(t)
	conn := dial(t, l)
	if _, err := io.WriteString(conn, "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	l.cut()
	if n, err := conn.Read(make([]byte, 1)); err == nil || cuts.Load() != 1 {
		t.Errorf("got %d bytes (%v) and %d cuts after a cut", n, err, cuts.Load())
	}
}

// TestALinkKnowsItsClients gives this process's connections bad weather, and another's none.
func TestALinkKnowsItsClients(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only linux tells who holds a connection")
	}
	l, cuts := linked(t)
	self, other := running(t, os.Getpid()), running(t, os.Getppid())
	l.setFor(other, weather{deaf: true})
	if back, err := talk(t, dial(t, l), "text"); back != "text" || err != nil {
		t.Errorf("bad weather of another: got %q (%v)", back, err)
	}
	l.setFor(self, weather{deaf: true})
	if back, err := talk(t, dial(t, l), "text"); back != "" || err == nil || cuts.Load() != 1 {
		t.Errorf("bad weather of ours: got %q (%v) and %d cuts", back, err, cuts.Load())
	}
	l.setFor(self, weather{})
	if back, err := talk(t, dial(t, l), "text"); back != "text" || err != nil {
		t.Errorf("good weather again: got %q (%v)", back, err)
	}
}

func running(t *testing.T, pid int) *process {
	t.Helper()
	found, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	return &process{life: &life{cmd: &exec.Cmd{Process: found}}}
}
