package endpoint

import (
	"context"
	"net"
	"net/netip"
)

type peerKey struct{}

// withPeer remembers whether a connection comes from a process of the user.
func withPeer(ctx context.Context, uid int, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, fromUser(uid, addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())))
}

// peerAllowed is false for requests that came through no connection of ours.
func peerAllowed(ctx context.Context) bool {
	ok, _ := ctx.Value(peerKey{}).(bool)
	return ok
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
