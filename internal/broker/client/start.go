package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/stile-aws/stile/internal/filelock"
)

const startTime = 10 * time.Second

// start starts a broker, or waits for the one that another client starts.
func (c *Client) start(ctx context.Context) (net.Conn, error) {
	if err := c.Place.Prepare(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	ctx, stop := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("%w: none came up within %s", ErrUnavailable, startTime))
	defer stop()
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		lock, err := filelock.Try(c.Place.Queue)
		if err == nil {
			defer lock.Remove()
			return c.startLocked(ctx)
		}
		if !errors.Is(err, filelock.ErrHeld) {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if conn, err := c.dial(ctx); err == nil {
			return conn, nil
		}
		if err := wait(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func (c *Client) startLocked(ctx context.Context) (net.Conn, error) {
	switch conn, err := c.dial(ctx); {
	case err == nil:
		return conn, nil
	case !absent(err):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if n := len(c.Place.All()); n >= maxBrokers {
		return nil, fmt.Errorf("%w: %d run already", ErrUnavailable, n)
	}
	if err := c.spawn(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return conn, nil
}

// ReadyFD is the descriptor that a broker closes once it listens.
const ReadyFD = 3

// spawn starts a broker that outlives us, with its own session and nothing of
// ours open, and waits until it listens.
func (c *Client) spawn(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	p, err := os.StartProcess(program, append([]string{os.Args[0]}, c.Start...), &os.ProcAttr{
		Dir: "/", Env: surroundings(c.environ), Files: []*os.File{null, null, null, theirs},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	_ = theirs.Close()
	if err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	// Not waited for: it reaps the broker if that should end before us.
	go func() { _, _ = p.Wait() }()
	defer context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })()
	if n, err := ready.Read(make([]byte, 1)); n != 1 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("starting the broker: it ended at once: %w", err)
	}
	return nil
}
