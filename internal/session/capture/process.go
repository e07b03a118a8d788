package capture

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/session/devtools"
)

// closing is how long a browser has to leave by itself.
const closing = 5 * time.Second

// process is a browser that was started here.
type process struct {
	cmd  *exec.Cmd
	to   *os.File // its file descriptor 3
	from *os.File // its 4
	said *tail
}

func start(ctx context.Context, program, profile string) (*process, error) {
	theirIn, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		_, _ = theirIn.Close(), to.Close()
		return nil, err
	}
	p := &process{to: to, from: from, said: &tail{}}
	p.cmd = exec.CommandContext(ctx, program, "--remote-debugging-pipe", "--user-data-dir="+profile, "--no-first-run", "--no-default-browser-check", "about:blank")
	p.cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	p.cmd.Stderr = p.said
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) }
	p.cmd.WaitDelay = closing
	err = p.cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		_, _ = to.Close(), from.Close()
		return nil, err
	}
	return p, nil
}

// steer has the person sign in. begun is false when there never was a page.
func (p *process) steer(ctx context.Context, start string) (assertion string, begun bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = p.from.Close() })
	defer stop()
	s := &steering{Conn: devtools.New(devtools.Pipe(p.to, p.from)), start: start}
	assertion, err = s.run()
	return assertion, s.begun, err
}

// leave waits for the browser's end, and says how it ended.
func (p *process) leave() string {
	_ = p.to.Close() // an end of the pipe is the end of the browser, should it not have understood
	_ = p.cmd.Wait() // ProcessState tells
	_ = p.from.Close()
	return p.cmd.ProcessState.String()
}

// tail keeps the end of what a program says.
type tail struct{ text []byte }

const maxTail = 4 << 10

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-maxTail):]
	return len(p), nil
}

// origin is where in Chromium's code a line comes from.
var origin = regexp.MustCompile(`^\[[^\]]*\] *`)

// last are the last two lines, after a colon; "" when there are none: the last one
// alone tends to say no more than that it did not work.
func (t *tail) last() string {
	var lines []string
	for line := range strings.Lines(string(t.text)) {
		if line = origin.ReplaceAllString(strings.TrimSpace(line), ""); line != "" {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines[max(0, len(lines)-2):], " ")
}
