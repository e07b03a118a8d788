package client

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	around "github.com/stile-aws/stile/internal/surroundings"
)

// Place is where a broker is found.
type Place struct {
	Dir    string // of this user alone; perhaps not made yet
	Socket string
	Lock   string // held by the broker as long as the socket is its own
	Queue  string // held by the client that starts a broker

	signIns string // what SignIns are named by; "" for what the socket is
}

const (
	prefix     = "broker-"
	suffix     = ".sock"
	maxSocket  = 103 // bytes: sun_path of unix(7) has 108 on Linux, 104 elsewhere, one of them for the end
	maxBrokers = 16  // environments a user works in at once
)

// searched is the variable that says where programs are found. A broker runs those that
// people have named to give credentials: each caller's are those of its own PATH, and
// nobody else's.
const searched = "PATH"

// passed are variables that a broker is given beside those that decide.
var passed = []string{searched, "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "DISPLAY", "WAYLAND_DISPLAY", "GORACE"}

// Deciding is the part of an environment that decides which credentials there
// are, sorted.
func Deciding(environ []string) []string { return around.Deciding(environ) }

// surroundings is the environment of a broker for callers with environ. What it
// starts itself must not ask it again.
func surroundings(environ []string) []string {
	out := append(Deciding(environ), "STILE_BROKER=off")
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); slices.Contains(passed, name) {
			out = append(out, v)
		}
	}
	return out
}

func lookup(environ []string, name string) string {
	for _, v := range slices.Backward(environ) {
		if k, value, ok := strings.Cut(v, "="); ok && k == name {
			return value
		}
	}
	return ""
}

// files are variables that name files. A name relative to the caller's working
// directory means nothing to a broker.
var files = []string{
	"HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// off reports that the user wants no broker.
func off(environ []string) bool {
	return around.Off(lookup(environ, "STILE_BROKER"))
}

// Find says where the broker of an environment is, wanted or not. The error wraps
// [ErrUnavailable] and says why there can be none.
func Find(environ []string) (*Place, error) {
	if lookup(environ, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		return nil, fmt.Errorf("%w: credentials come from an endpoint that AWS_CONTAINER_CREDENTIALS_FULL_URI names, which lives shorter than a broker", ErrUnavailable)
	}
	for _, name := range files {
		if v := lookup(environ, name); v != "" && !filepath.IsAbs(v) {
			return nil, fmt.Errorf("%w: %s is relative to the working directory", ErrUnavailable, name)
		}
	}
	deciding := Deciding(environ)
	signIns := digest(deciding) // they run no such programs: one page will do for all shells
	name := prefix + digest(append(deciding, searched+"="+lookup(environ, searched)))
	dir, err := findDir(lookup(environ, "XDG_RUNTIME_DIR"), len(name)+len(suffix)+1)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p := placeIn(dir, name)
	p.signIns = signIns
	return p, nil
}

func digest(words []string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:8])
}

func placeIn(dir, name string) *Place {
	base := filepath.Join(dir, name)
	return &Place{Dir: dir, Socket: base + suffix, Lock: base + ".lock", Queue: base + ".start"}
}

// All lists the brokers that may run in the directory of p, whatever their
// environment.
func (p *Place) All() []Place { return p.named(prefix) }

// named lists those whose names begin so.
func (p *Place) named(prefix string) []Place {
	found, err := filepath.Glob(filepath.Join(p.Dir, prefix+"*"+suffix))
	if err != nil {
		return nil // the pattern is ours
	}
	var out []Place
	for _, socket := range found {
		out = append(out, *placeIn(p.Dir, strings.TrimSuffix(filepath.Base(socket), suffix)))
	}
	return out
}

// findDir chooses the directory of sockets: in the user's runtime directory if
// there is one, it is theirs, and a socket's path fits; else in /tmp.
func findDir(runtime string, room int) (string, error) {
	if filepath.IsAbs(runtime) && owned(runtime) {
		dir := filepath.Join(runtime, "stile")
		if len(dir)+room <= maxSocket && makable(dir) {
			return dir, private(dir)
		}
	}
	dir := "/tmp/stile-" + strconv.Itoa(os.Getuid())
	return dir, private(dir)
}

// owned reports a directory of this user: after su it may be another's, who must
// not find our files in it.
func owned(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir() && owner(info) == os.Getuid()
}

// makable reports that dir is there, or can be made.
func makable(dir string) bool {
	if _, err := os.Lstat(dir); err == nil {
		return true
	}
	return os.Mkdir(dir, 0o700) == nil || exists(dir)
}

func exists(dir string) bool {
	_, err := os.Lstat(dir)
	return err == nil
}

// private makes sure that dir, if it is there, is this user's alone.
func private(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir() || owner(info) != os.Getuid() || info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s must be a directory of this user with mode 0700; remove it, or look who made it", dir)
	}
	return nil
}

// Prepare makes the directory.
func (p *Place) Prepare() error {
	if err := os.Mkdir(p.Dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return private(p.Dir)
}

func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
