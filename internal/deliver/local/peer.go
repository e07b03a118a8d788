package local

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
)

var (
	errNoSocket = errors.New("no process of this computer has that socket")
	errUnknown  = errors.New("whose a socket is cannot be told here")
)

type peerKey struct{}

// connected remembers whether a connection comes from somebody who is answered.
func (g *Guard) connected(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, g.answers(addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())))
}

// answers decides by the two ends of a connection.
func (g *Guard) answers(remote, local netip.AddrPort) bool {
	container := g.Peers.IsValid() && g.Peers.Contains(remote.Addr()) && remote.Addr() != local.Addr()
	switch uid, err := owner(remote, local); {
	case err == nil:
		return uid == g.uid()
	case errors.Is(err, errUnknown):
		return container || remote.Addr().IsLoopback() && local.Addr().IsLoopback()
	case errors.Is(err, errNoSocket):
		return container
	}
	return false
}

func (g *Guard) uid() int {
	if g.UID == 0 {
		return os.Getuid()
	}
	return g.UID
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
