package observe

import (
	"fmt"
	"time"

	"github.com/stile-aws/stile/internal/observe"
)

// How often progress is told, after a first second without any: on a terminal a
// line is rewritten, elsewhere it is one more line.
const (
	quiet        = time.Second
	onTerminal   = 200 * time.Millisecond
	elsewhere    = 5 * time.Second
	clearingLine = "\r\x1b[K"
)

// follow tells how far the reading is, until ended is called.
func (o *options) follow(m *observe.Meter) (ended func()) {
	if !o.streams.Terminal && !o.progress {
		return func() {}
	}
	pause, begin, end := onTerminal, clearingLine, ""
	if !o.streams.Terminal {
		pause, begin, end = elsewhere, "", "\n"
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		told := false
		for timer := time.NewTimer(quiet); ; timer.Reset(pause) {
			select {
			case <-timer.C:
				p := m.Progress()
				fmt.Fprintf(o.streams.Err, "%s%d of %d accounts read, %d calls%s", begin, p.Done, p.Accounts, p.Calls, end)
				told = true
			case <-stop:
				if told && o.streams.Terminal {
					fmt.Fprint(o.streams.Err, clearingLine)
				}
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}
