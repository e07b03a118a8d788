package child

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/flight"
)

// alive is the lock that says that a directory's process runs: the kernel gives
// it up when the process dies, however that comes.
const alive = "alive"

// Dir makes a directory of this user alone for an endpoint's token, and takes away
// those that processes which were killed have left beside it. remove removes it.
func Dir(ctx context.Context, s *term.Streams, prefix string) (dir string, remove func() error, err error) {
	dir, err = s.PrivateDir(prefix)
	if err != nil {
		return "", nil, err
	}
	lock, err := flight.Acquire(ctx, dir, alive)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	sweep(filepath.Join(filepath.Dir(dir), prefix+"*"))
	return dir, func() error {
		defer lock.Release()
		return os.RemoveAll(dir)
	}, nil
}

// sweep removes what dead processes have left. What has a token has been locked
// by its process; what has none has no secret.
func sweep(pattern string) {
	dirs, _ := filepath.Glob(pattern) // the pattern is ours
	now, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits for a lock here
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if of, ok := info.Sys().(*syscall.Stat_t); !ok || int(of.Uid) != os.Getuid() {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, "token")); err != nil {
			continue
		}
		lock, err := flight.Acquire(now, dir, alive)
		if err != nil {
			continue // it lives
		}
		_ = os.RemoveAll(dir) // the next one tries again
		lock.Release()
	}
}
