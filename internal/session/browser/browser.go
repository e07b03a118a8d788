// Package browser opens a page in the person's browser: [Open]. [Answer] and [Page]
// are the few pages of stile's own that people end up at.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// ErrNone means that there is no browser here, as on a server.
var ErrNone = errors.New("there is no browser here")

// container is the scheme of pages that Firefox opens in a container, by the
// extension "Open external links in a container".
const container = "ext+container"

// attention is how long a command is looked at after it was started: those that
// find no browser end at once, and those that are one do not.
const attention = 1500 * time.Millisecond

// Open opens a page: by the commands of $BROWSER, tried in turn, %s standing for
// the page, else by the system's own command. One that fails within a moment is
// taken for one that did not start. It does not wait for the browser, which
// outlives this program and writes nothing to its output.
//
// Others say what the page is, an Identity Center for one: what is no web page, such
// as a file, is an error.
func Open(ctx context.Context, getenv func(string) string, page string) error {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != container && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		return fmt.Errorf("opening %q: it is no web page", page)
	}
	if commands := getenv("BROWSER"); commands != "" {
		var errs []error
		for command := range strings.SplitSeq(commands, ":") {
			words := strings.Fields(command)
			if len(words) == 0 {
				continue
			}
			err := start(ctx, fill(words, page))
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return fmt.Errorf("opening the browser of $BROWSER: %w", errors.Join(errs...))
	}
	words := system(getenv)
	if words == nil {
		return ErrNone
	}
	return start(ctx, append(words, page))
}

// fill puts the page where it belongs.
func fill(words []string, page string) []string {
	var out []string
	placed := false
	for _, w := range words {
		placed = placed || strings.Contains(w, "%s")
		out = append(out, strings.ReplaceAll(w, "%s", page))
	}
	if !placed {
		out = append(out, page)
	}
	return out
}

// system is the system's command, nil for none.
func system(getenv func(string) string) []string {
	switch {
	case runtime.GOOS == "darwin":
		return []string{"open"}
	case getenv("WSL_DISTRO_NAME") != "" && has("wslview"):
		return []string{"wslview"}
	case (getenv("DISPLAY") != "" || getenv("WAYLAND_DISPLAY") != "") && has("xdg-open"):
		return []string{"xdg-open"}
	}
	return nil
}

func has(command string) bool {
	_, err := exec.LookPath(command)
	return err == nil
}

func start(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal's signals
	complaints, err := overhear(cmd)
	if err != nil {
		return err
	}
	defer complaints.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // goes on as long as the browser does
	moment := time.NewTimer(attention)
	defer moment.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", command[0], said(err, lastLine(complaints)))
		}
	case <-moment.C:
	case <-ctx.Done():
	}
	return nil
}

// overhear starts a command and gives its standard error to read. The browser, which
// outlives this program, keeps both ends of the pipe: it is never ended for writing,
// and never waits for a reader.
func overhear(cmd *exec.Cmd) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd.Stderr, cmd.ExtraFiles = w, []*os.File{r}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	for _, end := range []*os.File{r, w} { // as the browser has them, too
		if err := syscall.SetNonblock(int(end.Fd()), true); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// lastLine is the last line of what a pipe holds.
func lastLine(pipe *os.File) string {
	fd := int(pipe.Fd()) // which may have made it blocking, and a child of the browser may have it yet
	if err := syscall.SetNonblock(fd, true); err != nil {
		return ""
	}
	text := make([]byte, maxSaid)
	n, _ := syscall.Read(fd, text) // none is nothing said
	lines := strings.Split(strings.TrimSpace(string(text[:max(n, 0)])), "\n")
	return lines[len(lines)-1]
}

// maxSaid bounds what is read of a browser's complaint: a pipe holds no more.
const maxSaid = 64 << 10

// maxLine bounds what is quoted of it.
const maxLine = 300

// said adds to an error what the command has said of it.
func said(err error, line string) error {
	if line == "" {
		return err
	}
	return fmt.Errorf("%w: %.*q", err, maxLine, line)
}
