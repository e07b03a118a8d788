package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/session/flight"
)

// ErrNobody means that a person is needed, and no client that waits has one. That is
// nothing to those who wait elsewhere, see flight.Unshared.
var ErrNobody error = nobody{}

type nobody struct{}

func (nobody) Error() string  { return "a person is needed, and nobody is there" }
func (nobody) Unshared() bool { return true }

// guest is a client that waits and can ask a person.
type guest struct {
	pid     int         // of its process
	key     string      // of what it waits for
	quit    atomic.Bool // its person has given that up
	number  int         // how many had come when it had
	asks    chan client.Question
	answers chan client.Answer
	gone    <-chan struct{}
}

// party is the guests, in the order of their coming.
type party struct {
	mu      sync.Mutex // guards the rest
	guests  []*guest
	busy    map[*guest]string // who is being asked something, and what
	changed chan struct{}     // closed at every change
	came    int               // how many guests have ever come
	last    int               // number of the last question
	takes   map[string]string // by key: whose pages are also for those who wait for it
	shown   map[string]shown  // the pages that are open, by whose they are
}

// shown is a page that a guest has been shown.
type shown struct {
	of   string // whose Open shows it
	to   *guest
	text string // for those who wait and have not
}

func newParty() *party {
	return &party{changed: make(chan struct{}), busy: map[*guest]string{}, takes: map[string]string{}, shown: map[string]shown{}}
}

func (p *party) join(g *guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.came++
	g.number = p.came
	p.guests = append(p.guests, g)
	p.changeLocked()
}

func (p *party) leave(g *guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests = slices.DeleteFunc(p.guests, func(o *guest) bool { return o == g })
	delete(p.busy, g)
	p.changeLocked()
}

func (p *party) free(g *guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, g)
	p.changeLocked()
}

func (p *party) changeLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// arrivals is how many guests have ever come.
func (p *party) arrivals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.came
}

// pick takes a guest who may be asked and has come after so many others, first one
// who waits for key. What is typed is asked of no other: who is asked for the code of
// one thing and waits for another would open what somebody else wants; nor is a page
// shown to who does not wait for it, see [Waits]. others says that there are some who are being asked something else; changed is closed when it
// is worth to look again.
func (p *party) pick(key string, q client.Question, after int, declined []*guest) (g *guest, id int, others bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.guests {
		switch {
		case o.number <= after || slices.Contains(declined, o) || o.key != key && (q.URL == "" || p.pagesLocked(o.key) != p.pagesLocked(key)):
		case p.busy[o] != "":
			others = true
		case g == nil || o.key == key && g.key != key:
			g = o
		}
	}
	if g != nil {
		p.busy[g] = asked(q)
		p.last++
	}
	return g, p.last, others, p.changed
}

// pagesLocked says whose pages are for those who wait for a key.
func (p *party) pagesLocked(key string) string { return cmp.Or(p.takes[key], key) }

// Waits says that who asks with ctx waits for a page of a subject until Open has
// ended, whoever has it shown: it may be shown to them too. Without it they are shown
// those alone that their own request has opened.
func Waits(ctx context.Context, subject string) {
	if a, ok := ctx.Value(askerKey{}).(*asker); ok {
		a.party.mu.Lock()
		defer a.party.mu.Unlock()
		a.party.takes[a.key] = subject
		a.party.changeLocked()
	}
}

// open notes that a page is shown to a guest.
func (p *party) open(key string, g *guest, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown[p.pagesLocked(key)] = shown{key, g, text}
}

// forget is told that an Open has ended, and with it its pages.
func (p *party) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if subject := p.pagesLocked(key); p.shown[subject].of == key {
		delete(p.shown, subject)
	}
	delete(p.takes, key)
}

// page is what g is told of a page that another one was shown.
func (p *party) page(g *guest) (text string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.shown[p.pagesLocked(g.key)]
	return s.text, ok && s.to != g
}

// other is what somebody else is asked to type than g, preferably of what g waits for;
// ok is false when nobody is, or g is too.
func (p *party) other(g *guest) (pid int, question string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for o, q := range p.busy {
		switch {
		case o == g:
			return 0, "", false
		case !ok || o.key == g.key:
			pid, question, ok = o.pid, q, true
		}
	}
	return pid, question, ok
}

// asker is what a context carries for Ask.
type asker struct {
	party *party
	key   string
	by    requester
	asked func()       // told when a person has answered
	spawn func(func()) // runs what ends with the context
}

type askerKey struct{}

