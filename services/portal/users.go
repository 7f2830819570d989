package portal

import (
	"bufio"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Role is what a user may do.
type Role string

// The roles.
const (
	// RoleViewer sees everything and changes nothing.
	RoleViewer Role = "viewer"
	// RoleOperator also orders, cancels, retries, abandons, redrives and discards.
	RoleOperator Role = "operator"
)

// User is somebody who may log in.
type User struct {
	Name string
	Role Role
	Hash Hash
}

// ReadUsers reads a file of users: a line each, name:role:hash, where the hash is a PHC string of argon2id. Empty lines and those
// that begin with # are left out.
func ReadUsers(path string) (map[string]User, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read users: %w; change --portal-users", err)
	}
	defer file.Close()
	users := map[string]User{}
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, err := parseUser(line)
		if _, twice := users[user.Name]; err == nil && twice {
			err = fmt.Errorf("%q is there twice", user.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("read users: line %d of %q: %w", number, path, err)
		}
		users[user.Name] = user
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("read users: %q names nobody", path)
	}
	return users, nil
}

func parseUser(line string) (User, error) {
	name, rest, _ := strings.Cut(line, ":")
	role, hash, told := strings.Cut(rest, ":")
	switch {
	case !told || name == "" || len(name) > maxName:
		return User{}, errors.New(`want name:role:hash, the hash as "fieldlog portal hash" prints it`)
	case role != string(RoleViewer) && role != string(RoleOperator):
		return User{}, fmt.Errorf("the role %q is neither viewer nor operator", role)
	}
	h, err := ParseHash(hash)
	return User{Name: name, Role: Role(role), Hash: h}, err
}

// The bounds of what is typed into the form, in bytes.
const (
	maxName     = 64
	maxPassword = 1024
)

// Hash is an argon2id hash with what it was made with.
type Hash struct {
	memory, time uint32 // KiB, passes
	threads      uint8
	salt, sum    []byte
}

// What a new hash costs: OWASP's second choice, 19 MiB and two passes.
const (
	hashMemory  = 19 << 10 // KiB
	hashTime    = 2
	hashThreads = 1
	hashBytes   = 32
)

// NewHash hashes a password with a salt of its own.
func NewHash(password string) Hash {
	h := Hash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, 16)}
	_, _ = rand.Read(h.salt) // it never fails: crypto/rand ends the process instead
	h.sum = h.of(password, hashBytes)
	return h
}

// nobody returns a hash that no password is known to have, at the cost of the costliest of the users': time does not tell which names
// there are, where all hashes cost the same.
func nobody(users map[string]User) Hash {
	var h Hash
	for _, u := range users {
		if u.Hash.cost() > h.cost() {
			h = u.Hash
		}
	}
	h.sum = make([]byte, len(h.sum))
	_, _ = rand.Read(h.sum)
	return h
}

// cost is the work of one comparison, in KiB that are filled.
func (h Hash) cost() uint64 { return uint64(h.memory) * uint64(h.time) }

func (h Hash) of(password string, length int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(length))
}

// Is tells whether a password has this hash, in a time that does not depend on what differs.
func (h Hash) Is(password string) bool {
	return subtle.ConstantTimeCompare(h.of(password, len(h.sum)), h.sum) == 1
}

// String returns the PHC string.
func (h Hash) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b.EncodeToString(h.salt), b.EncodeToString(h.sum))
}

// ParseHash reads a PHC string of argon2id. What would cost more than 256 MiB or 16 passes is refused.
func ParseHash(text string) (Hash, error) {
	wrong := errors.New("want an argon2id hash, $argon2id$v=19$m=...,t=...,p=...$salt$hash")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Hash{}, wrong
	}
	var h Hash
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); err != nil || n != 3 {
		return Hash{}, wrong
	}
	var saltErr, sumErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, sumErr = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case saltErr != nil, sumErr != nil, len(h.salt) < 8, len(h.sum) < 16, len(h.sum) > 128:
		return Hash{}, wrong
	case h.memory < 8<<10, h.memory > 256<<10, h.time < 1, h.time > 16, h.threads < 1, h.threads > 16:
		return Hash{}, errors.New("the hash costs too little or too much: want 8 to 256 MiB, 1 to 16 passes, 1 to 16 threads")
	}
	return h, nil
}
