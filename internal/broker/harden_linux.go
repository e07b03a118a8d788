package broker

import "golang.org/x/sys/unix"

// Harden keeps other programs of the same user from reading this process's
// memory, and secrets out of core files, as far as the system can.
func Harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
