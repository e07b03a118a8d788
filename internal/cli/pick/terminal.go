package pick

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ErrGivenUp means that the person picked nothing.
var ErrGivenUp = errors.New("nothing was picked")

// What a terminal is told (ECMA-48, and xterm's control sequences): its other
// screen, so that what was there comes back; no wrapping of lines, so that letters
// of double width are cut off and do not break the picture.
const (
	begin   = "\x1b[?1049h\x1b[?7l"
	end     = "\x1b[?7h\x1b[?1049l"
	redraw  = "\x1b[H"
	newLine = "\x1b[K\r\n"
	rest    = "\x1b[J"
)

// escapeWait is how long ESC is waited after for the rest of a key's sequence.
const escapeWait = 50 * time.Millisecond

// Pick has the person at this program's terminal pick one of the items, whatever
// standard input and output are. Items that are sent on more take the place of all
// others. It gives the name of the one that was picked, or ErrGivenUp.
func Pick(ctx context.Context, title string, items []Item, more <-chan []Item) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", fmt.Errorf("choosing takes a terminal: %w", err)
	}
	defer tty.Close()
	fd := int(tty.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("choosing takes a terminal: %w", err)
	}
	s := &screen{tty: tty, fd: fd, list: New(title, items)}
	defer func() {
		_, _ = tty.WriteString(end) // a terminal that is gone shows nothing anyway
		_ = term.Restore(fd, old)
	}()
	if _, err := tty.WriteString(begin); err != nil {
		return "", err
	}
	return s.run(ctx, more)
}

type screen struct {
	tty  *os.File
	fd   int
	list *List
	in   []byte // keys that are not whole yet
}

// run goes on until something is picked. One goroutine reads and draws; another
// tells it of everything that is no key, through a pipe, since a read from
// a terminal cannot be ended.
func (s *screen) run(ctx context.Context, more <-chan []Item) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	inner, stop := context.WithCancel(ctx)
	news, done := make(chan []Item, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer w.Close()
		tell(inner, w, resized, news, more)
	}()
	defer func() { stop(); <-done }()
	for {
		if err := s.draw(); err != nil {
			return "", err
		}
		outcome, err := s.step(ctx, r, news)
		switch {
		case err != nil:
			return "", err
		case outcome == GivenUp:
			return "", ErrGivenUp
		case outcome == Picked:
			item, _ := s.list.Marked()
			return item.Name, nil
		}
	}
}

// tell writes a byte when there are other items, which it puts into news, or the
// terminal has another size, until ctx ends. Of items only the latest count.
func tell(ctx context.Context, w io.Writer, resized <-chan os.Signal, news chan []Item, more <-chan []Item) {
	for {
		select {
		case items, ok := <-more:
			if !ok {
				more = nil
				continue
			}
			select {
			case <-news:
			default:
			}
			news <- items
		case <-resized:
		case <-ctx.Done():
			return
		}
		if _, err := w.Write([]byte{0}); err != nil {
			return
		}
	}
}

// step waits for a key or for something at r, and does what it says.
func (s *screen) step(ctx context.Context, r *os.File, news <-chan []Item) (Outcome, error) {
	key, woken, err := s.wait(int(r.Fd()))
	if err != nil {
		return Going, err
	}
	if woken {
		_, _ = r.Read(make([]byte, 64)) // there is something, or its end
		if ctx.Err() != nil {
			return Going, context.Cause(ctx)
		}
		select {
		case items := <-news:
			s.list.SetItems(items)
		default:
		}
	}
	switch {
	case key:
		return s.read()
	case !woken:
		return s.waited(), nil
	}
	return Going, nil
}

// wait waits for keys, or for something at other; after half a key but shortly, so
// that neither may come.
func (s *screen) wait(other int) (key, woken bool, err error) {
	for {
		var set unix.FdSet
		set.Set(s.fd)
		set.Set(other)
		var timeout *unix.Timeval
		if len(s.in) > 0 {
			t := unix.NsecToTimeval(escapeWait.Nanoseconds())
			timeout = &t
		}
		n, err := unix.Select(max(s.fd, other)+1, &set, nil, nil, timeout)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, false, fmt.Errorf("waiting for a key: %w", err)
		}
		return n > 0 && set.IsSet(s.fd), n > 0 && set.IsSet(other), nil
	}
}

// waited is what half a key means whose rest did not come: ESC alone is a key, all
// else was broken off.
func (s *screen) waited() Outcome {
	alone := len(s.in) == 1 && s.in[0] == 27
	s.in = nil
	if alone {
		return GivenUp
	}
	return Going
}

// read takes what was typed.
func (s *screen) read() (Outcome, error) {
	var buf [256]byte
	n, err := unix.Read(s.fd, buf[:])
	switch {
	case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		return Going, nil
	case err != nil:
		return Going, fmt.Errorf("reading from the terminal: %w", err)
	case n == 0:
		return GivenUp, nil // it is gone
	}
	s.in = append(s.in, buf[:n]...)
	for {
		key, rest, ok := Next(s.in)
		if !ok {
			return Going, nil
		}
		s.in = rest
		if outcome := s.list.Press(key); outcome != Going {
			return outcome, nil
		}
	}
}

func (s *screen) draw() error {
	width, height, err := term.GetSize(s.fd)
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := s.list.View(width, height)
	var b strings.Builder
	b.WriteString(redraw)
	for i, line := range lines {
		if i > 0 {
			b.WriteString(newLine)
		}
		b.WriteString(line)
	}
	b.WriteString("\x1b[K" + rest)
	typed := min(width, 2+len([]rune(s.list.query))) + 1
	fmt.Fprintf(&b, "\x1b[1;%dH", typed)
	_, err = s.tty.WriteString(b.String())
	return err
}
