// Package broker is the user's background holder of credentials: whoever asks,
// and however many ask, there is one login, one question, one call of STS.
//
// [Run] serves the processes of one user and one environment on a private unix
// socket (internal/broker/client says where it is, and speaks to it). It holds
// the ways that were asked for open, in memory only, refreshes what was asked
// for lately, and ends when nobody asks any more. How credentials are come by is
// the business of [Config].Open; a broker has no terminal, so what needs a person
// is asked, by [Ask], of one of the clients that wait.
//
// Nothing depends on a broker: a client that is left alone does the work itself.
package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/filelock"
)

// Session is a way to credentials that is held open.
type Session interface {
	// About says what it is the way to.
	About() client.About
	// Retrieve gives credentials. It is called by many at once, and must fetch
	// once for all of them, whoever leaves.
	Retrieve(ctx context.Context) (client.Grant, error)
	// Keep refreshes in good time until ctx ends.
	Keep(ctx context.Context)
	// Close ends what goes on in the background. Nobody uses the session then.
	Close()
}

// A Forgetter is a Session that fetches anew what AWS does not accept any more.
type Forgetter interface {
	// Forget drops the credentials with this access key id, if it has them.
	Forget(accessKeyID string)
}

// Config says how a broker works. Place and Open are required.
type Config struct {
	Place client.Place
	// Open opens the way that a request asks for. ctx lives as long as the
	// broker; [Ask] works with it, and with those that Retrieve gets.
	Open func(ctx context.Context, req client.Request) (Session, error)
	// Stamp tells whether a request would still be answered in the same way: it
	// changes when the files change that decide. Default: it never does.
	Stamp func(client.Request) string
	// Redo reports errors about which the client would find out more itself.
	// Default: none.
	Redo func(error) bool
	// Text is an error as people should read it. Default: its own text.
	Text func(error) string
	// Idle is how long the broker stays when nobody asks. Default 10 minutes.
	Idle time.Duration
	// Crowded is how long it stays so when brokers of more than three other
	// environments run. Default a minute; Idle where that is shorter.
	Crowded time.Duration
	// Ready, if set, is called once when clients can connect.
	Ready func()
	// UID is the user whose processes are served. Default: this process's.
	UID int
	// Look is how often the broker looks whether it can still be found. Default 30 s.
	Look time.Duration
	// Clock is the time of day and the time that runs, for noticing that
	// somebody has set the clock. Default: the computer's.
	Clock func() (wall time.Time, running time.Duration)
}

const (
	defaultIdle    = 10 * time.Minute
	defaultCrowded = time.Minute
	defaultLook    = 30 * time.Second
	crowd          = 3               // of brokers of other environments
	readTime       = 5 * time.Second // for a client to say what it wants
	writeTime      = 2 * time.Second // for a client to take a message
	leaveTime      = 30 * time.Second
)

// ErrRunning means that another broker has the place.
var ErrRunning = errors.New("a broker runs already")

// broker is a running one.
type broker struct {
	cfg     Config
	socket  socketFile
	program client.Program
	started time.Time
	party   *party
	holds   *holds
	visits  sync.WaitGroup
	leave   context.CancelFunc

	mu       sync.Mutex // guards the rest
	requests int
	waiting  int
	quiet    time.Time // when the last visitor left
}

