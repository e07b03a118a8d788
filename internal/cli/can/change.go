package can

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/authz/remedy"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/verify"
)

// proposal is how one permission of the call would be given or taken away.
type proposal struct {
	Caller   string `json:"caller"`
	Action   string `json:"action"`
	Resource string `json:"resource"`
	// Changes are alternatives, the smallest first; empty when refused.
	Changes []remedy.Change `json:"changes,omitempty"`
	// Refused says why nothing is proposed.
	Refused *remedy.Refusal `json:"refused,omitempty"`
	// To is what it would be then.
	To string `json:"to"`
}

// fixes proposes a change for each permission that the best way lacks.
func fixes(a *verify.Answer) []proposal {
	var out []proposal
	for _, l := range slices.Concat(a.Ways[0].Hops, a.Ways[0].Uses) {
		if !l.Decision.Allowed() {
			out = append(out, propose(a, &l, "allowed", remedy.Options.Allow))
		}
	}
	return out
}

// closings proposes how to close what is asked for: of a call that takes several
// permissions, the one for the action itself; of one that is a hop itself, the
// hop.
func closings(a *verify.Answer) []proposal {
	if a.Outcome != authz.Allowed && a.Outcome != authz.Unknown {
		return nil
	}
	legs := a.Ways[0].Uses
	if len(legs) == 0 {
		hops := a.Ways[0].Hops
		legs = hops[len(hops)-1:]
	}
	return []proposal{propose(a, &legs[0], "denied", remedy.Options.Close)}
}

type finder func(remedy.Options, *authz.Request, *authz.Policies, *authz.Facts) ([]remedy.Change, error)

func propose(a *verify.Answer, l *effective.Leg, to string, find finder) proposal {
	p := proposal{Caller: l.Caller, Action: l.Action, Resource: l.Resource, To: to}
	if l.Question.Action == "" {
		p.Refused = &remedy.Refusal{Reasons: []remedy.Reason{{Text: "no policy decides it: " + l.Decision.Summary()}}}
		return p
	}
	req, pols := a.View.Prepare(l.Question)
	changes, err := find(remedy.Options{Carrier: effective.Carrier, Pin: l.Question.Via}, req, pols, a.View.Facts())
	refusal, refused := errors.AsType[*remedy.Refusal](err)
	switch {
	case refused:
		p.Refused = refusal
	case err != nil && l.Decision.Outcome == authz.Unknown: // by what sessions are called
		p.Refused = &remedy.Refusal{Reasons: []remedy.Reason{{Text: "it depends on what is not known: " + strings.Join(l.Decision.Missing, ", ")}}}
	case err != nil:
		p.Refused = &remedy.Refusal{Reasons: []remedy.Reason{{Text: err.Error()}}}
	}
	p.Changes = changes
	return p
}

// most bounds how many alternatives are printed.
const most = 3

func (o *options) proposal(p *proposal) {
	o.streams.Printf("\nso that %s on %s is %s for %s:\n", p.Action, p.Resource, p.To, p.Caller)
	if p.Refused != nil {
		for _, r := range p.Refused.Reasons {
			o.streams.Printf("  refused: %s\n", r.Text)
		}
		return
	}
	for i := range p.Changes[:min(most, len(p.Changes))] {
		c := &p.Changes[i]
		if i > 0 {
			o.streams.Printf("  or:\n")
		}
		for j := range c.Edits {
			o.edit(&c.Edits[j])
		}
		for _, line := range c.Affects {
			o.streams.Printf("  this also changes: %s\n", line)
		}
		o.streams.Printf("  proof: %s\n", c.Decision.Summary())
	}
	if rest := len(p.Changes) - most; rest > 0 {
		o.streams.Printf("  (%d more with --json)\n", rest)
	}
}

// edit prints what to do, and the statements or, of a new document, all of it,
// ready to be pasted.
func (o *options) edit(e *remedy.Edit) {
	o.streams.Printf("  %s\n", e)
	if e.Note != "" {
		o.streams.Printf("    note: %s\n", e.Note)
	}
	if e.New && e.Result != nil {
		o.paste(e.Result.Indent())
		return
	}
	for i := range e.After {
		var text bytes.Buffer
		if json.Indent(&text, []byte(e.After[i].String()), "", "  ") == nil {
			o.paste(text.Bytes())
		}
	}
}

func (o *options) paste(text []byte) {
	for line := range strings.Lines(strings.TrimRight(string(text), "\n")) {
		o.streams.Printf("    %s", line)
	}
	o.streams.Printf("\n")
}
