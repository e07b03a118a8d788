package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/filelock"
)

// ways is what a broker of these tests opens: sessions that are made up, and
// counted. The real ones are tried in internal/cli/broker.
type ways struct {
	opens, fetches, closes, kept atomic.Int64
	life                         time.Duration
	hook                         func(ctx context.Context, address string) error // in Open

	mu    sync.Mutex // guards the rest
	stamp string
	wall  time.Duration // how far the clock was set forward, or back
	since time.Duration // how much time has passed beside the real one
}

func (w *ways) open(ctx context.Context, req client.Request) (broker.Session, error) {
	w.opens.Add(1)
	if w.hook != nil {
		if err := w.hook(ctx, req.Address); err != nil {
			return nil, err
		}
	}
	return &fake{ways: w, address: req.Address}, nil
}

func (w *ways) getStamp(client.Request) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stamp
}

var began = time.Now()

func (w *ways) clock() (time.Time, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	running := time.Since(began) + w.since
	return began.Round(0).Add(running + w.wall), running
}

func (w *ways) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

type fake struct {
	ways    *ways
	address string
	once    sync.Once
	grant   client.Grant
}

func (f *fake) About() client.About { return client.About{Account: "222222222222", Name: f.address} }

func (f *fake) Retrieve(context.Context) (client.Grant, error) {
	f.once.Do(func() {
		n := f.ways.fetches.Add(1)
		f.grant = client.Grant{AccessKeyID: fmt.Sprintf("ASIA%d", n), SecretAccessKey: "hidden", Expires: time.Now().Add(max(f.ways.life, time.Second))}
	})
	return f.grant, nil
}

func (f *fake) Keep(ctx context.Context) {
	f.ways.kept.Add(1)
	<-ctx.Done()
}

func (f *fake) Close() { f.ways.closes.Add(1) }

// running is a broker in this process.
type running struct {
	*ways
	place  client.Place
	ended  chan error
	cancel context.CancelFunc
}

// start runs a broker, which ends with the test.
func start(t *testing.T, w *ways, idle time.Duration) *running {
	t.Helper()
	return startAt(t, w, place(t), idle)
}

// place is short enough for a socket, which a test's own directory may not be.
func place(t *testing.T) client.Place {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "stile-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p, err := client.Find([]string{"HOME=/home/jane", "XDG_RUNTIME_DIR=" + dir})
	if err != nil {
		t.Fatal(err)
	}
	return *p
}

func startAt(t *testing.T, w *ways, p client.Place, idle time.Duration) *running {
	t.Helper()
	return startWith(t, w, broker.Config{Place: p, Idle: idle})
}

// startWith runs a broker of w's ways, which ends with the test.
func startWith(t *testing.T, w *ways, cfg broker.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{ways: w, place: cfg.Place, ended: make(chan error, 1), cancel: cancel}
	ready := make(chan struct{})
	cfg.Open, cfg.Stamp, cfg.Clock, cfg.Ready = w.open, w.getStamp, w.clock, func() { close(ready) }
	go func() { r.ended <- broker.Run(ctx, cfg) }()
	select {
	case <-ready:
	case err := <-r.ended:
		t.Fatalf("Run = %v before it was ready", err)
	}
	t.Cleanup(func() {
		cancel()
		r.wait(t)
	})
	return r
}

func (r *running) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("Run = %v", err)
		}
		r.ended <- nil
	case <-time.After(20 * time.Second):
		t.Fatal("the broker does not end")
	}
}

func (r *running) client() *client.Client { return &client.Client{Place: r.place} }

func (r *running) get(t *testing.T, address string) *client.Grant {
	t.Helper()
	g, err := r.client().Get(t.Context(), client.Request{Address: address})
	if err != nil {
		t.Fatalf("Get(%s): %v", address, err)
	}
	return g
}

func TestManyClientsCauseOneOpenAndOneFetch(t *testing.T) {
	gate := make(chan struct{})
	r := start(t, &ways{life: time.Hour, hook: func(context.Context, string) error { <-gate; return nil }}, 0)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			g, err := r.client().Get(t.Context(), client.Request{Address: "orders/reader"})
			if err != nil || g.AccessKeyID != "ASIA1" || g.Account != "222222222222" {
				t.Errorf("Get = %v, %v, want ASIA1", g, err)
			}
		})
	}
	until(t, r, func(s *client.Status) bool { return s.Waiting >= 50 })
	close(gate)
	group.Wait()
	if r.opens.Load() != 1 || r.fetches.Load() != 1 {
		t.Errorf("%d opens and %d fetches, want one each", r.opens.Load(), r.fetches.Load())
	}
}

