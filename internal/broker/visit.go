package broker

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/peer"
	"github.com/stile-aws/stile/internal/session/flight"
)

func isTemporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ENOMEM)
}

// serve answers the one request of a connection.
func (b *broker) serve(working context.Context, conn *net.UnixConn) {
	if uid, err := peer.Unix(conn); err != nil || uid != b.cfg.UID {
		return // whoever it is gets nothing, not even a reason
	}
	if conn.SetReadDeadline(time.Now().Add(readTime)) != nil {
		return
	}
	var req client.Request
	if client.Read(conn, &req) != nil {
		return
	}
	b.arrived()
	defer b.left()
	switch {
	case req.Protocol != client.Protocol || req.Program.Modified > b.program.Modified:
		if req.Protocol >= client.Protocol {
			b.leave()
		}
		reply(conn, client.Reply{Leaving: true})
	case req.Do == client.DoStop:
		b.leave()
		reply(conn, client.Reply{Stopped: true})
	case req.Do == client.DoStatus:
		reply(conn, client.Reply{Status: b.status()})
	case req.Do == client.DoGet:
		b.get(working, conn, req)
	}
}

func (b *broker) arrived() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	b.waiting++
}

func (b *broker) left() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting--
	b.quiet = time.Now()
}

func reply(conn net.Conn, r client.Reply) bool {
	return conn.SetWriteDeadline(time.Now().Add(writeTime)) == nil && client.Write(conn, r) == nil
}

// get stays with a client until it has its credentials, or is gone. What was
// begun for it goes on without it.
func (b *broker) get(working context.Context, conn net.Conn, req client.Request) {
	ctx, stop := context.WithCancel(working)
	g := &guest{pid: req.PID, key: keyOf(req), asks: make(chan client.Question), answers: make(chan client.Answer), gone: ctx.Done()}
	read := make(chan struct{})
	go func() { defer close(read); listenTo(ctx, conn, g); stop() }()
	defer func() {
		stop()
		_ = conn.SetReadDeadline(time.Unix(1, 0))
		<-read
	}()
	b.holds.come(req)
	defer func() { b.holds.gone(req, g.quit.Load()) }()
	if req.Interactive {
		b.party.join(g)
		defer b.party.leave(g)
	}
	results := make(chan client.Reply, 1)
	b.visits.Go(func() { results <- b.result(ctx, req) })
	sign := time.NewTicker(client.Heartbeat())
	defer sign.Stop()
	told := ""
	for {
		out := client.Reply{}
		select {
		case <-ctx.Done():
			return
		case <-sign.C:
			if note := b.waitsFor(g); note != told {
				out.Note, told = note, note
			}
		case q := <-g.asks:
			out.Question = &q
		case out = <-results:
			reply(conn, out)
			return
		}
		if !reply(conn, out) {
			return
		}
	}
}

// waitsFor says for whose answer a client waits, "" for nobody's, as far as is known:
// for that of another one here, or elsewhere.
func (b *broker) waitsFor(g *guest) string {
	if pid, question, ok := b.party.other(g); ok {
		return flight.Waiting(pid, question)
	}
	if text, ok := b.party.page(g); ok {
		return text
	}
	return b.holds.note(g.key)
}

// listenTo reads a client's answers until it goes.
func listenTo(ctx context.Context, conn net.Conn, g *guest) {
	if conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for {
		var a client.Answer
		if client.Read(conn, &a) != nil {
			return
		}
		if a.Quit {
			g.quit.Store(true)
			return
		}
		select {
		case g.answers <- a:
		case <-ctx.Done():
			return
		}
	}
}

// result gets a request's credentials, or the reason why there are none.
func (b *broker) result(ctx context.Context, req client.Request) client.Reply {
	grant, err := b.holds.get(ctx, req)
	switch {
	case err == nil:
		return client.Reply{Grant: &grant}
	case errors.Is(err, errLeaving):
		return client.Reply{Leaving: true}
	}
	text := err.Error()
	if b.cfg.Text != nil {
		text = b.cfg.Text(err)
	}
	_, asked := errors.AsType[*askedError](err)
	redo := !asked && (errors.Is(err, ErrNobody) || b.cfg.Redo != nil && b.cfg.Redo(err))
	return client.Reply{Refusal: &client.Refusal{Text: text, Redo: redo}}
}

func (b *broker) status() *client.Status {
	sessions := b.holds.sessions()
	slices.SortFunc(sessions, func(a, b client.Session) int { return strings.Compare(a.Address, b.Address) })
	b.mu.Lock()
	defer b.mu.Unlock()
	return &client.Status{
		PID: os.Getpid(), Socket: b.cfg.Place.Socket, Started: b.started.UTC().Truncate(time.Second),
		Requests: b.requests, Waiting: b.waiting - 1, Sessions: sessions, // without the one who asks
	}
}
