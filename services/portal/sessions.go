package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// sessions are those who logged in. They live in memory: a restart ends them.
type sessions struct {
	idle, age time.Duration
	most      int
	now       func() time.Time

	mu   sync.Mutex
	open map[[32]byte]*session // by digest, so that memory does not tell the ids
}

type session struct {
	user        User
	begun, used time.Time
}

func newSessions(idle, age time.Duration, most int) *sessions {
	return &sessions{idle: idle, age: age, most: most, now: time.Now, open: map[[32]byte]*session{}}
}

// begin returns the id of a new session. Where there are too many, the one that was not used for longest ends.
func (s *sessions) begin(u User) string {
	id := rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if len(s.open) >= s.most {
		s.makeRoom(now)
	}
	s.open[sha256.Sum256([]byte(id))] = &session{user: u, begun: now, used: now}
	return id
}

// makeRoom forgets what has expired, or else the session that was not used for longest.
func (s *sessions) makeRoom(now time.Time) {
	var oldest [32]byte
	var used time.Time
	for id, one := range s.open {
		if s.expired(one, now) {
			delete(s.open, id)
		} else if used.IsZero() || one.used.Before(used) {
			oldest, used = id, one.used
		}
	}
	if len(s.open) >= s.most {
		delete(s.open, oldest)
	}
}

func (s *sessions) expired(one *session, now time.Time) bool {
	return now.Sub(one.used) >= s.idle || now.Sub(one.begun) >= s.age
}

// user returns whose session it is.
func (s *sessions) user(id string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := sha256.Sum256([]byte(id)), s.now()
	one, known := s.open[key]
	if !known || s.expired(one, now) {
		delete(s.open, key)
		return User{}, false
	}
	one.used = now
	return one.user, true
}

func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, sha256.Sum256([]byte(id)))
}

func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// attempts slows down who guesses passwords: after five wrong ones of a name or from an address, each next one waits for a token that
// comes every ten seconds.
type attempts struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

const (
	attemptBurst = 5
	attemptEvery = 10 * time.Second
	maxAttempts  = 10_000 // names and addresses that are remembered
)

func newAttempts() *attempts { return &attempts{now: time.Now, of: map[string]*bucket{}} }

// allowed tells whether one more may be made, by each of the keys, and counts it.
func (a *attempts) allowed(keys ...string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, all := a.now(), true
	for _, key := range keys {
		all = a.bucket(key, now).tokens >= 1 && all
	}
	for _, key := range keys {
		if b := a.bucket(key, now); all {
			b.tokens--
		}
	}
	return all
}

// forgive gives back what a right password took.
func (a *attempts) forgive(keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		delete(a.of, key)
	}
}

func (a *attempts) bucket(key string, now time.Time) *bucket {
	b := a.of[key]
	if b == nil {
		if len(a.of) >= maxAttempts {
			a.forget(now)
		}
		b = &bucket{tokens: attemptBurst, at: now}
		a.of[key] = b
	}
	b.tokens = min(attemptBurst, b.tokens+now.Sub(b.at).Seconds()/attemptEvery.Seconds())
	b.at = now
	return b
}

// forget drops who has waited long enough, and everybody where that is not enough.
func (a *attempts) forget(now time.Time) {
	for key, b := range a.of {
		if now.Sub(b.at) >= attemptBurst*attemptEvery {
			delete(a.of, key)
		}
	}
	if len(a.of) >= maxAttempts {
		clear(a.of)
	}
}