// until asks the broker until its status is as wanted.
func until(t *testing.T, r *running, good func(*client.Status) bool) *client.Status {
	t.Helper()
	for {
		s, err := r.client().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if good(s) {
			return s
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("status is %+v", s)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestRequestsThatDifferAreKeptApart(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 0)
	a, b := r.get(t, "orders/reader"), r.get(t, "orders/writer")
	again := r.get(t, "orders/reader")
	if a.AccessKeyID == b.AccessKeyID || a.AccessKeyID != again.AccessKeyID {
		t.Errorf("got %s, %s and %s again", a.AccessKeyID, b.AccessKeyID, again.AccessKeyID)
	}
	g, err := r.client().Get(t.Context(), client.Request{Address: "orders/reader", Options: []byte(`{"As":"x"}`)})
	if err != nil || g.AccessKeyID == a.AccessKeyID {
		t.Errorf("other options gave %v, %v", g, err)
	}
}

func TestAWayIsLookedForAnewWhenWhatItRestsOnChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*ways)
		opens  int64
	}{
		{"nothing", func(*ways) {}, 1},
		{"a file", func(w *ways) { w.stamp = "other" }, 2},
		{"time, a little", func(w *ways) { w.since += 30 * time.Minute }, 1},
		{"the clock, forward", func(w *ways) { w.wall += 100 * time.Hour }, 1}, // after suspension, say
		{"the clock, back", func(w *ways) { w.wall -= time.Hour }, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, &ways{life: time.Hour}, 0)
			r.get(t, "orders/reader")
			r.set(func() { c.change(r.ways) })
			r.get(t, "orders/reader")
			if got := r.opens.Load(); got != c.opens {
				t.Errorf("%d opens, want %d", got, c.opens)
			}
		})
	}
}

// An hour later the way is looked for in the background; when that fails, what
// is held goes on being served.
func TestAnOldWayIsServedWhileItIsLookedForAnew(t *testing.T) {
	looked := make(chan struct{}, 10)
	fail := atomic.Bool{}
	w := &ways{life: 2 * time.Hour, hook: func(context.Context, string) error {
		looked <- struct{}{}
		if fail.Load() {
			return errors.New("AWS is down")
		}
		return nil
	}}
	r := start(t, w, 0)
	r.get(t, "orders/reader")
	<-looked
	fail.Store(true)
	r.set(func() { r.since += 61 * time.Minute })
	if g := r.get(t, "orders/reader"); g.AccessKeyID != "ASIA1" {
		t.Errorf("got %s, want what was held", g.AccessKeyID)
	}
	<-looked
	if g := r.get(t, "orders/reader"); g.AccessKeyID != "ASIA1" {
		t.Errorf("after a failure got %s, want what was held", g.AccessKeyID)
	}
}

func TestFailuresReachEveryClientAndAreNotKept(t *testing.T) {
	fail := atomic.Bool{}
	fail.Store(true)
	w := &ways{life: time.Hour, hook: func(context.Context, string) error {
		if fail.Load() {
			return errors.New("no way there")
		}
		return nil
	}}
	r := start(t, w, 0)
	_, err := r.client().Get(t.Context(), client.Request{Address: "orders/nobody"})
	refusal, ok := errors.AsType[*client.Refusal](err)
	if !ok || refusal.Text != "no way there" || refusal.Redo {
		t.Errorf("Get = %v, want the reason", err)
	}
	fail.Store(false)
	r.get(t, "orders/nobody")
}

func TestStatusTellsWhatIsHeldWithoutSecrets(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 0)
	r.get(t, "orders/reader")
	s, err := r.client().Status(t.Context())
	if err != nil || len(s.Sessions) != 1 || s.PID != os.Getpid() {
		t.Fatalf("Status = %+v, %v", s, err)
	}
	held := s.Sessions[0]
	if held.Address != "orders/reader" || held.Requests != 1 || held.Expires == nil || time.Until(*held.Expires) < 59*time.Minute {
		t.Errorf("session is %+v", held)
	}
	if text := fmt.Sprintf("%+v", s); strings.Contains(text, "hidden") || strings.Contains(text, "ASIA") {
		t.Errorf("status holds credentials: %s", text)
	}
	if text := fmt.Sprintf("%+v %#v", *r.get(t, "orders/reader"), r.get(t, "orders/reader")); strings.Contains(text, "hidden") {
		t.Errorf("a grant prints its secret: %s", text)
	}
}

