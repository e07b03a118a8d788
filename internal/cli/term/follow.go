package term

import (
	"fmt"
	"time"
)

// How often progress is told, after a first second without any: on a terminal a
// line is rewritten, elsewhere it is one more line.
const (
	quiet        = time.Second
	onTerminal   = 200 * time.Millisecond
	elsewhere    = 5 * time.Second
	clearingLine = "\r\x1b[K"
)

// Follow tells on standard error how far something is, by line, until ended is
// called; "" is nothing to tell yet. What takes less than a second is told
// nothing of, and nothing is told where standard error is no terminal, unless
// always is set. line is called from another goroutine.
func (s *Streams) Follow(always bool, line func() string) (ended func()) {
	if !s.Terminal && !always {
		return func() {}
	}
	pause, begin, end := onTerminal, clearingLine, ""
	if !s.Terminal {
		pause, begin, end = elsewhere, "", "\n"
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		told := false
		timer := time.NewTimer(quiet)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
				if text := line(); text != "" {
					fmt.Fprint(s.Err, begin, text, end)
					told = true
				}
				timer.Reset(pause)
			case <-stop:
				if told && s.Terminal {
					fmt.Fprint(s.Err, clearingLine)
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