// Ask has one of the clients ask a person that wait for what the question is about;
// it says for whom it asks where another process has begun it. Should the client go
// away or decline, the next one is asked. The error is [ErrNobody] when none that
// waits for it can be asked: with the last of them the question ends, and who comes
// later, or waits elsewhere or for something else that takes the same answer, asks
// anew.
//
// ctx must come from the broker, by [Config].Open or [Session].Retrieve.
func Ask(ctx context.Context, q client.Question) (client.Answer, error) {
	a, ok := ctx.Value(askerKey{}).(*asker)
	if !ok {
		return client.Answer{}, ErrNobody
	}
	answer, _, err := a.party.ask(ctx, a, q, 0)
	if !errors.Is(err, ErrNobody) || errors.Is(err, errDeclined) {
		a.asked()
	}
	return answer, err
}

// Show has one of the waiting clients show a page to a person. Should it go away
// before ctx ends, the page stays where it is shown, and those who wait go on
// waiting; one that comes afterwards shows it again: the person may have lost it.
func Show(ctx context.Context, q client.Question) error {
	a, ok := ctx.Value(askerKey{}).(*asker)
	if !ok {
		return ErrNobody
	}
	_, g, err := a.party.ask(ctx, a, q, 0)
	if err != nil {
		return err
	}
	a.asked()
	a.party.open(a.key, g, q.UnderWay)
	a.spawn(func() {
		for {
			select {
			case <-g.gone:
			case <-ctx.Done():
				return
			}
			_, next, err := a.party.ask(ctx, a, q, a.party.arrivals())
			switch {
			case err == nil:
				g = next
				a.party.open(a.key, g, q.UnderWay)
			case wait(ctx, time.Second) != nil: // before others are looked for
				return
			}
		}
	})
	return nil
}

// errDeclined is an ErrNobody that has asked somebody, who speaks for all who wait.
var errDeclined error = refused{}

type refused struct{}

func (refused) Error() string  { return ErrNobody.Error() + ": all who were asked declined" }
func (refused) Unshared() bool { return false }
func (refused) Unwrap() error  { return ErrNobody }

// ask asks one guest after the other, of those who have come after so many others,
// and tells who has answered. Unless all may be asked it waits for one even if
// there is none now. Who has no person at all has not declined. A page that was given to one who has gone since may be seen:
// when nobody else is there it is taken for shown.
func (p *party) ask(ctx context.Context, a *asker, q client.Question, after int) (client.Answer, *guest, error) {
	var declined []*guest
	said := false
	var gone *guest
	for {
		g, id, others, changed := p.pick(a.key, q, after, declined)
		if g == nil {
			if !others && gone != nil && q.URL != "" {
				return client.Answer{}, gone, nil
			}
			if !others && said {
				return client.Answer{}, nil, fmt.Errorf("%w: %s", errDeclined, asked(q))
			}
			if !others && (after == 0 || len(declined) > 0) {
				return client.Answer{}, nil, fmt.Errorf("%w: %s", ErrNobody, asked(q))
			}
			if err := await(ctx, changed); err != nil {
				return client.Answer{}, nil, fmt.Errorf("%w: %s", err, asked(q))
			}
			continue
		}
		answered := func() {}
		if q.URL == "" { // who shows a page tells those who wait elsewhere
			answered = flight.Asking(ctx, g.pid, asked(q))
		}
		answer, here := put(ctx, g, a.by.sign(q, id, g))
		answered()
		p.free(g)
		switch {
		case ctx.Err() != nil:
			return client.Answer{}, nil, context.Cause(ctx)
		case here && !answer.Declined:
			return answer, g, nil
		case here:
			declined, said = append(declined, g), said || !answer.Absent
		default:
			gone = g
		}
	}
}

// requester is who has begun what a question is about.
type requester struct {
	pid     int
	address string // what it wants
}

// sign gives a question its number, and says for whom it is asked where that is
// another process than the guest's: a person who is not told would answer for
// something they have not begun.
func (r requester) sign(q client.Question, id int, g *guest) client.Question {
	q.ID = id
	if q.URL != "" || r.pid == 0 || r.pid == g.pid {
		return q
	}
	q.Text = fmt.Sprintf("%s (for %s, asked by process %s)%s", asked(q), r.address, nameOf(r.pid), strings.TrimPrefix(q.Text, asked(q)))
	return q
}

// nameOf is a process for people: its id, and its program's name where the system
// tells it.
func nameOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimSpace(string(text))
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Itoa(pid)
	}
	return fmt.Sprintf("%d (%s)", pid, name)
}

// asked is a question in an error.
func asked(q client.Question) string { return strings.TrimRight(q.Text, ": ") }

// await waits for a change of the party.
func await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// put asks a guest, and reports whether it was there to the end. Answers to
// questions that were given up are passed over.
func put(ctx context.Context, g *guest, q client.Question) (answer client.Answer, here bool) {
	select {
	case g.asks <- q:
	case <-g.gone:
		return answer, false
	case <-ctx.Done():
		return answer, true
	}
	for {
		select {
		case answer = <-g.answers:
			if answer.ID == q.ID {
				return answer, true
			}
		case <-g.gone:
			return answer, false
		case <-ctx.Done():
			return answer, true
		}
	}
}
