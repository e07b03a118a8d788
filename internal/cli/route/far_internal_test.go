package route

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/broker/client"
)

// silent is a broker that takes requests and never answers; heard has each.
func silent(t *testing.T) (c *client.Client, heard <-chan client.Request) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	requests := make(chan client.Request, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			var req client.Request
			if err := client.Read(conn, &req); err == nil {
				requests <- req
			}
		}
	}()
	return &client.Client{Place: client.Place{Socket: socket}}, requests
}

// While a broker does not answer, a credential can be invalidated and the way closed.
func TestAHangingBrokerHoldsUpOnlyWhoAsksIt(t *testing.T) {
	c, heard := silent(t)
	r := &remote{client: c, request: client.Request{Address: "orders-prod/api"}, refused: "AKIAOLD"}
	ctx, leave := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Retrieve(ctx)
		ended <- err
	}()
	if req := <-heard; req.Refused != "AKIAOLD" {
		t.Errorf("the broker is told that %q is refused", req.Refused)
	}
	r.Invalidate("AKIANEW")
	r.close()
	left := errors.New("left")
	leave(left)
	if err := <-ended; !errors.Is(err, left) {
		t.Errorf("Retrieve = %v, want that it was left", err)
	}
	if _, refused := r.begin(); refused != "AKIANEW" {
		t.Errorf("the broker will be told that %q is refused, want the last one", refused)
	}
}

// A way that this process opened by itself while it was closed is closed too, and
// of two that were opened at once one is kept.
func TestWaysOpenedWithoutTheBrokerAreClosed(t *testing.T) {
	closed := map[arn.AccountID]int{}
	way := func(id arn.AccountID) *Way { return &Way{Account: id, end: func() { closed[id]++ }} }
	var r *remote
	r = &remote{again: func(context.Context) (*Way, error) {
		if r.own == nil { // another came first
			r.adopt(way("222222222222"))
		}
		return way("111111111111"), nil
	}}
	own, err := r.alone(t.Context())
	if err != nil || own.Account != "222222222222" || closed["111111111111"] != 1 {
		t.Errorf("alone = %v, %v; closed %v", own, err, closed)
	}
	r.close()
	if closed["222222222222"] != 1 {
		t.Errorf("closed %v", closed)
	}
	r.again = func(context.Context) (*Way, error) { return way("333333333333"), nil }
	if own, err := r.alone(t.Context()); !errors.Is(err, creds.ErrClosed) || own != nil || closed["333333333333"] != 1 {
		t.Errorf("once closed, alone = %v, %v; closed %v", own, err, closed)
	}
}
