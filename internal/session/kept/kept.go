// Package kept holds temporary credentials for all processes of one user, so
// that what one of them fetched the others use.
//
// Start with [Open]. A Store keeps one file a request in a directory of this
// user alone, which should be in memory ($XDG_RUNTIME_DIR); without a directory
// it keeps them in the process. [Store.Wrap] puts it around a creds.Provider:
// one fetch at a time for each request, whoever asks, and nothing with less than
// [Margin] left is given as long as there is more to be had.
//
// Keys that last for ever are never kept here, and nothing here asks a person.
package kept

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/atomicfile"
)

// Margin is the life below which credentials are fetched anew: AWS's own SDKs
// for Python ask again for what has less than 15 minutes left, for each call.
const Margin = 15 * time.Minute

// youth is the age below which there is nothing better to be had.
const youth = time.Minute

// Entry is what is kept of one request.
type Entry struct {
	Credentials aws.Credentials
	Fetched     time.Time
}

// Valid reports that AWS still takes the credentials.
func (e *Entry) Valid(now time.Time) bool {
	return e.Credentials.HasKeys() && now.Before(e.Credentials.Expires)
}

// Good reports that fetching anew would give nothing better.
func (e *Entry) Good(now time.Time) bool {
	left := e.Credentials.Expires.Sub(now)
	age := now.Sub(e.Fetched)
	return e.Valid(now) && (left >= Margin || age >= 0 && age < youth)
}

// Format keeps the secrets out of every verb.
func (e Entry) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "credentials until %s", e.Credentials.Expires.Format(time.RFC3339))
}

// Store keeps entries by the keys of their requests. Safe for concurrent use, by
// any number of processes too.
type Store struct {
	dir string // "" keeps them in memory

	mu     sync.Mutex // guards memory
	memory map[string]Entry
}

// Open opens the store in dir, which is made when something is kept. With dir "",
// or one that others may look into, credentials stay within the process.
func Open(dir string) *Store {
	s := &Store{memory: map[string]Entry{}}
	if dir != "" && private(dir) {
		s.dir = dir
	}
	return s
}

// Shared reports that other processes see what is kept.
func (s *Store) Shared() bool { return s.dir != "" }

// private reports whether dir is this user's alone. One that is not there yet is
// if only this user can make it.
func private(dir string) bool {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(dir))
	}
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	own, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(own.Uid) == os.Getuid()
}

// record is an Entry as it is in a file.
type record struct {
	Key             string    `json:"key"`
	Fetched         time.Time `json:"fetched"`
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	SessionToken    string    `json:"sessionToken"`
	Expires         time.Time `json:"expires"`
	AccountID       string    `json:"accountId,omitempty"`
}

// Get gives what is kept of a request, expired or not. What cannot be read, say
// because its writer had no more space, is not there.
func (s *Store) Get(key string) (Entry, bool) {
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		e, ok := s.memory[key]
		return e, ok
	}
	text, err := os.ReadFile(s.path(key))
	if err != nil {
		return Entry{}, false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Key != key || r.AccessKeyID == "" || r.SecretAccessKey == "" || r.Expires.IsZero() {
		return Entry{}, false
	}
	return Entry{Fetched: r.Fetched, Credentials: aws.Credentials{
		AccessKeyID: r.AccessKeyID, SecretAccessKey: r.SecretAccessKey, SessionToken: r.SessionToken,
		CanExpire: true, Expires: r.Expires, AccountID: r.AccountID, Source: "stile",
	}}, true
}

// Put keeps credentials that expire; others are not for keeping.
func (s *Store) Put(key string, c aws.Credentials) error {
	if !c.CanExpire || !c.HasKeys() {
		return nil
	}
	now := time.Now()
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.memory[key] = Entry{Credentials: c, Fetched: now}
		return nil
	}
	text, err := json.Marshal(record{key, now, c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires, c.AccountID})
	if err != nil {
		return err
	}
	return atomicfile.Write(s.path(key), text)
}

// Forget drops a request's credentials if they are those with this access key
// id; with "" whatever they are. It reports whether they were there.
func (s *Store) Forget(key, accessKeyID string) bool {
	e, ok := s.Get(key)
	if !ok || accessKeyID != "" && e.Credentials.AccessKeyID != accessKeyID {
		return false
	}
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.memory, key)
		return true
	}
	return os.Remove(s.path(key)) == nil
}

// Alias gives the key that was remembered for a name, "" for none.
func (s *Store) Alias(name string) string {
	if s.dir == "" {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "alias", file(name)))
	if err != nil {
		return ""
	}
	return string(text)
}

// SetAlias remembers the key that a name has led to. Without it the next one
// finds the way again.
func (s *Store) SetAlias(name, key string) {
	if s.dir == "" {
		return
	}
	_ = atomicfile.Write(filepath.Join(s.dir, "alias", file(name)), []byte(key)) // see above
}

func (s *Store) path(key string) string {
	return filepath.Join(s.dir, "credentials", file(key))
}

// locks is where the locks of fetches are.
func (s *Store) locks() string { return filepath.Join(s.dir, "locks") }

// file is a file name for any text.
func file(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Clear forgets everything.
func (s *Store) Clear() {
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.memory)
		return
	}
	for _, part := range []string{"alias", "credentials"} {
		_ = os.RemoveAll(filepath.Join(s.dir, part)) // what another process writes this moment is new
	}
}
