package peer

import (
	"errors"
	"net"
	"syscall"
)

// Unix is the user whose process is at the other end, as the kernel says.
func Unix(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *syscall.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, inner); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
