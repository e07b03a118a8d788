package peer_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/internal/peer"
)

// ends are both ends of a connection to ln.
func ends(t *testing.T, ln net.Listener, err error) (client, server net.Conn) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var d net.Dialer
	if client, err = d.DialContext(t.Context(), ln.Addr().Network(), ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func TestTCP(t *testing.T) {
	var lc net.ListenConfig
	for _, addr := range []string{"127.0.0.1:0", "127.0.0.9:0", "[::1]:0"} {
		ln, err := lc.Listen(t.Context(), "tcp", addr)
		if err != nil && addr == "[::1]:0" {
			continue // a machine without IPv6
		}
		client, server := ends(t, ln, err)
		for _, c := range []net.Conn{client, server} {
			if uid, err := peer.TCP(c); err != nil || uid != os.Getuid() {
				t.Errorf("%s: user %d, %v, want %d", addr, uid, err, os.Getuid())
			}
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if uid, err := peer.TCP(server); !errors.Is(err, peer.ErrNone) {
			t.Errorf("%s: user %d, %v of a process that has gone, want %v", addr, uid, err, peer.ErrNone)
		}
	}
}

func TestUnix(t *testing.T) {
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	client, server := ends(t, ln, err)
	for _, c := range []net.Conn{client, server} {
		if uid, err := peer.Unix(c.(*net.UnixConn)); err != nil || uid != os.Getuid() {
			t.Errorf("user %d, %v, want %d", uid, err, os.Getuid())
		}
	}
}
