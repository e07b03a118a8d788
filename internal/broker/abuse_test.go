package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/broker/client"
)

func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", r.place.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestGarbageIsHungUpOnAndNobodyElseNotices(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 0)
	var long bytes.Buffer
	if err := client.Write(&long, client.Request{Protocol: client.Protocol, Do: client.DoGet, Address: "a"}); err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{
		"no message":         bytes.Repeat([]byte{0xff, 0, '\n'}, 1000),
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a length too large": binary.BigEndian.AppendUint32(nil, 1<<31),
		"no JSON":            append(binary.BigEndian.AppendUint32(nil, 4), "null, and more"...),
		"an array":           append(binary.BigEndian.AppendUint32(nil, 6), "[1, 2]"...),
		"another act":        append(binary.BigEndian.AppendUint32(nil, 27), `{"Protocol":1,"Do":"dance"}`...),
	} {
		conn := r.dial(t)
		if _, err := conn.Write(message); err != nil {
			continue // hung up on already
		}
		var got client.Reply
		if err := client.Read(conn, &got); err == nil && !got.Leaving {
			t.Errorf("%s: the answer is %+v, want none", name, got)
		}
	}
	r.get(t, "orders/reader")
}

func TestAThousandWhoSayNothingAreInNobodysWay(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 0)
	var silent []net.Conn
	for range 1000 {
		silent = append(silent, r.dial(t))
	}
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if _, err := r.client().Get(t.Context(), client.Request{Address: "orders/reader"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, conn := range silent {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatalf("a silent client got %v, want that it is hung up on", err)
		}
	}
	if s, err := r.client().Status(t.Context()); err != nil || s.Waiting != 0 {
		t.Errorf("status is %+v, %v, want nobody waiting", s, err)
	}
}

// Who asks and never reads, and never goes, holds nobody up.
func TestThoseWhoNeverReadAreInNobodysWay(t *testing.T) {
	gate := make(chan struct{})
	w := &ways{life: time.Hour, hook: func(ctx context.Context, address string) error {
		if address != "slow" {
			return nil
		}
		_, err := broker.Ask(ctx, client.Question{Text: string(bytes.Repeat([]byte("?"), 60<<10))})
		<-gate
		return err
	}}
	r := start(t, w, 0)
	defer close(gate)
	for range 200 {
		if err := client.Write(r.dial(t), client.Request{Protocol: client.Protocol, Do: client.DoGet, Address: "slow", Interactive: true}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, r, func(s *client.Status) bool { return s.Waiting >= 200 })
	r.get(t, "orders/reader")
}

func TestADirectoryThatOthersMayEnterIsNotUsed(t *testing.T) {
	p := place(t)
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p.Dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := broker.Run(t.Context(), broker.Config{Place: p, Open: (&ways{}).open}); err == nil {
		t.Error("it serves in a directory that others may enter")
	}
}

// Fifty that start at once are one broker, and the others say so.
func TestOneOfFiftyBrokersStays(t *testing.T) {
	p := place(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended, ready := make(chan error, 50), make(chan struct{}, 50)
	cfg := broker.Config{Place: p, Open: (&ways{life: time.Hour}).open, Ready: func() { ready <- struct{}{} }}
	for range 50 {
		go func() { ended <- broker.Run(ctx, cfg) }()
	}
	for range 49 {
		if err := <-ended; !errors.Is(err, broker.ErrRunning) {
			t.Errorf("Run = %v, want ErrRunning", err)
		}
	}
	<-ready
	if _, err := (&client.Client{Place: p}).Get(t.Context(), client.Request{Address: "a"}); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}
