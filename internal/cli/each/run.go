package each

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/cli/child"
)

// job is one command to run.
type job struct {
	address string
	// environ gives the command's environment, and what to do when it has ended.
	environ func(ctx context.Context) (env []string, done func(), err error)
}

// result is what became of a job.
type result struct {
	Address string  `json:"address"`
	Exit    int     `json:"exit"`             // -1 when the command has no status: see the next two
	Signal  string  `json:"signal,omitempty"` // that ended it, as SIGTERM
	Error   string  `json:"error,omitempty"`  // why it was not run to its end
	Seconds float64 `json:"seconds"`
	Skipped bool    `json:"skipped,omitempty"` // not begun, because the run was stopped before
}

func (r *result) ok() bool { return r.Exit == 0 && !r.Skipped }

// runner runs one command for many jobs, side by side.
type runner struct {
	command     []string
	concurrency int
	stopOnError bool
	out, errs   *lines
	// ended is told of each result, by one goroutine at a time.
	ended func(result)
}

// run gives the results in the order of the jobs. When ctx ends, commands are
// interrupted, and killed if they do not heed it.
func (r *runner) run(ctx context.Context, jobs []job) []result {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	results := make([]result, len(jobs))
	todo := make(chan int)
	go func() {
		defer close(todo)
		for i := range jobs {
			todo <- i
		}
	}()
	var wg sync.WaitGroup
	var mu sync.Mutex // one result is told at a time
	for range min(r.concurrency, len(jobs)) {
		wg.Go(func() {
			for i := range todo {
				results[i] = r.one(ctx, &jobs[i])
				mu.Lock()
				if r.ended(results[i]); r.stopOnError && !results[i].ok() {
					stop()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return results
}

const graceTime = 10 * time.Second

func (r *runner) one(ctx context.Context, j *job) (res result) {
	res = result{Address: j.address, Exit: -1}
	if ctx.Err() != nil {
		res.Skipped = true
		return res
	}
	began := time.Now()
	defer func() { res.Seconds = time.Since(began).Seconds() }()
	env, done, err := j.environ(ctx)
	if err != nil {
		res.Error = err.Error()
		return res
	}
	defer done()
	cmd := exec.CommandContext(ctx, r.command[0], r.command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = graceTime
	cmd.Env = env
	out, errs := r.out.writer(j.address), r.errs.writer(j.address)
	cmd.Stdout, cmd.Stderr = out, errs
	err = cmd.Run()
	out.flush()
	errs.flush()
	var exit *exec.ExitError
	switch {
	case err == nil:
		res.Exit = 0
	case errors.As(err, &exit) && exit.Exited():
		res.Exit = exit.ExitCode()
	case errors.As(err, &exit):
		res.Signal = signalOf(exit.ProcessState)
	default: // not begun, or interrupted by us
		res.Error, res.Signal = child.StartError(err).Error(), signalOf(cmd.ProcessState)
	}
	return res
}

// signalOf names the signal that ended a process, "" where none did.
func signalOf(state *os.ProcessState) string {
	if state == nil {
		return ""
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return unix.SignalName(status.Signal())
	}
	return ""
}

// lines writes the output of many commands to one place, whole lines at a time,
// each behind the address it is from.
type lines struct {
	mu    sync.Mutex
	to    io.Writer
	width int  // of the longest address, in characters
	plain bool // without addresses
}

func (l *lines) writer(address string) *lineWriter { return &lineWriter{lines: l, address: address} }

// lineWriter is one command's part of lines. A command writes from one goroutine.
type lineWriter struct {
	*lines
	address string
	partial []byte
}

// maxLine bounds what is kept of a line that does not end.
const maxLine = 64 << 10

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			if w.partial = append(w.partial, p...); len(w.partial) > maxLine {
				w.flush()
			}
			return n, nil
		}
		w.line(append(w.partial, p[:i]...))
		w.partial, p = w.partial[:0], p[i+1:]
	}
	return n, nil
}

func (w *lineWriter) flush() {
	if len(w.partial) > 0 {
		w.line(w.partial)
		w.partial = w.partial[:0]
	}
}

// line writes one line. What cannot be written is lost, as for any command whose
// reader is gone.
func (w *lineWriter) line(text []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b bytes.Buffer
	if !w.plain {
		b.WriteString(w.address)
		for range w.width - utf8.RuneCountInString(w.address) {
			b.WriteByte(' ')
		}
		b.WriteString("  ")
	}
	b.Write(text)
	b.WriteByte('\n')
	_, _ = w.to.Write(b.Bytes())
}
