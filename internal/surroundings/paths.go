package surroundings

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// KeepEnv set to "off" has no credentials kept where other processes find them; a
// broker holds them still.
const KeepEnv = "STILE_KEEP"

// Off reports the value of a variable that turns something off.
func Off(value string) bool {
	switch value {
	case "off", "0", "no", "false":
		return true
	}
	return false
}

// Paths are where the things of one person are.
type Paths struct {
	Book    string // sessions.yaml
	Cache   string // what can be had again, nothing secret
	Locks   string // one directory for all processes of a person, see FindPaths
	Tokens  string // the AWS CLI's cache of sign-ins
	Secrets string // the secret store
	Runtime string // in memory and of this person alone; "" when there is no such place
}

// FindPaths finds them by the environment, as the XDG base directory
// specification has it. Where it names no runtime directory, one in memory is
// taken, if there is any. Locks are with the state, and where that cannot be written,
// as in a home that is mounted to be read, in the runtime directory: all processes of
// a person find the same.
func FindPaths(getenv func(string) string) (Paths, error) {
	home := getenv("HOME")
	if !path.IsAbs(home) {
		return Paths{}, errors.New("finding your sessions: HOME is not set, and the system knows no home of yours; set HOME")
	}
	base := func(name, otherwise string) string {
		if dir := getenv(name); path.IsAbs(dir) { // others are to be ignored, says the specification
			return path.Join(dir, "stile")
		}
		return path.Join(home, otherwise, "stile")
	}
	p := Paths{
		Book:    path.Join(base("XDG_CONFIG_HOME", ".config"), "sessions.yaml"),
		Cache:   base("XDG_CACHE_HOME", ".cache"),
		Locks:   path.Join(base("XDG_STATE_HOME", ".local/state"), "locks"),
		Tokens:  path.Join(home, ".aws", "sso", "cache"),
		Secrets: path.Join(base("XDG_DATA_HOME", ".local/share"), "secrets"),
	}
	runtime := inMemory(home)
	if dir := getenv("XDG_RUNTIME_DIR"); path.IsAbs(dir) {
		runtime = path.Join(dir, "stile")
	}
	if !writable(p.Locks) && runtime != "" && writable(runtime) && own(runtime) {
		p.Locks = path.Join(runtime, "locks")
	}
	if !Off(getenv(KeepEnv)) {
		p.Runtime = runtime
	}
	return p, nil
}

// writable reports that files can be made in a directory, or it can be made where
// there is none yet. Nothing is made to find out: all who ask get the same answer.
func writable(dir string) bool {
	const toWrite = 2 // W_OK of access(2)
	for dir := range Upwards(dir) {
		if err := syscall.Access(dir, toWrite); !errors.Is(err, fs.ErrNotExist) {
			return err == nil
		}
	}
	return false
}

// own reports a directory that is this user's or does not exist.
func own(dir string) bool {
	info, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() && Mine(info)
}

// shared is where every user may put something in memory.
const shared = "/dev/shm"

// inMemory is a directory for the person of a home where no runtime directory is
// named, as in containers and CI: in memory, so that nothing outlives the machine,
// and of a name that another user may take first, so that whoever uses it must see
// whose it is. "" where the system has no such place. Without a runtime directory a
// person is their home, as for everything else that is theirs.
func inMemory(home string) string {
	if !volatile(shared) {
		return ""
	}
	sum := sha256.Sum256([]byte(path.Clean(home)))
	return path.Join(shared, fmt.Sprintf("stile-%d-%x", os.Getuid(), sum[:8]))
}
