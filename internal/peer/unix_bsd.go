//go:build darwin || freebsd

package peer

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// Unix is the user whose process is at the other end, as the kernel says.
func Unix(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Xucred
	var inner error
	err = raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED) })
	if err := errors.Join(err, inner); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