func TestStopForgetsEverything(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 0)
	r.get(t, "orders/reader")
	if err := r.client().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wait(t)
	if r.closes.Load() != 1 || r.kept.Load() != 1 {
		t.Errorf("%d sessions closed and %d kept, want one", r.closes.Load(), r.kept.Load())
	}
	if left, _ := filepath.Glob(filepath.Join(r.place.Dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := r.client().Status(t.Context()); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("Status = %v, want ErrUnavailable", err)
	}
}

// Who waits when the broker is told to stop still gets credentials, and a
// successor can come at once.
func TestStopServesThoseWhoWait(t *testing.T) {
	gate := make(chan struct{})
	r := start(t, &ways{life: time.Hour, hook: func(context.Context, string) error { <-gate; return nil }}, 0)
	got := make(chan error, 1)
	go func() {
		_, err := r.client().Get(t.Context(), client.Request{Address: "orders/reader"})
		got <- err
	}()
	until(t, r, func(s *client.Status) bool { return s.Waiting >= 1 })
	if err := r.client().Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, err := os.Lstat(r.place.Socket); err == nil; _, err = os.Lstat(r.place.Socket) {
		select {
		case <-t.Context().Done():
			t.Fatal("the socket stays")
		case <-time.After(time.Millisecond):
		}
	}
	successor := &ways{life: time.Hour}
	next := startAfter(t, successor, r.place)
	next.get(t, "orders/other")
	close(gate)
	if err := <-got; err != nil {
		t.Errorf("who waited got %v", err)
	}
	if successor.opens.Load() != 1 {
		t.Errorf("the successor opened %d ways, want one", successor.opens.Load())
	}
}

// startAfter starts a broker as soon as its predecessor has let go of the lock.
func startAfter(t *testing.T, w *ways, p client.Place) *running {
	t.Helper()
	for {
		lock, err := filelock.Try(p.Lock)
		if err == nil {
			lock.Remove()
			return startAt(t, w, p, 0)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestTheBrokerLeavesWhenNobodyAsks(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 20*time.Millisecond)
	r.get(t, "orders/reader")
	r.wait(t)
}

// What a person was asked for would have to be asked for again.
func TestTheBrokerStaysForWhatAPersonWasAsked(t *testing.T) {
	w := &ways{life: 1500 * time.Millisecond, hook: func(ctx context.Context, _ string) error {
		_, err := broker.Ask(ctx, client.Question{Text: "MFA code"})
		return err
	}}
	r := start(t, w, 20*time.Millisecond)
	c := r.client()
	c.Answer = func(context.Context, client.Question) (client.Answer, error) {
		return client.Answer{Text: "123456"}, nil
	}
	g, err := c.Get(t.Context(), client.Request{Address: "orders/reader"})
	if err != nil {
		t.Fatal(err)
	}
	r.wait(t)
	if left := time.Until(g.Expires); left > 0 {
		t.Errorf("it left %s before the session's end", left)
	}
}

// Somebody who tries out many environments does not leave a broker of each behind.
func TestBrokersMakeRoomWhenThereAreMany(t *testing.T) {
	p := place(t)
	first := startWith(t, &ways{life: time.Hour}, broker.Config{Place: p, Idle: time.Hour, Crowded: 5 * time.Millisecond})
	first.get(t, "a")
	dir := filepath.Dir(p.Dir)
	var others []*running
	for i := range 4 {
		if i == 3 {
			select {
			case <-first.ended:
				t.Fatal("it has left although few were there")
			case <-time.After(100 * time.Millisecond):
			}
		}
		other, err := client.Find([]string{"HOME=/home/jane", "XDG_RUNTIME_DIR=" + dir, fmt.Sprint("AWS_PROFILE=", i)})
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, startWith(t, &ways{life: time.Hour}, broker.Config{Place: *other, Idle: time.Hour}))
	}
	first.wait(t)
	for _, other := range others {
		other.get(t, "a")
	}
}

func TestTheBrokerLeavesWhenItCannotBeFound(t *testing.T) {
	r := startWith(t, &ways{life: time.Hour}, broker.Config{Place: place(t), Idle: time.Hour, Look: 5 * time.Millisecond})
	r.get(t, "a")
	if err := os.RemoveAll(r.place.Dir); err != nil {
		t.Fatal(err)
	}
	r.wait(t)
}

// Somebody cleans the directory up, so a second broker starts before the first
// has noticed; the first must not take the second's place away as it leaves.
func TestABrokerThatLeavesLetsItsSuccessorBe(t *testing.T) {
	first := start(t, &ways{life: time.Hour}, 0)
	first.get(t, "a")
	if err := os.RemoveAll(first.place.Dir); err != nil {
		t.Fatal(err)
	}
	second := startAt(t, &ways{life: time.Hour}, first.place, 0)
	first.cancel()
	first.wait(t)
	second.get(t, "a")
	if _, err := filelock.Try(second.place.Lock); !errors.Is(err, filelock.ErrHeld) {
		t.Errorf("the successor's lock: %v, want %v", err, filelock.ErrHeld)
	}
}

func TestAnotherUsersClientGetsNothing(t *testing.T) {
	w := &ways{life: time.Hour}
	r := startWith(t, w, broker.Config{Place: place(t), UID: os.Getuid() + 1})
	g, err := r.client().Get(t.Context(), client.Request{Address: "a"})
	if !errors.Is(err, client.ErrUnavailable) || w.opens.Load() != 0 {
		t.Errorf("Get = %v, %v after %d opens, want %v and none", g, err, w.opens.Load(), client.ErrUnavailable)
	}
}

// Without a runtime directory the place is one that another user can make first,
// even while a client lives.
func TestAnotherUsersBrokerIsNotBelieved(t *testing.T) {
	w := &ways{life: time.Hour, hook: func(ctx context.Context, _ string) error {
		_, err := broker.Ask(ctx, client.Question{Text: "Passphrase of the secret store"})
		return err
	}}
	r := start(t, w, 0)
	c := r.client()
	c.UID = os.Getuid() + 1 // as seen by somebody else
	c.Answer = func(context.Context, client.Question) (client.Answer, error) {
		t.Error("the other user's broker asks a question")
		return client.Answer{Text: "hunter2"}, nil
	}
	g, err := c.Get(t.Context(), client.Request{Address: "a"})
	if !errors.Is(err, client.ErrUnavailable) || w.opens.Load() != 0 {
		t.Errorf("Get = %v, %v after %d opens, want %v and none", g, err, w.opens.Load(), client.ErrUnavailable)
	}
	if err := os.Chmod(r.place.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if g, err := r.client().Get(t.Context(), client.Request{Address: "a"}); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("in a directory of others too: Get = %v, %v, want %v", g, err, client.ErrUnavailable)
	}
}

// A broker that will never stay is as good as none.
func TestABrokerThatAlwaysLeaves(t *testing.T) {
	p := place(t)
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "unix", p.Socket)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			var req client.Request
			_, _ = client.Read(conn, &req), client.Write(conn, client.Reply{Leaving: true})
			_ = conn.Close()
		}
	})
	_, err = (&client.Client{Place: p}).Get(t.Context(), client.Request{Address: "a"})
	if !errors.Is(err, client.ErrUnavailable) || !strings.Contains(err.Error(), "it is leaving") {
		t.Errorf("Get = %v", err)
	}
	_ = ln.Close()
	group.Wait()
}

