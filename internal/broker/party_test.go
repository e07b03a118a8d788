package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/session/flight"
)

// asking is a broker whose ways need a code, and its clients. What a person
// would answer is the test's.
func asking(t *testing.T) (*running, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	w := &ways{life: time.Hour, hook: func(ctx context.Context, _ string) error {
		asked.Add(1)
		a, err := broker.Ask(ctx, client.Question{Text: "MFA code", Secret: true})
		if err == nil && a.Text != "123456" {
			return errors.New("the code is wrong")
		}
		return err
	}}
	return start(t, w, 0), &asked
}

type answering func(context.Context, client.Question) (client.Answer, error)

func right(context.Context, client.Question) (client.Answer, error) {
	return client.Answer{Text: "123456"}, nil
}

// get asks as a client with a person, or nil for none.
func (r *running) ask(ctx context.Context, f answering) error {
	c := r.client()
	c.Answer = f
	_, err := c.Get(ctx, client.Request{Address: "orders/reader"})
	return err
}

func TestOneOfManyIsAsked(t *testing.T) {
	r, asked := asking(t)
	gate := make(chan struct{})
	var questions atomic.Int64
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			err := r.ask(t.Context(), func(ctx context.Context, q client.Question) (client.Answer, error) {
				if questions.Add(1); q.Text != "MFA code" || !q.Secret {
					t.Errorf("question is %+v", q)
				}
				<-gate
				return right(ctx, q)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	until(t, r, func(s *client.Status) bool { return s.Waiting >= 20 })
	close(gate)
	group.Wait()
	if questions.Load() != 1 || asked.Load() != 1 {
		t.Errorf("%d questions for %d opens, want one", questions.Load(), asked.Load())
	}
}

func TestAnotherIsAskedWhenOneGoesAway(t *testing.T) {
	r, asked := asking(t)
	ctx, kill := context.WithCancel(t.Context())
	second := make(chan error, 1)
	first := r.ask(ctx, func(ctx context.Context, _ client.Question) (client.Answer, error) {
		go func() { second <- r.ask(t.Context(), right) }()
		until(t, r, func(s *client.Status) bool { return s.Waiting == 2 })
		kill() // its process dies
		<-ctx.Done()
		return client.Answer{}, ctx.Err()
	})
	if !errors.Is(first, context.Canceled) {
		t.Fatalf("the first got %v", first)
	}
	if err := <-second; err != nil {
		t.Errorf("the second got %v", err)
	}
	if asked.Load() != 1 {
		t.Errorf("%d opens, want that the first went on", asked.Load())
	}
}

// Nobody is kept waiting by a question that nobody will answer.
func TestAQuestionEndsWithTheLastWhoMayAnswerIt(t *testing.T) {
	ended := make(chan error, 2)
	w := &ways{life: time.Hour, hook: func(ctx context.Context, _ string) error {
		_, err := broker.Ask(ctx, client.Question{Text: "MFA code"})
		ended <- err
		return err
	}}
	r := start(t, w, 0)
	ctx, kill := context.WithCancel(t.Context())
	err := r.ask(ctx, func(ctx context.Context, _ client.Question) (client.Answer, error) {
		kill()
		<-ctx.Done()
		return client.Answer{}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the first got %v", err)
	}
	err = <-ended // without anybody coming
	own, ok := errors.AsType[flight.Unshared](err)
	if !errors.Is(err, broker.ErrNobody) || !ok || !own.Unshared() {
		t.Errorf("it ended with %v, want that nobody is there, which is nothing to others", err)
	}
	until(t, r, func(s *client.Status) bool { return len(s.Sessions) == 0 }) // who comes sooner is told to ask itself
	if err := r.ask(t.Context(), right); err != nil {
		t.Errorf("the next got %v, want a question of its own", err)
	}
}

// Who waits is told for whose answer.
func TestWhoWaitsForAnothersAnswerIsTold(t *testing.T) {
	r, _ := asking(t)
	told, answered := make(chan string, 1), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		first <- r.ask(t.Context(), func(ctx context.Context, q client.Question) (client.Answer, error) {
			<-answered
			return right(ctx, q)
		})
	}()
	until(t, r, func(s *client.Status) bool { return s.Waiting == 1 })
	c := r.client()
	c.Note = func(text string) { told <- text; close(answered) }
	if _, err := c.Get(t.Context(), client.Request{Address: "orders/reader"}); err != nil {
		t.Error(err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
	if want := fmt.Sprintf("waiting for an answer at the terminal of process %d, which asks: MFA code", os.Getpid()); <-told != want {
		t.Errorf("it was told something else than %q", want)
	}
}

// Without a person it is as if nobody had been asked; one who says no speaks for all.
func TestWhoIsAbsentHasNotDeclined(t *testing.T) {
	for _, absent := range []bool{true, false} {
		r, _ := asking(t)
		refusal, ok := errors.AsType[*client.Refusal](r.ask(t.Context(), func(context.Context, client.Question) (client.Answer, error) {
			return client.Answer{Declined: true, Absent: absent}, nil
		}))
		if !ok || refusal.Redo != absent {
			t.Errorf("absent %t: %v, redo %t", absent, refusal, refusal.Redo)
		}
	}
}

func TestNobodyToAsk(t *testing.T) {
	r, _ := asking(t)
	refusal, ok := errors.AsType[*client.Refusal](r.ask(t.Context(), nil))
	if !ok || !refusal.Redo {
		t.Errorf("without a person: %v, want that the client tries itself", refusal)
	}
	declines := func(context.Context, client.Question) (client.Answer, error) {
		return client.Answer{}, errors.New("interrupted")
	}
	refusal, ok = errors.AsType[*client.Refusal](r.ask(t.Context(), declines))
	if !ok || refusal.Redo {
		t.Errorf("with one who declines: %v, want that it is final", refusal)
	}
	wrong := func(context.Context, client.Question) (client.Answer, error) { return client.Answer{Text: "1"}, nil }
	refusal, ok = errors.AsType[*client.Refusal](r.ask(t.Context(), wrong))
	if !ok || refusal.Redo || refusal.Text != "the code is wrong" {
		t.Errorf("with a wrong answer: %v", refusal)
	}
	if err := r.ask(t.Context(), right); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

// Who waits for one thing does not answer for another: somebody else would have it.
func TestWhatIsTypedIsAskedOfWhoWaitsForItAlone(t *testing.T) {
	for _, secret := range []bool{false, true} {
		release := make(chan struct{})
		w := &ways{life: time.Hour, hook: func(ctx context.Context, address string) error {
			if address == "dev" {
				<-release
				return nil
			}
			_, err := broker.Ask(ctx, client.Question{Text: "MFA code of prod-admin", Secret: secret})
			return err
		}}
		r := start(t, w, 0)
		dev := make(chan error, 1)
		go func() {
			c := r.client()
			c.Answer = func(_ context.Context, q client.Question) (client.Answer, error) {
				t.Errorf("who waits for dev is asked %q", q.Text)
				return client.Answer{Text: "123456"}, nil
			}
			_, err := c.Get(t.Context(), client.Request{Address: "dev"})
			dev <- err
		}()
		until(t, r, func(s *client.Status) bool { return s.Waiting == 1 })
		_, err := r.client().Get(t.Context(), client.Request{Address: "prod"}) // it has nobody to ask
		if refusal, ok := errors.AsType[*client.Refusal](err); !ok || !refusal.Redo {
			t.Errorf("who has nobody to ask got %v, want that it tries itself", err)
		}
		close(release)
		if err := <-dev; err != nil {
			t.Error(err)
		}
	}
}

// What serves two ways, such as the MFA session of a user for all roles, is asked for at
// the terminal of the other when the first has none: as the other's own question.
func TestWhoWaitsForTheSameFlightIsAskedNext(t *testing.T) {
	dir, begun, release := t.TempDir(), make(chan struct{}), make(chan struct{})
	var answered atomic.Bool
	w := &ways{life: time.Hour, hook: func(ctx context.Context, address string) error {
		return flight.Do(ctx, dir, "mfa", answered.Load, func(ctx context.Context) error {
			if address == "script" {
				close(begun)
				<-release
			}
			a, err := broker.Ask(ctx, client.Question{Text: "MFA code for " + address})
			answered.Store(err == nil && a.Text == "123456")
			return err
		})
	}}
	r := start(t, w, 0)
	script, person := make(chan error, 1), make(chan error, 1)
	get := func(address string, f answering, done chan<- error) {
		c := r.client()
		c.Answer = f
		_, err := c.Get(t.Context(), client.Request{Address: address})
		done <- err
	}
	go get("script", nil, script)
	<-begun
	go get("person", func(ctx context.Context, q client.Question) (client.Answer, error) {
		if q.Text != "MFA code for person" {
			t.Errorf("the person is asked %q", q.Text)
		}
		return right(ctx, q)
	}, person)
	until(t, r, func(s *client.Status) bool { return s.Waiting == 2 })
	close(release)
	if refusal, ok := errors.AsType[*client.Refusal](<-script); !ok || !refusal.Redo {
		t.Error("the script is not told to try itself")
	}
	if err := <-person; err != nil {
		t.Error(err)
	}
}

// A person is told who has begun what they are asked for, unless they have.
func TestQuestionsForAnotherProcessSayForWhom(t *testing.T) {
	joined := make(chan struct{})
	w := &ways{life: time.Hour, hook: func(ctx context.Context, _ string) error {
		<-joined
		_, err := broker.Ask(ctx, client.Question{Text: "MFA code: "})
		return err
	}}
	r := start(t, w, 0)
	conn, err := net.Dial("unix", r.place.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := client.Write(conn, client.Request{Protocol: client.Protocol, Program: client.ThisProgram(), Do: client.DoGet, Address: "orders/reader", PID: os.Getppid()}); err != nil {
		t.Fatal(err)
	}
	until(t, r, func(s *client.Status) bool { return s.Waiting == 1 })
	asked, got := make(chan string, 1), make(chan error, 1)
	go func() {
		got <- r.ask(t.Context(), func(ctx context.Context, q client.Question) (client.Answer, error) {
			asked <- q.Text
			return right(ctx, q)
		})
	}()
	until(t, r, func(s *client.Status) bool { return s.Waiting == 2 })
	close(joined)
	text, want := <-asked, fmt.Sprintf("MFA code (for orders/reader, asked by process %d", os.Getppid())
	if !strings.HasPrefix(text, want) || !strings.HasSuffix(text, "): ") {
		t.Errorf("asked %q, want %q …", text, want)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestOutsideABrokerNobodyIsAsked(t *testing.T) {
	if _, err := broker.Ask(t.Context(), client.Question{}); !errors.Is(err, broker.ErrNobody) {
		t.Errorf("Ask = %v", err)
	}
	if err := broker.Show(t.Context(), client.Question{}); !errors.Is(err, broker.ErrNobody) {
		t.Errorf("Show = %v", err)
	}
}

// showing is a broker whose ways need a page, which is answered when the test says
// so, and its clients.
func showing(t *testing.T) (r *running, answered chan struct{}) {
	t.Helper()
	answered = make(chan struct{})
	w := &ways{life: time.Hour, hook: func(ctx context.Context, _ string) error {
		if err := broker.Show(ctx, client.Question{Text: "sign in", URL: "https://acme.awsapps.com/start"}); err != nil {
			return err
		}
		select {
		case <-answered:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}}
	return start(t, w, 0), answered
}

// Who is killed while it opens the page may have opened it.
func TestAPageIsWaitedForWhenTheOneThatOpensItDies(t *testing.T) {
	r, answered := showing(t)
	ctx, kill := context.WithCancel(t.Context())
	err := r.ask(ctx, func(ctx context.Context, _ client.Question) (client.Answer, error) {
		kill()
		<-ctx.Done()
		return client.Answer{}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the first got %v", err)
	}
	close(answered)
	if err := r.ask(t.Context(), nil); err != nil { // has nobody to show it to
		t.Errorf("the next got %v, want what the page brought", err)
	}
	if n := r.opens.Load(); n != 1 {
		t.Errorf("%d opens, want that the first went on", n)
	}
}

// The person sees the page already; one who comes when nobody is left who showed it
// may have lost it.
func TestAPageIsShownAgainToNewcomersAlone(t *testing.T) {
	r, answered := showing(t)
	var shown atomic.Int64
	show := func(context.Context, client.Question) (client.Answer, error) {
		shown.Add(1)
		return client.Answer{}, nil
	}
	ctx, kill := context.WithCancel(t.Context())
	var group sync.WaitGroup
	first := make(chan struct{})
	group.Go(func() {
		_ = r.ask(ctx, func(ctx context.Context, q client.Question) (client.Answer, error) {
			defer close(first)
			return show(ctx, q)
		})
	})
	<-first
	for range 10 {
		group.Go(func() {
			if err := r.ask(t.Context(), show); err != nil {
				t.Error(err)
			}
		})
	}
	until(t, r, func(s *client.Status) bool { return s.Waiting == 11 })
	kill()
	until(t, r, func(s *client.Status) bool { return s.Waiting == 10 })
	if n := shown.Load(); n != 1 {
		t.Errorf("%d pages were shown, want that those who waited show none", n)
	}
	group.Go(func() {
		if err := r.ask(t.Context(), show); err != nil {
			t.Error(err)
		}
	})
	for shown.Load() < 2 {
		select {
		case <-t.Context().Done():
			t.Fatal("the newcomer is not shown the page")
		case <-time.After(time.Millisecond):
		}
	}
	close(answered)
	group.Wait()
	if n := shown.Load(); n != 2 {
		t.Errorf("%d pages were shown, want one more", n)
	}
}
