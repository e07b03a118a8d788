package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/stile-aws/stile/internal/deliver/local"
)

// from is a listener whose connections seem to come from elsewhere.
type from struct {
	net.Listener
	remote net.Addr
}

type fromConn struct {
	net.Conn
	remote net.Addr
}

func (l from) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.remote == nil {
		return c, err
	}
	return fromConn{c, l.remote}, nil
}

func (c fromConn) RemoteAddr() net.Addr { return c.remote }

// ask serves under g at addr and asks once, from the address dial if that is given.
func ask(t *testing.T, g local.Guard, addr, dial string, remote net.Addr) (int, string) {
	t.Helper()
	ln, err := local.Listen(t.Context(), addr, &g)
	if err != nil {
		t.Fatal(err)
	}
	s := local.Serve(t.Context(), from{ln, remote}, &g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, why := g.Refuse(r)
		w.WriteHeader(max(status, http.StatusOK))
		fmt.Fprint(w, why)
	}))
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	dialer := &net.Dialer{}
	if dial != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(dial)}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+g.Host(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestWhoIsAnswered(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells whose a connection is")
	}
	here, other := netip.MustParsePrefix("127.0.0.0/8"), os.Getuid()+1
	container := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000}
	containers := netip.MustParsePrefix("192.0.2.0/24")
	for name, c := range map[string]struct {
		guard      local.Guard
		addr, dial string
		remote     net.Addr
		status     int
	}{
		"this user":                              {status: 200},
		"this user, from another local address":  {dial: "127.0.0.5", status: 200},
		"another user":                           {guard: local.Guard{UID: other}, status: 403},
		"this user, in a network of peers":       {guard: local.Guard{Peers: here}, dial: "127.0.0.5", status: 200},
		"another user, in a network of peers":    {guard: local.Guard{Peers: here, UID: other}, dial: "127.0.0.5", status: 403},
		"IPv6, this user":                        {addr: "[::1]:0", status: 200},
		"IPv6, another user":                     {guard: local.Guard{UID: other}, addr: "[::1]:0", status: 403},
		"a container among the peers":            {guard: local.Guard{Peers: containers}, remote: container, status: 200},
		"a container elsewhere":                  {guard: local.Guard{Peers: here}, remote: container, status: 403},
		"a container, where none is let in":      {remote: container, status: 403},
		"a container that takes our own address": {guard: local.Guard{Peers: here}, remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, status: 403},
		"no IP connection":                       {remote: &net.UnixAddr{Name: "x"}, status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			if c.addr == "[::1]:0" && !hasIPv6(t) {
				t.Skip("this machine has no IPv6")
			}
			if status, why := ask(t, c.guard, c.addr, c.dial, c.remote); status != c.status {
				t.Errorf("%d %s, want %d", status, why, c.status)
			}
		})
	}
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		return false
	}
	return ln.Close() == nil
}

// Clients write no port where it is http's own.
func TestTheHostWithoutHTTPsPort(t *testing.T) {
	g := local.Guard{}
	ln, err := local.Listen(context.Background(), "127.0.0.80:80", &g)
	if err != nil {
		t.Skipf("port 80 is not to be had: %v", err)
	}
	s := local.Serve(t.Context(), ln, &g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, why := g.Refuse(r)
		w.WriteHeader(max(status, http.StatusOK))
		fmt.Fprint(w, why)
	}))
	defer func() { _ = s.Close() }()
	for host, want := range map[string]int{"127.0.0.80": 200, "127.0.0.80:80": 200, "127.0.0.80:81": 403} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.80", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("Host %s: %s, want %d", host, resp.Status, want)
		}
	}
}

func TestWhereToListen(t *testing.T) {
	peers := netip.MustParsePrefix("172.17.0.0/16")
	for _, c := range []struct {
		addr  string
		peers netip.Prefix
		want  error
	}{
		{"0.0.0.0:0", netip.Prefix{}, local.ErrNotLoopback},
		{"192.0.2.1:80", netip.Prefix{}, local.ErrNotLoopback},
		{"0.0.0.0:0", peers, local.ErrAnyAddress},
		{"[::]:0", peers, local.ErrAnyAddress},
	} {
		if ln, err := local.Listen(t.Context(), c.addr, &local.Guard{Peers: c.peers}); !errors.Is(err, c.want) {
			t.Errorf("listening on %s with peers %v: %v, %v, want %v", c.addr, c.peers, ln, err, c.want)
		}
	}
}
