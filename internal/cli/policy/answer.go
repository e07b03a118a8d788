package policy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
	"github.com/stile-aws/stile/policy"
)

// answer is one line of --json.
type answer struct {
	ID       string         `json:"id"`
	File     string         `json:"file"`
	Line     int            `json:"line"`
	Decision *authz.Outcome `json:"decision,omitempty"`
	Expected *authz.Outcome `json:"expected,omitempty"`
	// AsExpected is there when Expected is.
	AsExpected *bool `json:"asExpected,omitempty"`
	// DeniedBy names the layers that denied, DecidedBy those that settled the
	// answer whatever it was.
	DeniedBy  []authz.Layer `json:"deniedBy"`
	DecidedBy []authz.Layer `json:"decidedBy"`
	Summary   string        `json:"summary,omitempty"`
	// Statement is the one that decided, where one did.
	Statement *place `json:"statement,omitempty"`
	// Missing is what would have to be known, for Unknown, and Residual the
	// condition on which the answer depends.
	Missing  []string `json:"missing,omitempty"`
	Residual string   `json:"residual,omitempty"`
	// Doubts is what in the request cannot be meant.
	Doubts  []string        `json:"doubts,omitempty"`
	Explain *authz.Decision `json:"explanation,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// place is where a statement stands in the file of its case.
type place struct {
	Policy string `json:"policy"`
	Index  int    `json:"index"` // in the policy, from 0
	Sid    string `json:"sid,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func newAnswer(c *corpus.Case, d *authz.Decision, explain bool) *answer {
	a := &answer{
		ID: c.ID, File: c.File, Line: c.Line, Decision: &d.Outcome, DeniedBy: []authz.Layer{},
		DecidedBy: decidedBy(d), Summary: d.Summary(), Missing: d.Missing,
	}
	if d.Outcome == authz.ImplicitDeny || d.Outcome == authz.ExplicitDeny {
		a.DeniedBy = a.DecidedBy
	}
	if c.HasExpected {
		ok := d.Outcome == c.Expected
		a.Expected, a.AsExpected = &c.Expected, &ok
	}
	if s := deciding(d); s != nil {
		a.Statement = &place{Policy: s.Source.String(), Index: s.Index, Sid: s.Sid, Line: s.Pos.Line, Column: s.Pos.Column}
	}
	if d.Residual != nil {
		a.Residual = d.Residual.String()
	}
	if explain {
		a.Explain = d
	}
	return a
}

// decidedBy lists the kinds of the deciding layers, each once.
func decidedBy(d *authz.Decision) []authz.Layer {
	kinds := []authz.Layer{}
	for _, i := range d.Deciding {
		if kind := d.Layers[i].Layer; !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// deciding is the statement that gave the first deciding layer its outcome, or
// nil where none did.
func deciding(d *authz.Decision) *authz.StatementResult {
	want, effect := authz.Yes, policy.Allow
	switch d.Outcome {
	case authz.ExplicitDeny:
		effect = policy.Deny
	case authz.Unknown:
		want, effect = authz.Maybe, ""
	case authz.ImplicitDeny, authz.NotApplicable:
		return nil
	case authz.Allowed:
	}
	for _, i := range d.Deciding {
		for j := range d.Layers[i].Statements {
			s := &d.Layers[i].Statements[j]
			if s.Match == want && (effect == "" || s.Effect == effect) {
				return s
			}
		}
	}
	return nil
}

// line writes one line of --json.
func (t *tester) line(a *answer) error {
	enc := json.NewEncoder(t.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(a)
}

// text writes a case for people: a mismatch, an answer that was asked for, or
// how an answer came about.
func (t *tester) text(c *corpus.Case, d *authz.Decision) error {
	where := fmt.Sprintf("%s:%d: %s: ", c.File, c.Line, c.ID)
	var err error
	switch {
	case !c.HasExpected:
		_, err = fmt.Fprintf(t.out, "%s%v\n", where, d.Outcome)
	case d.Outcome == c.Expected:
		_, err = fmt.Fprintf(t.out, "%s%v, as expected\n", where, d.Outcome)
	default:
		_, err = fmt.Fprintf(t.out, "%swanted %v, got %v\n", where, c.Expected, d.Outcome)
	}
	if err != nil {
		return err
	}
	if t.options.explain {
		return d.Explain(t.out)
	}
	_, err = fmt.Fprintf(t.out, "  %s%s\n", d.Summary(), at(c.File, deciding(d)))
	return err
}

// at is the place of the statement that decided, where one did.
func at(file string, s *authz.StatementResult) string {
	if s == nil || s.Pos.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s:%d:%d)", file, s.Pos.Line, s.Pos.Column)
}
