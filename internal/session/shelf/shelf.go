// Package shelf reads what package kept has written: temporary credentials, and
// under which names they can be asked for. Start with [At].
//
// It is the half of kept that a program can use before anything else of it is
// initialised (internal/early), so it knows neither AWS's SDK nor path/filepath.
// It writes nothing.
package shelf

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"syscall"
	"time"
)

// Margin is the life below which credentials are fetched anew: AWS's own SDKs
// for Python ask again for what has less than 15 minutes left, for each call.
const Margin = 15 * time.Minute

const (
	// youth is the age below which there is nothing better to be had.
	youth = time.Minute
	// setBack is how far the clock must have been set back since credentials were
	// fetched for them to be taken for older than they look.
	setBack = 30 * time.Second
)

// Credentials are what is kept of one request, as it is in a file.
type Credentials struct {
	Key             string    `json:"key"` // of the request
	Fetched         time.Time `json:"fetched"`
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	SessionToken    string    `json:"sessionToken"`
	Expires         time.Time `json:"expires"`
	AccountID       string    `json:"accountId,omitempty"`
}

// Valid reports that AWS still takes the credentials.
func (c *Credentials) Valid(now time.Time) bool { return now.Before(c.Expires) }

// Good reports that fetching anew would give nothing better.
func (c *Credentials) Good(now time.Time) bool {
	left, age := c.Expires.Sub(now), now.Sub(c.Fetched)
	return c.Valid(now) && age > -setBack && (left >= Margin || age < youth)
}

// Format keeps the secrets out of every verb.
func (c Credentials) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "credentials until %s", c.Expires.Format(time.RFC3339))
}

// Alias is a name that credentials can be asked for by, and what the log says of
// them. It holds no secret.
type Alias struct {
	Key         string `json:"key"` // of the credentials
	Account     string `json:"account,omitempty"`
	AccountName string `json:"accountName,omitempty"`
	Role        string `json:"role,omitempty"`
	Source      string `json:"source,omitempty"`
	Session     string `json:"session,omitempty"`
	// Until is when the name must be looked for anew, zero for never.
	Until time.Time `json:"until,omitzero"`
}

// Shelf is a directory of this user alone. Safe for concurrent use, by any number
// of processes too.
type Shelf struct {
	dir string
}

// At is the shelf in a directory, nil when it is not there, or not this user's
// alone. Others cannot change that between here and its use: only its owner may
// take it away or rename it, by the sticky bit if the directory above is
// everybody's.
func At(dir string) *Shelf {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return nil
	}
	if own, ok := info.Sys().(*syscall.Stat_t); !ok || int(own.Uid) != os.Getuid() {
		return nil
	}
	return In(dir)
}

// In is the shelf in a directory that its caller has made sure of.
func In(dir string) *Shelf { return &Shelf{dir} }

// Get gives what is kept of a request, expired or not. What cannot be read, say
// because its writer had no more space, is not there.
func (s *Shelf) Get(key string) (Credentials, bool) {
	var c Credentials
	if !read(s.Credentials(key), &c) || c.Key != key || c.AccessKeyID == "" || c.SecretAccessKey == "" || c.Expires.IsZero() {
		return Credentials{}, false
	}
	return c, true
}

// Alias gives what was remembered for a name.
func (s *Shelf) Alias(name string) (Alias, bool) {
	var a Alias
	if !read(s.Aliases(name), &a) || a.Key == "" {
		return Alias{}, false
	}
	return a, true
}

func read(file string, v any) bool {
	text, err := os.ReadFile(file)
	return err == nil && json.Unmarshal(text, v) == nil
}

// Credentials is the file of a request's credentials.
func (s *Shelf) Credentials(key string) string { return path.Join(s.dir, "credentials", File(key)) }

// Aliases is the file of a name.
func (s *Shelf) Aliases(name string) string { return path.Join(s.dir, "alias", File(name)) }

// File is a file name for any text.
func File(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
