//go:build darwin || freebsd

package broker

import "golang.org/x/sys/unix"

// Harden keeps secrets out of core files.
func Harden() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
