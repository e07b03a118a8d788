package broker

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/session/flight"
)

const (
	// keepFor is how long after the last request a session is kept fresh.
	keepFor = 15 * time.Minute
	// maxAge is how long a way is held before it is looked for anew: what it
	// depends on in AWS may have changed. When that fails it is held on, and
	// tried again after lookAgain.
	maxAge    = time.Hour
	lookAgain = time.Minute
	// maxHolds bounds how many ways are held; the one asked for longest ago goes.
	maxHolds = 8192
	// setBack is how far the clock must have been set back for credentials to be
	// taken for older than they look.
	setBack = 30 * time.Second
)

var errLeaving = errors.New("the broker is leaving")

// holds is the ways that are held open, by request.
type holds struct {
	working context.Context // the broker's life, for what no client's end may end
	cfg     *Config
	party   *party
	began   time.Time

	mu     sync.Mutex // guards the rest
	of     map[string]*hold
	here   map[string]int // requests that are being served, by key
	closed bool
	live   sync.WaitGroup // ways being opened, kept or closed
}

func newHolds(working context.Context, cfg *Config, p *party) *holds {
	return &holds{working: working, cfg: cfg, party: p, began: time.Now(), of: map[string]*hold{}, here: map[string]int{}}
}

// keyOf is equal for requests that mean the same.
func keyOf(req client.Request) string { return req.Address + "\x00" + string(req.Options) }

// hold is one way. Its opened is replaced when it is out of date.
type hold struct {
	key     string
	address string
	person  atomic.Bool // a person was asked on the way

	mu       sync.Mutex // guards the rest
	open     *opened
	opening  chan struct{}           // closed when an Open under way has ended; nil when there is none
	give     context.CancelCauseFunc // gives that Open up
	err      error                   // of the last Open
	asked    time.Time
	requests int
	expires  time.Time // of what was given last; zero when it does not, or nothing was
	given    bool
	note     string // for whose answer elsewhere it waits; "" for nobody's
}

// opened is an open session and how many are using it.
type opened struct {
	session Session
	stamp   string
	wall    time.Time
	running time.Duration
	lookAt  time.Duration      // when to look for the way anew
	stop    context.CancelFunc // of Keep; nil while it is not kept
	users   int
	retired bool
}

// get gives credentials for a request, from the way that is held or a new one.
func (h *holds) get(ctx context.Context, req client.Request) (client.Grant, error) {
	e, err := h.hold(req)
	if err != nil {
		return client.Grant{}, err
	}
	o, err := h.enter(ctx, e, req)
	if err != nil {
		return client.Grant{}, err
	}
	defer h.exit(e, o)
	if f, ok := o.session.(Forgetter); ok && req.Refused != "" {
		f.Forget(req.Refused)
	}
	var asked atomic.Bool
	g, err := o.session.Retrieve(h.asking(ctx, e, req, &asked))
	if err != nil {
		if asked.Load() {
			err = &askedError{err}
		}
		return client.Grant{}, err
	}
	g.About = o.session.About()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.expires, e.given = g.Expires, true
	return g, nil
}

// come counts a request that is here until it is gone.
func (h *holds) come(req client.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.here[keyOf(req)]++
}

// quitTime is how long who gives something up waits for its end, and for its port.
const quitTime = time.Second

// gone is told that a request that came is here no more. An Open that a person has
// quit ends, before gone does, when nobody else waits for it.
func (h *holds) gone(req client.Request, quit bool) {
	ended := h.leave(keyOf(req), quit)
	if ended == nil {
		return
	}
	ctx, stop := context.WithTimeout(h.working, quitTime)
	defer stop()
	_ = await(ctx, ended) // it ends, if later
}

// leave does it, and gives what is closed when an Open that was quit has ended.
func (h *holds) leave(key string, quit bool) (ended <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.here[key]--; h.here[key] > 0 {
		return nil
	}
	delete(h.here, key)
	e := h.of[key]
	if !quit || e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opening == nil {
		return nil
	}
	e.give(client.ErrQuit)
	return e.opening
}

// tell notes for whose answer e waits.
func (e *hold) tell(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.note = text
}

// note is for whose answer elsewhere a request waits.
func (h *holds) note(key string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.of[key]
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.note
}

// asking lets Ask work for e, which a request has begun. asked is set when a person was.
func (h *holds) asking(ctx context.Context, e *hold, req client.Request, asked *atomic.Bool) context.Context {
	ctx = flight.WithNote(ctx, e.tell)
	return context.WithValue(ctx, askerKey{}, &asker{
		party: h.party, key: e.key, by: requester{req.PID, req.Address},
		asked: func() { e.person.Store(true); asked.Store(true) }, spawn: h.live.Go,
	})
}

// askedError is a failure after a person was asked: to try again would ask again.
type askedError struct{ error }

func (e *askedError) Unwrap() error { return e.error }

// hold finds or makes the place for a request.
func (h *holds) hold(req client.Request) (*hold, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errLeaving
	}
	key := keyOf(req)
	e := h.of[key]
	if e == nil {
		if len(h.of) >= maxHolds {
			h.dropOldestLocked()
		}
		e = &hold{key: key, address: req.Address}
		h.of[key] = e
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = time.Now()
	e.requests++
	return e, nil
}

func (h *holds) dropOldestLocked() {
	var oldest *hold
	var when time.Time
	for _, e := range h.of {
		e.mu.Lock()
		if e.opening == nil && (oldest == nil || e.asked.Before(when)) {
			oldest, when = e, e.asked
		}
		e.mu.Unlock()
	}
	if oldest != nil {
		delete(h.of, oldest.key)
		oldest.mu.Lock()
		h.retireLocked(oldest)
		oldest.mu.Unlock()
	}
}

