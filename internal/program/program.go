// Package program runs the programs that people have named to give what is secret:
// credentials by the protocol of credential_process, codes, tokens, assertions.
//
// Start with [New] and [Program.Output]; [Program.Provider] is an AWS credentials
// provider, and [Own] has the SDK's configuration use it where a profile has a
// credential_process. What such a program prints on standard output is quoted
// nowhere, in no part and in no error. What it says on standard error goes where this
// process says its own, and into no error either.
package program

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/surroundings"
)

// Program is a command line of sh, and what for.
type Program struct {
	command string
	of      string
	mark    string
}

// New is the program that gives the credentials of something: "AWS profile rec".
// It is an error when this process is there for that very program, which would run
// for ever.
func New(command, of string) (*Program, error) {
	sum := sha256.Sum256([]byte(command))
	p := &Program{command: command, of: of, mark: hex.EncodeToString(sum[:8])}
	var names []string
	for line := range strings.Lines(os.Getenv(surroundings.InsideEnv)) {
		mark, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if mark == p.mark || names != nil {
			names = append(names, name)
		}
	}
	if names != nil {
		return nil, &CircleError{Names: append(names, of)}
	}
	return p, nil
}

// CircleError means that a program, to give credentials, asks stile for them.
type CircleError struct {
	// Names are what is to have credentials, each from the next; the last is the first.
	Names []string
}

// Error names the circle and the way out of it.
func (e *CircleError) Error() string {
	last := e.Names[len(e.Names)-1]
	return fmt.Sprintf("%s gets its credentials from this command itself (%s): its program asks stile for what it is to give; "+
		"give it a program or keys of its own, or take it away", last, strings.Join(e.Names, " > "))
}

// maxOutput bounds what is taken: credentials are some KiB, assertions some 100.
const maxOutput = 4 << 20

// Output is what the program prints on standard output. It reads nothing: standard
// input may be for the command that the credentials are for.
func (p *Program) Output(ctx context.Context) ([]byte, error) { return p.run(ctx, nil) }

func (p *Program) run(ctx context.Context, in io.Reader) ([]byte, error) {
	if strings.TrimSpace(p.command) == "" {
		return nil, errors.New("its command line is empty")
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := limited{stop: stop}
	cmd := exec.CommandContext(ctx, "sh", "-c", p.command)
	cmd.Env = p.environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, os.Stderr
	cmd.WaitDelay = time.Second // for what it left behind with its output open
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrWaitDelay): // all that it said itself is there
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("it ended with %w", err)
	}
	return out.text.Bytes(), nil
}

// environ tells the program, and every stile below it, what it runs for. No broker
// is asked there: it would know nothing of this.
func (p *Program) environ() []string {
	inside := p.mark + " " + strings.ReplaceAll(p.of, "\n", " ")
	if outer := os.Getenv(surroundings.InsideEnv); outer != "" {
		inside = outer + "\n" + inside
	}
	return append(os.Environ(), surroundings.InsideEnv+"="+inside, "STILE_BROKER=off")
}

// limited takes so much, and has the program end that prints more.
type limited struct {
	text bytes.Buffer // not embedded: its ReadFrom knows no limit
	stop context.CancelCauseFunc
}

var errOver = fmt.Errorf("it prints more than %d bytes", maxOutput)

func (l *limited) Write(b []byte) (int, error) {
	if l.text.Len()+len(b) > maxOutput {
		l.stop(errOver)
		return 0, errOver
	}
	return l.text.Write(b)
}
