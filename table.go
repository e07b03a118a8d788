package stile

import (
	"maps"
	"sync"
	"sync/atomic"
)

// table is a map that is read much more often than it grows: reading what has
// been there for a while takes no lock and no memory. What is new is found under
// the lock, until enough readers had to look there to make copying worth it.
// (sync.Map boxes its keys, which costs an allocation for each look-up by more
// than one string.)
type table[K comparable, V any] struct {
	settled atomic.Pointer[map[K]V] // never changed

	mu     sync.Mutex // guards the rest
	fresh  map[K]V    // all of settled and what is new; nil when there is nothing new
	misses int
}

func (t *table[K, V]) get(key K) (V, bool) {
	if settled := t.settled.Load(); settled != nil {
		if v, ok := (*settled)[key]; ok {
			return v, true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.fresh[key]
	if !ok {
		if settled := t.settled.Load(); settled != nil { // it may have settled meanwhile
			v, ok = (*settled)[key]
		}
		return v, ok
	}
	if t.misses++; t.misses >= len(t.fresh) {
		settled := t.fresh
		t.settled.Store(&settled)
		t.fresh, t.misses = nil, 0
	}
	return v, true
}

// put adds a value unless there is one for key already, and gives the one that is there.
func (t *table[K, V]) put(key K, v V) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	settled := t.settled.Load()
	if t.fresh == nil {
		t.fresh = map[K]V{}
		if settled != nil {
			t.fresh = maps.Clone(*settled)
		}
	}
	if have, ok := t.fresh[key]; ok {
		return have
	}
	t.fresh[key] = v
	return v
}