func TestOneBrokerAPlace(t *testing.T) {
	r := start(t, &ways{}, 0)
	err := broker.Run(t.Context(), broker.Config{Place: r.place, Open: r.open})
	if !errors.Is(err, broker.ErrRunning) {
		t.Errorf("a second Run = %v, want ErrRunning", err)
	}
	r.get(t, "a")
}

func TestWhatAKilledBrokerLeftIsRemoved(t *testing.T) {
	p := place(t)
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(p.Dir, "broker-0123456789abcdef.sock")
	for _, path := range []string{p.Socket, other} {
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r := startAt(t, &ways{life: time.Hour}, p, 0)
	r.get(t, "a")
	if _, err := os.Lstat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the other socket is still there: %v", err)
	}
}

func TestABrokerLeavesForANewerProgram(t *testing.T) {
	r := start(t, &ways{}, 0)
	for _, req := range []client.Request{
		{Protocol: client.Protocol, Program: client.Program{Modified: time.Now().Add(time.Hour).UnixNano()}, Do: client.DoGet},
	} {
		if got := r.raw(t, req); !got.Leaving {
			t.Errorf("reply is %+v, want that it leaves", got)
		}
	}
	r.wait(t)
}

func TestAnOlderProtocolIsSentAway(t *testing.T) {
	r := start(t, &ways{life: time.Hour}, 0)
	if got := r.raw(t, client.Request{Protocol: client.Protocol - 1, Do: client.DoGet}); !got.Leaving {
		t.Errorf("reply is %+v, want that it leaves", got)
	}
	r.get(t, "the broker stays for its own") // and does not leave for it
}

// raw sends a request as it is.
func (r *running) raw(t *testing.T, req client.Request) client.Reply {
	t.Helper()
	conn, err := net.Dial("unix", r.place.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := client.Write(conn, req); err != nil {
		t.Fatal(err)
	}
	var got client.Reply
	if err := client.Read(conn, &got); err != nil {
		t.Fatal(err)
	}
	return got
}
