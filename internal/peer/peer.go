// Package peer says whose process is at the other end of a connection within this
// computer, as the kernel knows it: what a loopback port or a socket in a directory
// of all is good for depends on that.
//
// [Unix] is for sockets in the file system, [TCP] for loopback. Nothing here decides
// what follows from it.
package peer

import (
	"errors"
	"net"
	"net/netip"
)

var (
	// ErrNone means that no process here has the other end: it is another computer's,
	// or a container's, or it is gone.
	ErrNone = errors.New("no process of this computer has that end of the connection")
	// ErrUnknown means that it cannot be told on this system.
	ErrUnknown = errors.New("whose a connection is cannot be told here")
)

// TCP is the user whose process has the other end of c. The error is [ErrNone] or
// [ErrUnknown], or tells why the kernel's table cannot be read. On other systems
// than Linux it is always ErrUnknown. Ask while the connection is up: who has gone
// is nobody.
func TCP(c net.Conn) (uid int, err error) {
	return owner(addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()))
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