// enter gives the open session of e, which exit must be told of. One Open at a
// time; it goes on when who waits for it leaves.
func (h *holds) enter(ctx context.Context, e *hold, req client.Request) (*opened, error) {
	stamp := ""
	if h.cfg.Stamp != nil {
		stamp = h.cfg.Stamp(req)
	}
	waited := false
	for {
		e.mu.Lock()
		if o := e.open; o != nil && (waited || h.current(o, stamp)) {
			if _, running := h.clock(); running >= o.lookAt && e.opening == nil {
				h.openLocked(e, req, stamp)
			}
			o.users++
			h.keepLocked(e, o)
			e.mu.Unlock()
			return o, nil
		}
		if waited && e.opening == nil && errors.Is(e.err, client.ErrQuit) { // by another, before this one came
			waited = false
		}
		if waited && e.opening == nil {
			defer e.mu.Unlock()
			return nil, cmp.Or(e.err, errLeaving)
		}
		if e.opening == nil {
			h.openLocked(e, req, stamp)
		}
		opening := e.opening
		e.mu.Unlock()
		select {
		case <-opening:
			waited = true
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// current reports that a session is still what the request means, and that the
// clock by which its credentials are judged was not set back since.
func (h *holds) current(o *opened, stamp string) bool {
	wall, running := h.clock()
	return o.stamp == stamp && wall.Sub(o.wall) > running-o.running-setBack
}

// clock gives a wall time without Go's monotonic reading, and a time that nobody
// can set.
func (h *holds) clock() (wall time.Time, running time.Duration) {
	if h.cfg.Clock != nil {
		return h.cfg.Clock()
	}
	now := time.Now()
	return now.Round(0), now.Sub(h.began)
}

// openLocked begins to open the way.
func (h *holds) openLocked(e *hold, req client.Request, stamp string) {
	done := make(chan struct{})
	ctx, end := context.WithCancelCause(h.working) // what Show began ends with Open
	e.opening, e.give = done, end
	h.live.Go(func() {
		wall, running := h.clock()
		var asked atomic.Bool
		s, err := h.cfg.Open(h.asking(ctx, e, req, &asked), req)
		if err != nil && errors.Is(context.Cause(ctx), client.ErrQuit) {
			err = client.ErrQuit
		}
		end(nil)
		h.party.forget(e.key)
		if err != nil && asked.Load() {
			err = &askedError{err}
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		defer close(done)
		e.opening, e.err, e.note = nil, err, ""
		if o := e.open; err != nil && o != nil && h.current(o, stamp) {
			o.lookAt = running + lookAgain
			return
		}
		h.retireLocked(e)
		if err == nil {
			e.open = &opened{session: s, stamp: stamp, wall: wall, running: running, lookAt: running + maxAge}
		}
	})
}

// retireLocked lets go of what e has open: at once, or when its last user leaves.
func (h *holds) retireLocked(e *hold) {
	o := e.open
	if o == nil {
		return
	}
	e.open = nil
	o.retired = true
	h.unkeepLocked(o)
	if o.users == 0 {
		h.live.Go(o.session.Close)
	}
}

func (h *holds) exit(e *hold, o *opened) {
	e.mu.Lock()
	defer e.mu.Unlock()
	o.users--
	if o.retired && o.users == 0 {
		h.live.Go(o.session.Close)
	}
}

// keepLocked has a session kept fresh as long as it was asked for lately.
func (h *holds) keepLocked(e *hold, o *opened) {
	if o.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(h.working)
	o.stop = stop
	o.users++ // so that it is not closed under Keep
	h.live.Go(func() {
		defer h.exit(e, o)
		kept := make(chan struct{})
		go func() { defer close(kept); o.session.Keep(ctx) }()
		for wait(ctx, keepFor) == nil {
			if !h.lately(e, o) {
				break
			}
		}
		stop()
		<-kept
	})
}

// lately reports whether e was asked for; if not, keeping it ends.
func (h *holds) lately(e *hold, o *opened) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.asked) < keepFor {
		return true
	}
	h.unkeepLocked(o)
	return false
}

func (h *holds) unkeepLocked(o *opened) {
	if o.stop != nil {
		o.stop()
		o.stop = nil
	}
}

// precious reports that something valid is held for which a person was asked, or
// that a way is being opened: a person may be about to answer.
func (h *holds) precious(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.of {
		e.mu.Lock()
		valid := e.opening != nil || e.given && e.person.Load() && now.Before(e.expires)
		e.mu.Unlock()
		if valid {
			return true
		}
	}
	return false
}

// sessions tells what is held.
func (h *holds) sessions() []client.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]client.Session, 0, len(h.of))
	for _, e := range h.of {
		e.mu.Lock()
		if e.open == nil && e.opening == nil && !e.given { // nothing came of it
			e.mu.Unlock()
			continue
		}
		s := client.Session{Address: e.address, Asked: e.asked.UTC().Truncate(time.Second), Requests: e.requests}
		if e.open != nil {
			about := e.open.session.About()
			s.Role, s.Caller = about.Role, about.Caller
		}
		if e.given && !e.expires.IsZero() {
			until := e.expires.UTC()
			s.Expires = &until
		}
		e.mu.Unlock()
		out = append(out, s)
	}
	return out
}

// close ends everything. Nobody is being served any more.
func (h *holds) close() {
	h.mu.Lock()
	h.closed = true
	for _, e := range h.of {
		e.mu.Lock()
		h.retireLocked(e)
		e.mu.Unlock()
	}
	h.mu.Unlock()
	h.live.Wait()
}
