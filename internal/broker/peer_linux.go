package broker

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// peer is the user whose process has connected, as the kernel says.
func peer(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, inner); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// Harden keeps other programs of the same user from reading this process's
// memory, and secrets out of core files, as far as the system can.
func Harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
