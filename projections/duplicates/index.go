package duplicates

// find returns the place of a report in the index, or the empty place where it belongs.
func (w *Window) find(id ID) (at int, known bool) {
	if len(w.index) == 0 {
		return 0, false
	}
	mask := len(w.index) - 1
	for at = int(id[0]) & mask; w.index[at] != 0; at = (at + 1) & mask {
		if w.ring[w.index[at]-1].id == id {
			return at, true
		}
	}
	return at, false
}

// unlink empties a place. What was pushed behind it by collisions moves up, so that no search ends too early.
func (w *Window) unlink(at int) {
	mask := len(w.index) - 1
	for next := (at + 1) & mask; w.index[next] != 0; next = (next + 1) & mask {
		home := int(w.ring[w.index[next]-1].id[0]) & mask
		if (next-home)&mask >= (next-at)&mask {
			w.index[at] = w.index[next]
			at = next
		}
	}
	w.index[at] = 0
}

// grow doubles the ring, up to the limit, and makes the index anew.
func (w *Window) grow() {
	ring := make([]entry, min(max(2*len(w.ring), firstRing), w.limits.Entries))
	n := copy(ring, w.ring[w.front:])
	copy(ring[n:], w.ring[:w.front])
	places := 1
	for places < 2*len(ring) {
		places *= 2
	}
	w.ring, w.front, w.index = ring, 0, make([]uint32, places)
	for slot := range w.count {
		at, _ := w.find(ring[slot].id) // a later entry of a report takes the earlier one's place
		w.index[at] = uint32(slot) + 1
	}
}
