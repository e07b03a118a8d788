package sigv4

import "sync"

// Keys remembers derived signing keys, which stay the same for a day, a
// region and a service, so that a busy server hashes once where it would hash
// five times. It is bounded: when full, it starts again empty. Safe for
// concurrent use; a nil *Keys remembers nothing. Make one with [NewKeys].
type Keys struct {
	max int

	mu sync.RWMutex // guards m
	m  map[keyID][]byte
}

// keyID holds the secret itself, so that an access key that was deleted and
// made again with another secret never meets the old entry.
type keyID struct{ secret, date, region, service string }

// NewKeys makes a memory of at most n derived keys. n <= 0 means 4096.
func NewKeys(n int) *Keys {
	if n <= 0 {
		n = 4096
	}
	return &Keys{max: n, m: make(map[keyID][]byte)}
}

func (k *Keys) signingKey(secret, date, region, service string) []byte {
	if k == nil {
		return derive(secret, date, region, service)
	}
	id := keyID{secret, date, region, service}
	k.mu.RLock()
	key, ok := k.m[id]
	k.mu.RUnlock()
	if ok {
		return key
	}
	key = derive(secret, date, region, service)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.m) >= k.max {
		clear(k.m)
	}
	k.m[id] = key
	return key
}

// String keeps the secrets out of logs.
func (k *Keys) String() string { return "sigv4.Keys(redacted)" }

// GoString is String for the %#v verb.
func (k *Keys) GoString() string { return k.String() }

func derive(secret, date, region, service string) []byte {
	k := mac([]byte("AWS4"+secret), date)
	k = mac(k, region)
	k = mac(k, service)
	return mac(k, terminator)
}
