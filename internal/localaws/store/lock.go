package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockState takes the lock of a state file: FILE.lock, which stays when the
// lock is given up, for to remove it would be to race with the next one who
// takes it. The system gives the lock up when the process ends. (It is not that of
// package filelock: the local AWS imports nothing of what is tested against it.)
func lockState(file string) (*os.File, error) {
	name := file + ".lock"
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking state %s: %w", file, err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return lock, nil
	}
	lock.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("locking state %s: another local AWS keeps its state there (it holds %s): stop it, or use another file", file, name)
	}
	return nil, fmt.Errorf("locking state %s: %s: %w", file, name, err)
}
