package browser_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/machine"
	"github.com/stile-aws/stile/internal/session/devtools"
)

// patience is how long anything may take on a computer that has much else to do. It
// is waited for by tests that fail alone.
const patience = 90 * time.Second

// program is Chromium's, or the test is skipped.
func program(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	machine.Needs(t, "chromium", err)
	return path
}

// flags make of Chromium a browser that needs no display, calls nobody, and can be
// steered at a port of its own choice. The sandbox is left off as it does not run
// for root, and the test opens its own pages only.
const flags = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --no-default-browser-check --disable-background-networking " +
	"--disable-component-update --disable-sync --disable-dev-shm-usage --disable-breakpad --password-store=basic --remote-debugging-port=0"

// leftBehind is how many seconds a browser lives at most whose test has ended badly.
const leftBehind = "300"

// writeProgram keeps the other tests from starting programs meanwhile: those would have
// the file open for a moment, and what is open for writing cannot be run.
func writeProgram(path, script string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(script), 0o700)
}

// command writes a program that is Chromium with a directory for its things, and
// whose standard error told reads. It is what people name in $BROWSER. It runs once
// at a time.
func command(t *testing.T, more ...string) (path string, told func(*testing.T) *chromium) {
	t.Helper()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "stderr")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "chromium")
	run := strings.Join(append([]string{program(t), flags}, more...), " ")
	script := "#!/bin/sh\nexec timeout --foreground " + leftBehind + " sh -c 'exec " + run + ` "$@" 2>` + pipe + `' chromium "$@"` + "\n"
	if err := writeProgram(path, script); err != nil {
		t.Fatal(err)
	}
	type opened struct {
		file *os.File
		err  error
	}
	return path, func(t *testing.T) *chromium {
		t.Helper()
		came := make(chan opened, 1)
		go func() {
			f, err := os.Open(pipe) // waits for the program
			came <- opened{f, err}
		}()
		o := within(t, "starting the browser", came)
		if o.err != nil {
			t.Fatal(o.err)
		}
		return steer(t, o.file)
	}
}

// within waits for something.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		t.Fatalf("%s took more than %s", what, patience)
		panic("unreachable")
	}
}

// chromium is a browser that runs.
type chromium struct {
	conn  *devtools.Conn
	ended chan struct{} // closed when its last process is gone
	said  string        // on standard error, once it has ended

	mu      sync.Mutex // guards the rest, and the sending of commands
	waiting map[int]chan<- *devtools.Message
	tabs    map[string]*tab // by session
	targets *signal
	gone    bool
}

// newChromium starts a browser of the test's own.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	path, told := command(t, "--user-data-dir="+t.TempDir())
	cmd := exec.Command(path, "about:blank")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // it was told to end, how does not matter
	return told(t)
}

const listening = "DevTools listening on "

// steer begins to steer the browser whose standard error is read. Every process of a
// browser has that, so that its end is that of them all.
func steer(t *testing.T, stderr io.ReadCloser) *chromium {
	t.Helper()
	c := &chromium{ended: make(chan struct{}), waiting: map[int]chan<- *devtools.Message{}, tabs: map[string]*tab{}, targets: newSignal()}
	at := make(chan string, 1)
	go func() {
		defer close(c.ended)
		defer close(at)
		defer stderr.Close()
		var said []string
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			said = append(said, lines.Text())
			if address, ok := strings.CutPrefix(lines.Text(), listening); ok {
				at <- address
			}
		}
		c.said = strings.Join(said, "\n")
	}()
	address := within(t, "waiting for the browser's address", at)
	if address == "" {
		<-c.ended
		t.Fatalf("the browser ended, and said\n%s", c.said)
	}
	wire, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	c.conn = devtools.New(wire)
	heard := make(chan struct{})
	go func() { defer close(heard); c.listen() }()
	t.Cleanup(func() {
		_ = c.tell("", "Browser.close", struct{}{}) // it may be gone
		<-c.ended
		<-heard
		_ = wire.conn.Close()
	})
	c.must(t, "", "Target.setDiscoverTargets", map[string]any{"discover": true}, nil)
	return c
}