// Run serves until ctx ends, a client asks it to leave, or nobody has asked for
// a while. It gives ErrRunning when another broker is there.
func Run(ctx context.Context, cfg Config) error {
	cfg.UID, cfg.Idle, cfg.Look = cmp.Or(cfg.UID, os.Getuid()), cmp.Or(cfg.Idle, defaultIdle), cmp.Or(cfg.Look, defaultLook)
	cfg.Crowded = min(cmp.Or(cfg.Crowded, defaultCrowded), cfg.Idle)
	if err := cfg.Place.Prepare(); err != nil {
		return fmt.Errorf("preparing the broker's directory: %w", err)
	}
	lock, err := filelock.Try(cfg.Place.Lock)
	if errors.Is(err, filelock.ErrHeld) {
		return ErrRunning
	}
	if err != nil {
		return fmt.Errorf("locking the broker's place: %w", err)
	}
	sweep(cfg.Place)
	ln, err := listen(ctx, cfg.Place.Socket)
	if err != nil {
		lock.Remove()
		return fmt.Errorf("listening on %s: %w", cfg.Place.Socket, err)
	}
	serving, leave := context.WithCancel(ctx)
	defer leave()
	b := &broker{cfg: cfg, socket: newSocketFile(cfg.Place.Socket), program: client.ThisProgram(), started: time.Now(), party: newParty(), leave: leave, quiet: time.Now()}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	b.holds = newHolds(working, &b.cfg, b.party)
	// Successors may come as soon as the place is free; those who are here are
	// served to their end.
	gone := context.AfterFunc(serving, func() {
		b.socket.remove()
		lock.Remove()
		_ = ln.Close()
	})
	watched := make(chan struct{})
	go func() { defer close(watched); b.watch(serving) }()
	if cfg.Ready != nil {
		cfg.Ready()
	}
	err = b.accept(serving, working, ln)
	leave()
	<-watched
	if gone() { // it had not begun
		lock.Remove()
	}
	b.finish(stop)
	return err
}

// finish waits for those who are served, but not for ever.
func (b *broker) finish(stop func()) {
	done := make(chan struct{})
	go func() { b.visits.Wait(); close(done) }()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	stop()
	<-done
	b.holds.close()
}

// listen binds the socket. Who has the lock may remove what a killed broker left.
func listen(ctx context.Context, socket string) (*net.UnixListener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	unix := ln.(*net.UnixListener)
	unix.SetUnlinkOnClose(false) // it may be a successor's by then
	if err := os.Chmod(socket, 0o600); err != nil {
		_ = unix.Close()
		return nil, err
	}
	return unix, nil
}

// socketFile is the socket that a broker has made, as long as it is in its place:
// a successor may have put its own there once somebody has cleaned up.
type socketFile struct {
	path string
	info os.FileInfo // nil if it was gone at once
}

func newSocketFile(path string) socketFile {
	info, _ := os.Lstat(path)
	return socketFile{path, info}
}

func (s socketFile) there() bool {
	now, err := os.Lstat(s.path)
	return err == nil && s.info != nil && os.SameFile(s.info, now)
}

func (s socketFile) remove() {
	if s.there() {
		_ = os.Remove(s.path)
	}
}

// sweep removes what killed brokers of other environments have left.
func sweep(own client.Place) {
	for _, other := range append(own.All(), own.AllSignIns()...) {
		if other.Socket == own.Socket {
			continue
		}
		if lock, err := filelock.Try(other.Lock); err == nil {
			_ = os.Remove(other.Socket)
			lock.Remove()
		}
	}
	// Queues are held for moments only; what is left of them is of no use.
	queues, _ := filepath.Glob(filepath.Join(own.Dir, "*.start"))
	for _, q := range queues {
		if q == own.Queue {
			continue
		}
		if lock, err := filelock.Try(q); err == nil {
			lock.Remove()
		}
	}
}

// accept serves visitors until serving ends.
func (b *broker) accept(serving, working context.Context, ln *net.UnixListener) error {
	for {
		conn, err := ln.AcceptUnix()
		if err != nil {
			if serving.Err() != nil {
				return nil
			}
			if isTemporary(err) { // no descriptors left: clients help themselves meanwhile
				if wait(serving, 100*time.Millisecond) != nil {
					return nil
				}
				continue
			}
			return fmt.Errorf("waiting for clients: %w", err)
		}
		b.visits.Go(func() {
			defer conn.Close()
			b.serve(working, conn)
		})
	}
}

// watch ends the broker when it is not needed any more, or cannot be found.
func (b *broker) watch(serving context.Context) {
	for {
		if wait(serving, min(b.cfg.Crowded, b.cfg.Look)) != nil {
			return
		}
		idle := b.cfg.Idle
		if len(b.cfg.Place.All())-1 > crowd { // who tries out many environments needs few of their brokers
			idle = b.cfg.Crowded
		}
		if !b.socket.there() || b.idleFor(time.Now()) >= idle && !b.holds.precious(time.Now()) {
			b.leave()
			return
		}
	}
}

// idleFor is how long nobody has asked.
func (b *broker) idleFor(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 {
		return 0
	}
	return now.Sub(b.quiet)
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
