// Package browser opens a page in the person's browser: [Open]. [Answer] and [Page]
// are the few pages of stile's own that people end up at.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// ErrNone means that there is no browser here, as on a server.
var ErrNone = errors.New("there is no browser here")

// attention is how long a command is looked at after it was started: those that
// find no browser end at once, and those that are one do not.
const attention = 1500 * time.Millisecond

// Open opens a page: by the commands of $BROWSER, tried in turn, %s standing for
// the page, else by the system's own command. One that fails within a moment is
// taken for one that did not start. It does not wait for the browser, which
// outlives this program and writes nothing to its output.
func Open(ctx context.Context, getenv func(string) string, page string) error {
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

func start(ctx context.Context, words []string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal's signals
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // goes on as long as the browser does
	moment := time.NewTimer(attention)
	defer moment.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
	case <-moment.C:
	case <-ctx.Done():
	}
	return nil
}
