package local

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"

	"github.com/stile-aws/stile/internal/peer"
)

type peerKey struct{}

// connected remembers whether a connection comes from somebody who is answered.
func (g *Guard) connected(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, g.answers(c))
}

// answers decides by the two ends of a connection.
func (g *Guard) answers(c net.Conn) bool {
	remote, local := address(c.RemoteAddr()), address(c.LocalAddr())
	container := g.Peers.IsValid() && g.Peers.Contains(remote) && remote != local
	switch uid, err := peer.TCP(c); {
	case err == nil:
		return uid == g.uid()
	case errors.Is(err, peer.ErrUnknown):
		return container || remote.IsLoopback() && local.IsLoopback()
	case errors.Is(err, peer.ErrNone):
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

// address is the IP address of an end, the zero one for what has none.
func address(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}
