package apply

import (
	"encoding/json"
	"fmt"

	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/plan"
)

// progress tells of steps: a line each for pipes, a line that is rewritten for
// terminals, a JSON object each for --json.
type progress struct {
	streams *term.Streams
	plan    *plan.Plan
	json    bool
	ended   int
	open    bool // an unfinished line stands on the terminal
}

func newProgress(s *term.Streams, p *plan.Plan, asJSON bool) *progress {
	return &progress{streams: s, plan: p, json: asJSON}
}

func (g *progress) event(e apply.Event) {
	if g.json {
		line, err := json.Marshal(e)
		if err == nil {
			g.streams.Printf("%s\n", line)
		}
		return
	}
	if e.State != apply.Started && e.State != apply.Waiting {
		g.ended++
	}
	where := g.plan.Accounts[e.Account]
	switch e.State {
	case apply.Started:
		g.passing("[%d/%d] %s %s", g.ended, len(g.plan.Steps), where, e.Summary)
	case apply.Waiting:
		g.passing("[%d/%d] %s %s: waiting, %s", g.ended, len(g.plan.Steps), where, e.Summary, e.Error)
	case apply.Done:
		g.line("done    %s %s", where, e.Summary)
	case apply.Failed:
		g.line("FAILED  %s %s: %s", where, e.Summary, e.Error)
	case apply.Skipped:
		g.line("skipped %s %s: %s", where, e.Summary, e.Error)
	}
}

// passing shows what is going on now, on terminals only.
func (g *progress) passing(format string, args ...any) {
	if !g.streams.Terminal {
		return
	}
	line := fmt.Sprintf(format, args...)
	if len(line) > 110 {
		line = line[:107] + "..."
	}
	fmt.Fprintf(g.streams.Err, "\r\x1b[K%s", line)
	g.open = true
}

// line prints something that stays.
func (g *progress) line(format string, args ...any) {
	g.end()
	g.streams.Printf(format+"\n", args...)
}

// end clears the passing line.
func (g *progress) end() {
	if g.open {
		fmt.Fprint(g.streams.Err, "\r\x1b[K")
		g.open = false
	}
}