// listen has whoever waits for it hear what the browser says.
func (c *chromium) listen() {
	for {
		m, err := c.conn.Next()
		if err != nil {
			c.leave()
			return
		}
		c.mu.Lock()
		waiting, t := c.waiting[m.ID], c.tabs[m.Session]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		switch {
		case m.ID != 0 && waiting != nil:
			waiting <- m
		case t != nil:
			t.heard(m)
		default:
			c.targets.raise()
		}
	}
}

// leave tells all who wait that nothing will come.
func (c *chromium) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, w := range c.waiting {
		w <- &devtools.Message{Error: &devtools.Refusal{Message: devtools.ErrClosed.Error()}}
	}
	clear(c.waiting)
	for _, t := range c.tabs {
		t.events.raise()
	}
	c.targets.raise()
}

// tell sends a command and waits for no answer.
func (c *chromium) tell(session, method string, params any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Send(session, method, params)
	return err
}

// ask sends a command and decodes its answer.
func (c *chromium) ask(t *testing.T, session, method string, params, answer any) error {
	t.Helper()
	came := make(chan *devtools.Message, 1)
	c.mu.Lock()
	id, err := c.conn.Send(session, method, params)
	switch {
	case err != nil, c.gone:
		c.mu.Unlock()
		return devtools.ErrClosed
	}
	c.waiting[id] = came
	c.mu.Unlock()
	m := within(t, method, came)
	if m.Error != nil {
		return m.Error
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(m.Result, answer)
}

func (c *chromium) must(t *testing.T, session, method string, params, answer any) {
	t.Helper()
	if err := c.ask(t, session, method, params, answer); err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// person is one person's browser in a browser: cookies and all else are apart.
func (c *chromium) person(t *testing.T) string {
	t.Helper()
	var made struct{ BrowserContextID string }
	c.must(t, "", "Target.createBrowserContext", struct{}{}, &made)
	return made.BrowserContextID
}

// open opens a page in a tab of a person, "" for whoever was there first, as if its
// address had been typed.
func (c *chromium) open(t *testing.T, person, page string) *tab {
	t.Helper()
	var made struct{ TargetID string }
	where := map[string]any{"url": "about:blank", "newWindow": true} // a tab behind another one is not drawn
	if person != "" {
		where["browserContextId"] = person
	}
	c.must(t, "", "Target.createTarget", where, &made)
	b := c.attach(t, made.TargetID)
	b.visit(t, page)
	return b
}

// find waits for a tab that somebody else opened, and whose address has a part.
func (c *chromium) find(t *testing.T, part string) *tab {
	t.Helper()
	var found string
	c.targets.until(t, "finding a tab of "+part, func() bool {
		var all struct {
			TargetInfos []struct{ TargetID, Type, URL string }
		}
		c.must(t, "", "Target.getTargets", struct{}{}, &all)
		for _, info := range all.TargetInfos {
			if info.Type == "page" && strings.Contains(info.URL, part) {
				found = info.TargetID
			}
		}
		return found != ""
	})
	return c.attach(t, found)
}

func (c *chromium) attach(t *testing.T, target string) *tab {
	t.Helper()
	var made struct{ SessionID string }
	c.must(t, "", "Target.attachToTarget", map[string]any{"targetId": target, "flatten": true}, &made)
	b := &tab{browser: c, session: made.SessionID, events: newSignal()}
	c.mu.Lock()
	c.tabs[b.session] = b
	c.mu.Unlock()
	for _, domain := range []string{"Page", "Network", "Log", "Runtime"} {
		c.must(t, b.session, domain+".enable", struct{}{}, nil)
	}
	return b
}

// hasLeft waits until the browser has closed itself.
func (c *chromium) hasLeft(t *testing.T) {
	t.Helper()
	within(t, "closing of the browser", c.ended)
}

// signal tells somebody who waits that something may have changed.
type signal struct{ c chan struct{} }

func newSignal() *signal { return &signal{make(chan struct{}, 1)} }

func (s *signal) raise() {
	select {
	case s.c <- struct{}{}:
	default: // it is raised
	}
}

// until waits for a condition, which is asked after every change.
func (s *signal) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if err := s.await(t.Context(), holds); err != nil {
		t.Fatalf("%s: it did not come within %s", what, patience)
	}
}

func (s *signal) await(ctx context.Context, holds func() bool) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for !holds() {
		select {
		case <-s.c:
		case <-ctx.Done():
			return errors.New("it did not come")
		}
	}
	return nil
}
