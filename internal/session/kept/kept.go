// Package kept holds temporary credentials for all processes of one user, so
// that what one of them fetched the others use.
//
// Start with [Open]. A Store keeps one file a request in a directory of this
// user alone, which should be in memory ($XDG_RUNTIME_DIR, or one in /dev/shm);
// without a directory it keeps them in the process. [Store.Wrap] puts it around a creds.Provider:
// one fetch at a time for each request, whoever asks, and nothing with less than
// [Margin] left is given as long as there is more to be had.
//
// The secrets in there are for hours, and are read by who could as well read the
// memory of the user's processes, or ask their broker: the user and root. They are
// gone with the machine's memory, or at the user's last log-out. The directory must
// be the user's, of mode 0700 and no symbolic link, which is looked at whenever it is
// opened. STILE_KEEP=off keeps nothing.
//
// What is written here package shelf can read, which knows no SDK. Keys that last for
// ever are never kept, and nothing here asks a person.
package kept

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session/shelf"
)

// Margin is the life below which credentials are fetched anew.
const Margin = shelf.Margin

// Entry is what is kept of one request.
type Entry struct {
	Credentials aws.Credentials
	Fetched     time.Time
}

// Valid reports that AWS still takes the credentials.
func (e *Entry) Valid(now time.Time) bool { return e.Credentials.HasKeys() && e.times().Valid(now) }

// Good reports that fetching anew would give nothing better.
func (e *Entry) Good(now time.Time) bool { return e.Credentials.HasKeys() && e.times().Good(now) }

func (e *Entry) times() *shelf.Credentials {
	return &shelf.Credentials{Fetched: e.Fetched, Expires: e.Credentials.Expires}
}

// Format keeps the secrets out of every verb.
func (e Entry) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "credentials until %s", e.Credentials.Expires.Format(time.RFC3339))
}

// parts are the directories of what can be had again.
var parts = []string{"alias", "credentials"}

// Store keeps entries by the keys of their requests. Safe for concurrent use, by
// any number of processes too.
type Store struct {
	world string       // what all keys begin with
	dir   string       // "" keeps them in memory
	shelf *shelf.Shelf // reads dir; nil without

	mu     sync.Mutex // guards memory
	memory map[string]Entry
}

// Open opens the store in dir, which is made when something is kept, or at once
// where another user could make it first. With dir "", or one that others may look
// into, credentials stay within the process. What was kept in one world is not
// found in another: see surroundings.World.
func Open(dir, world string) *Store {
	s := &Store{world: world, memory: map[string]Entry{}}
	if dir != "" && private(dir) {
		s.dir, s.shelf = dir, shelf.In(dir)
	}
	return s
}

// private reports whether dir is this user's alone, or will be when it is made.
func private(dir string) bool {
	_, err := os.Lstat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return shelf.At(dir) != nil
	}
	up := filepath.Dir(dir)
	if shelf.At(up) != nil { // nobody else can make it
		return true
	}
	if above, err := os.Stat(up); err != nil || above.Mode()&fs.ModeSticky == 0 {
		return false
	}
	_ = os.Mkdir(dir, 0o700) // somebody else may have been faster
	return shelf.At(dir) != nil
}

// full is a key as it is in the files.
func (s *Store) full(key string) string {
	if s.world == "" {
		return key
	}
	return s.world + " " + key
}

// Shared reports that other processes see what is kept.
func (s *Store) Shared() bool { return s.dir != "" }

// Get gives what is kept of a request, expired or not. What cannot be read, say
// because its writer had no more space, is not there.
func (s *Store) Get(key string) (Entry, bool) {
	key = s.full(key)
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		e, ok := s.memory[key]
		return e, ok
	}
	c, ok := s.shelf.Get(key)
	if !ok {
		return Entry{}, false
	}
	return Entry{Fetched: c.Fetched, Credentials: aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		CanExpire: true, Expires: c.Expires, AccountID: c.AccountID, Source: "stile",
	}}, true
}

// Put keeps credentials that expire, and have not; others are not for keeping.
func (s *Store) Put(key string, c aws.Credentials) error {
	now := time.Now()
	if !c.CanExpire || !c.HasKeys() || !now.Before(c.Expires) {
		return nil
	}
	key = s.full(key)
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.memory[key] = Entry{Credentials: c, Fetched: now}
		return nil
	}
	s.sweep(now)
	return write(s.shelf.Credentials(key), shelf.Credentials{
		Key: key, Fetched: now, AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires, AccountID: c.AccountID,
	})
}

// Forget drops a request's credentials if they are those with this access key
// id; with "" whatever they are. It reports whether they were there.
func (s *Store) Forget(key, accessKeyID string) bool {
	e, ok := s.Get(key)
	if !ok || accessKeyID != "" && e.Credentials.AccessKeyID != accessKeyID {
		return false
	}
	key = s.full(key)
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.memory, key)
		return true
	}
	return os.Remove(s.shelf.Credentials(key)) == nil
}

// SetAlias remembers what a name has led to. Without it the next one finds the way
// again.
func (s *Store) SetAlias(name string, a shelf.Alias) {
	if s.dir != "" {
		a.Key = s.full(a.Key)
		_ = write(s.shelf.Aliases(name), a) // see above
	}
}

func write(file string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return atomicfile.Write(file, text)
}

// locks is where the locks of fetches are.
func (s *Store) locks() string { return filepath.Join(s.dir, "locks") }

const (
	// outlived is the age of a file whose credentials have surely ended: AWS gives
	// none for longer than 36 hours (API reference, GetSessionToken).
	outlived = 48 * time.Hour
	// sweeps are so far apart at least.
	sweeps = time.Hour
)

// sweep takes files away that are of no use any more: a request that has changed is
// kept under another name, and memory is not without end. Locks stay, they must.
func (s *Store) sweep(now time.Time) {
	mark := filepath.Join(s.dir, "swept")
	if info, err := os.Stat(mark); err == nil && now.Sub(info.ModTime()) < sweeps {
		return
	}
	if atomicfile.Write(mark, nil) != nil {
		return
	}
	for _, part := range parts {
		entries, _ := os.ReadDir(filepath.Join(s.dir, part)) // none yet
		for _, e := range entries {
			if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > outlived {
				_ = os.Remove(filepath.Join(s.dir, part, e.Name())) // the next sweep tries again
			}
		}
	}
}

// Clear forgets everything.
func (s *Store) Clear() {
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.memory)
		return
	}
	for _, part := range parts {
		_ = os.RemoveAll(filepath.Join(s.dir, part)) // what another process writes this moment is new
	}
}
