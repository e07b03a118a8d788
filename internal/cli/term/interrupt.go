package term

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signaled plus a signal's number is how shells tell that a program ended by one.
const signaled = 128

// Interrupted is why a context ended: somebody sent a signal. It is
// context.Canceled too.
type Interrupted struct {
	Signal syscall.Signal
}

// Error names the signal.
func (i *Interrupted) Error() string { return i.Signal.String() + " received" }

// Is makes it a cancellation like others.
func (i *Interrupted) Is(target error) bool { return target == context.Canceled }

// Interruptible gives a context that SIGINT and SIGTERM end, whose cause is then an
// *Interrupted; a second one ends the process. Call stop when the work is done.
func Interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer close(done)
		select {
		case got := <-signals:
			signal.Stop(signals)
			number, _ := got.(syscall.Signal)
			cancel(&Interrupted{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-done
	}
}

// Ended is the exit code of a command whose context was interrupted, or was not: 128
// and the signal's number for one that did not do its work. What ended well in spite
// of it, as what serves until it is interrupted does, and the code of a program that
// was run stay as they are.
func Ended(ctx context.Context, err error, code int) int {
	by, ok := errors.AsType[*Interrupted](context.Cause(ctx))
	if exit, is := errors.AsType[*Exit](err); !ok || code == OK || is && exit.Child {
		return code
	}
	return signaled + int(by.Signal)
}

// Leave ends the process by the signal that interrupted it, when that is what code
// says: a shell goes on with a loop after a program that merely exits with 130. It
// returns when there was none, or when it does not end the process.
func Leave(ctx context.Context, code int) {
	by, ok := errors.AsType[*Interrupted](context.Cause(ctx))
	if !ok || code != signaled+int(by.Signal) || os.Getpid() == 1 { // no signal ends that one
		return
	}
	signal.Reset(by.Signal)
	if signal.Ignored(by.Signal) || syscall.Kill(os.Getpid(), by.Signal) != nil {
		return
	}
	<-time.After(time.Second) // another thread may get it
}
