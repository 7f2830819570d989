package jsonscan

import "hash/maphash"

// set finds duplicates among the names of an object. Few names are compared one by one; many go into a table that is
// used again without being cleared.
type set struct {
	names  []string
	table  []slot
	round  uint32
	seed   maphash.Seed
	seeded bool
}

// slot is a place of the table, in use if its round is the set's.
type slot struct {
	round uint32
	hash  uint32
	name  uint32 // its index in names
}

// few is how many names are compared one by one.
const few = 8

func (s *set) reset() {
	s.names = s.names[:0]
	s.round++
	if s.round == 0 { // after four thousand million objects
		clear(s.table)
		s.round = 1
	}
	if !s.seeded {
		s.seed, s.seeded = maphash.MakeSeed(), true
	}
}

// add tells whether name is new.
func (s *set) add(name string) bool {
	if len(s.names) < few {
		for _, had := range s.names {
			if had == name {
				return false
			}
		}
		s.names = append(s.names, name)
		return true
	}
	if len(s.names) == few || 2*len(s.names) > len(s.table) {
		s.rebuild()
	}
	if !s.insert(name, uint32(len(s.names))) {
		return false
	}
	s.names = append(s.names, name)
	return true
}

// rebuild puts every name into a table that is at most half full.
func (s *set) rebuild() {
	if size := max(64, 4*len(s.names)); len(s.table) < size {
		s.table = make([]slot, powerOfTwo(size))
	}
	s.round++
	for i, name := range s.names {
		s.insert(name, uint32(i))
	}
}

func powerOfTwo(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

func (s *set) insert(name string, index uint32) bool {
	hash := uint32(maphash.String(s.seed, name))
	mask := uint32(len(s.table) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		place := &s.table[at]
		if place.round != s.round {
			*place = slot{round: s.round, hash: hash, name: index}
			return true
		}
		if place.hash == hash && s.names[place.name] == name {
			return false
		}
	}
}
