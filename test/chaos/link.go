package chaos

import (
	"bytes"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// weather is what a link does to what passes. The zero weather passes everything at once.
type weather struct {
	// refuse closes every new connection at once.
	refuse bool
	// hold passes nothing, in either direction, as if every packet were lost. What was held passes when the weather
	// changes, even when its sender has gone meanwhile: that is what TCP's retransmissions do.
	hold bool
	// deaf loses answers: a connection breaks when the server says something. The request has been done.
	deaf bool
	// about narrows deaf to the answers to requests that hold this text.
	about string
	// delay is added to each piece of data.
	delay time.Duration
	// cutAfter breaks a connection after so many bytes towards the server, in the middle of a request. 0 never does.
	cutAfter int
}

// link is a proxy between two parties, on loopback.
type link struct {
	name     string
	listener net.Listener
	cuts     *atomic.Int64 // connections it broke

	mu      sync.Mutex
	target  string
	now     weather
	only    map[*process]weather // of single clients, where it differs
	changed chan struct{}        // closed when the weather changes
	pairs   map[*pair]struct{}
	closed  bool
}

// newLink listens on a free port. Its target may be set later: until then it refuses.
func newLink(name, target string, cuts *atomic.Int64) (*link, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{name: name, listener: listener, cuts: cuts, target: target, changed: make(chan struct{}), pairs: map[*pair]struct{}{}}
	go l.accept()
	return l, nil
}

func (l *link) addr() string { return l.listener.Addr().String() }

// aim points new connections at an address.
func (l *link) aim(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

// set changes the weather, for connections that are open too.
func (l *link) set(w weather) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = w
	close(l.changed)
	l.changed = make(chan struct{})
}

// setFor changes the weather for one client of a link that others share; the zero weather makes it what others have.
func (l *link) setFor(client *process, w weather) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.only == nil {
		l.only = map[*process]weather{}
	}
	l.only[client] = w
	if w == (weather{}) {
		delete(l.only, client)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// over returns the weather over a connection and what is closed when it changes.
func (l *link) over(p *pair) (weather, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for client, w := range l.only {
		if p.from(client) {
			return w, l.changed
		}
	}
	return l.now, l.changed
}

// cut breaks every open connection.
func (l *link) cut() {
	for _, p := range l.open() {
		p.cut()
	}
}

func (l *link) open() []*pair {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := make([]*pair, 0, len(l.pairs))
	for p := range l.pairs {
		open = append(open, p)
	}
	return open
}

// close stops listening and breaks every connection.
func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.listener.Close() // nothing can be lost
	for _, p := range l.open() {
		p.close()
	}
}

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.serve(client.(*net.TCPConn))
	}
}

func (l *link) serve(client *net.TCPConn) {
	defer func() { _ = client.Close() }() // the pair may have done so already
	l.mu.Lock()
	target, refuse := l.target, l.now.refuse || l.target == ""
	l.mu.Unlock()
	if refuse {
		l.cuts.Add(1)
		_ = client.SetLinger(0)
		return
	}
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		_ = client.SetLinger(0) // nobody is there: the client is told by a reset
		return
	}
	p := &pair{link: l, client: client, server: server.(*net.TCPConn), done: make(chan struct{})}
	if !l.add(p) {
		p.close()
		return
	}
	p.run()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

func (l *link) add(p *pair) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.pairs[p] = struct{}{}
	}
	return !l.closed
}

// pair is a client's connection and the one to the server that goes with it.
type pair struct {
	link           *link
	client, server *net.TCPConn
	sent           int         // bytes towards the server
	asked          atomic.Bool // the request under way holds what the weather is about
	owner          atomic.Pointer[process]
	once           sync.Once
	done           chan struct{} // closed with the connections
}

// from tells whether a process is the client. Who it is does not change.
func (p *pair) from(client *process) bool {
	if owner := p.owner.Load(); owner != nil {
		return owner == client
	}
	l := client.current()
	if l == nil || !owns(l.cmd.Process.Pid, portOf(p.client.RemoteAddr()), portOf(p.client.LocalAddr())) {
		return false
	}
	p.owner.Store(client)
	return true
}

func portOf(a net.Addr) int { return a.(*net.TCPAddr).Port }

// run carries data both ways until both ends have said their last.
func (p *pair) run() {
	var both sync.WaitGroup
	both.Go(func() { p.carry(p.client, p.server, true) })
	both.Go(func() { p.carry(p.server, p.client, false) })
	both.Wait()
	p.close()
}

func (p *pair) carry(from, to *net.TCPConn, asking bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.pass(to, buf[:n], asking) {
			return
		}
		if err != nil {
			_ = to.CloseWrite() // the other side may be gone already
			return
		}
	}
}

// pass hands data on as the weather has it. It returns false when the connection is over.
func (p *pair) pass(to *net.TCPConn, data []byte, asking bool) bool {
	w, open := p.wait()
	switch {
	case !open:
		return false
	case w.deaf && !asking && (w.about == "" || p.asked.Load()):
		p.cut()
		return false
	case w.cutAfter > 0 && asking && p.sent+len(data) > w.cutAfter:
		_, _ = to.Write(data[:max(0, w.cutAfter-p.sent)]) // a broken connection is the point
		p.cut()
		return false
	}
	switch {
	case !asking:
		p.asked.Store(false)
	case w.about != "" && bytes.Contains(data, []byte(w.about)):
		p.asked.Store(true)
	}
	if asking {
		p.sent += len(data)
	}
	_, err := to.Write(data)
	return err == nil
}

// wait returns the weather once it lets something through.
func (p *pair) wait() (w weather, open bool) {
	for {
		now, changed := p.link.over(p)
		if !now.hold {
			return now, p.pause(now.delay)
		}
		select {
		case <-changed:
		case <-p.done:
			return now, false
		}
	}
}

func (p *pair) pause(d time.Duration) (open bool) {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}

// cut breaks the connection with a reset to both ends.
func (p *pair) cut() {
	p.once.Do(func() {
		p.link.cuts.Add(1)
		_ = p.client.SetLinger(0)
		_ = p.server.SetLinger(0)
		p.end()
	})
}

// close ends the connection in good order.
func (p *pair) close() { p.once.Do(p.end) }

func (p *pair) end() {
	close(p.done)
	_ = p.client.Close() // both may have ended already
	_ = p.server.Close()
}
