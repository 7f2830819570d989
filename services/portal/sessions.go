package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
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

// user returns whose session it is. A request that its page makes by itself does not make the session live longer.
func (s *sessions) user(id string, byItself bool) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := sha256.Sum256([]byte(id)), s.now()
	one, known := s.open[key]
	if !known || s.expired(one, now) {
		delete(s.open, key)
		return User{}, false
	}
	if !byItself {
		one.used = now
	}
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
	maxAttempts  = 10_000 // names and addresses that are remembered; others are refused until there is room
)

func newAttempts() *attempts { return &attempts{now: time.Now, of: map[string]*bucket{}} }

// allowed tells whether one more may be made, by each of the keys, and counts it. What is refused leaves nothing behind: who is blocked
// cannot fill the memory with names, and so drive out what it holds.
func (a *attempts) allowed(keys ...string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for _, key := range keys {
		if b := a.of[key]; b != nil && b.left(now) < 1 {
			return false
		}
	}
	if !a.room(keys, now) {
		return false
	}
	for _, key := range keys {
		a.take(key, now)
	}
	return true
}

// forgive gives back what a right password took.
func (a *attempts) forgive(keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		delete(a.of, key)
	}
}

// left returns the tokens there are by now.
func (b *bucket) left(now time.Time) float64 {
	return min(attemptBurst, b.tokens+now.Sub(b.at).Seconds()/attemptEvery.Seconds())
}

func (a *attempts) take(key string, now time.Time) {
	tokens := float64(attemptBurst)
	if b := a.of[key]; b != nil {
		tokens = b.left(now)
	}
	a.of[key] = &bucket{tokens: tokens - 1, at: now}
}

// room tells whether the keys can be remembered. Where they cannot, those who have all their tokens again are forgotten, and never anybody else.
func (a *attempts) room(keys []string, now time.Time) bool {
	if len(a.of)+len(keys) > maxAttempts {
		maps.DeleteFunc(a.of, func(_ string, b *bucket) bool { return b.left(now) >= attemptBurst })
	}
	more := 0
	for _, key := range keys {
		if a.of[key] == nil {
			more++
		}
	}
	return len(a.of)+more <= maxAttempts
}
