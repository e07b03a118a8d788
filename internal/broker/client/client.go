// Package client asks the user's broker for credentials, and starts the broker
// where none runs.
//
// Beside the standard library it imports packages surroundings, filelock and peer
// alone, so that a program that is run for every call of an AWS client can use it
// before anything else. Start with [New] and [Client.Get]. Whoever gets [ErrUnavailable] does the work itself: the broker
// makes things faster and asks people less often, and nothing depends on it.
//
// A broker serves one user and one environment: the variables that decide which
// credentials there are ([Deciding]) are part of the name of its socket, and are
// its own environment. So it finds what its callers would find, proxies and
// helper programs included, and no secret of a caller's environment is sent.
package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/stile-aws/stile/internal/peer"
)

// ErrUnavailable means that no broker answers, or that it must not be asked.
var ErrUnavailable = errors.New("the broker is not available")

// Refusal is the broker's answer that there are no credentials. It is final,
// unless Redo is set.
type Refusal struct {
	Text string // why, without anything secret
	// Redo is set when the caller would find out more, or could do more, by
	// trying itself.
	Redo bool
}

func (r *Refusal) Error() string { return r.Text }

// Client asks one broker. Make one with [New]. Safe for concurrent use.
type Client struct {
	Place Place
	// Answer answers questions that only a person can. Nil says that nobody is
	// there to be asked. It is called by one goroutine at a time for each Get.
	Answer func(context.Context, Question) (Answer, error)
	// Note, if set, is told for whose answer it is that Get waits.
	Note func(text string)
	// Quit reports, of the reason why a context has ended, that the person has given
	// up what Get was for: it ends, unless others wait for it. Without it, and when the
	// process is killed, it goes on.
	Quit func(cause error) bool
	// Start is the command line that starts the broker, after the program's name.
	// Without it none is started.
	Start []string
	// UID is the user whose broker is believed: who gets there first could make a
	// socket where ours is looked for. Default: this process's.
	UID int

	environ []string
}

// New makes a client for an environment, as os.Environ gives it. No file is made
// and nobody is asked. The error wraps [ErrUnavailable]; STILE_BROKER=off is one
// of its reasons.
func New(environ []string) (*Client, error) {
	if off(environ) {
		return nil, fmt.Errorf("%w: STILE_BROKER turns it off", ErrUnavailable)
	}
	p, err := Find(environ)
	if err != nil {
		return nil, err
	}
	return &Client{Place: *p, environ: environ}, nil
}

// ErrQuit is why a broker gives up what it does: the person who wanted it has. It is
// context.Canceled too.
var ErrQuit = fmt.Errorf("given up by who asked for it: %w", context.Canceled)

var errLeaving = errors.New("it is leaving")

const (
	tries     = 3                // of a broker that leaves or dies
	sendTime  = 2 * time.Second  // for a message to be taken
	silence   = 10 * time.Second // from a broker that sends a sign of life every two
	heartbeat = 2 * time.Second
)

// Heartbeat is how often a broker must let those who wait hear from it.
func Heartbeat() time.Duration { return heartbeat }

// Get gets credentials. The error is [ErrUnavailable], a [Refusal], or ctx's.
func (c *Client) Get(ctx context.Context, req Request) (*Grant, error) {
	req.Do = DoGet
	req.Interactive = c.Answer != nil
	reply, err := c.ask(ctx, req)
	if err != nil {
		return nil, err
	}
	if reply.Grant == nil {
		return nil, fmt.Errorf("%w: it answered with no credentials", ErrUnavailable)
	}
	return reply.Grant, nil
}

// Status asks the broker that runs what it holds.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	reply, err := c.ask(ctx, Request{Do: DoStatus})
	if err != nil {
		return nil, err
	}
	if reply.Status == nil {
		return nil, fmt.Errorf("%w: it answered with no status", ErrUnavailable)
	}
	return reply.Status, nil
}

// Stop asks the broker that runs to leave.
func (c *Client) Stop(ctx context.Context) error {
	_, err := c.ask(ctx, Request{Do: DoStop})
	return err
}

// ask sends a request until a broker answers it for good.
func (c *Client) ask(ctx context.Context, req Request) (*Reply, error) {
	req.Protocol, req.Program, req.PID = Protocol, ThisProgram(), os.Getpid()
	var last error
	for range tries {
		conn, err := c.connect(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := c.exchange(ctx, conn, req)
		_ = conn.Close()
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err == nil && !reply.Leaving:
			if reply.Refusal != nil {
				return nil, reply.Refusal
			}
			return reply, nil
		case err == nil:
			err = errLeaving
		case req.Do != DoGet:
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("%w: it is silent", ErrUnavailable) // another try would take as long
		}
		last = err
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, last)
}

// exchange sends one request and serves the broker until it has answered.
func (c *Client) exchange(ctx context.Context, conn net.Conn, req Request) (*Reply, error) {
	over, left := make(chan struct{}), make(chan struct{})
	stay := context.AfterFunc(ctx, func() {
		defer close(left)
		if c.Quit != nil && c.Quit(context.Cause(ctx)) && send(conn, Answer{Quit: true}) == nil {
			select { // it hangs up when what was begun has ended
			case <-over:
			case <-time.After(sendTime):
			}
		}
		_ = conn.Close()
	})
	defer func() {
		close(over)
		if !stay() {
			<-left // before this process ends
		}
	}()
	if err := send(conn, req); err != nil {
		return nil, err
	}
	answering, stop := context.WithCancel(ctx)
	defer stop()
	answered := make(chan error, 1)
	for {
		reply, err := receive(conn)
		switch {
		case err != nil:
			return nil, err
		case reply.Question != nil && c.Answer != nil:
			go func() { answered <- c.answer(answering, conn, *reply.Question) }()
		case reply.Note != "" && c.Note != nil:
			c.Note(reply.Note)
		case reply.done():
			return reply, nil
		}
		select {
		case err := <-answered:
			if err != nil {
				return nil, err
			}
		default:
		}
	}
}

func (c *Client) answer(ctx context.Context, conn net.Conn, q Question) error {
	a, err := c.Answer(ctx, q)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx) // it goes away, which is not to say no: the next one is asked
	case err != nil:
		a = Answer{Declined: true}
	}
	a.ID = q.ID
	return send(conn, a)
}

func send(conn net.Conn, message any) error {
	if err := conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	return Write(conn, message)
}

func receive(conn net.Conn) (*Reply, error) {
	if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return nil, err
	}
	var r Reply
	if err := Read(conn, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// connect reaches the broker, and starts one where that is wanted.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	conn, err := c.dial(ctx)
	if err == nil {
		return conn, nil
	}
	if len(c.Start) == 0 || !absent(err) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return c.start(ctx)
}

// dial connects to a broker of the user's. A full queue is no failure: the kernel says so at once, and the
// broker empties it within microseconds.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	if err := private(c.Place.Dir); err != nil {
		return nil, err
	}
	pause := time.Millisecond
	for {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", c.Place.Socket)
		if err == nil {
			return c.believe(conn)
		}
		if !errors.Is(err, syscall.EAGAIN) || pause > silence/8 {
			return nil, err
		}
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// believe gives a connection back if the user's own process is at its end.
func (c *Client) believe(conn net.Conn) (net.Conn, error) {
	uid, err := peer.Unix(conn.(*net.UnixConn))
	if err == nil && uid != cmp.Or(c.UID, os.Getuid()) {
		err = fmt.Errorf("at %s listens a process of user %d", c.Place.Socket, uid)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// absent reports that nobody listens.
func absent(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
