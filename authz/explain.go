package authz

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// Allowed reports whether the request may proceed: only for outcome Allowed.
func (d Decision) Allowed() bool { return d.Outcome == Allowed }

// Summary says in one line what was decided and by which document: "denied:
// no identity-based policy of role hub (111111111111) allows sts:AssumeRole".
func (d Decision) Summary() string {
	switch d.Outcome {
	case Allowed:
		return "allowed: " + d.reasons(" and ", 2)
	case ExplicitDeny:
		return "explicitly denied by " + d.reasons("; ", 1)
	case ImplicitDeny:
		return "denied: " + d.reasons("; ", 1)
	case Unknown:
		return d.dependence()
	case NotApplicable:
	}
	return d.Outcome.String()
}

// reasons joins what the first n deciding layers say for the outcome.
func (d *Decision) reasons(separator string, n int) string {
	var list []string
	for _, i := range d.Deciding[:min(n, len(d.Deciding))] {
		list = append(list, d.reason(&d.Layers[i]))
	}
	if list == nil {
		return "nothing allows " + d.Action
	}
	return strings.Join(list, separator)
}

// reason says why a layer has its outcome.
func (d *Decision) reason(l *LayerResult) string {
	if s := l.statement(); s != nil {
		if s.Source.Layer == LayerGrant {
			return s.where()
		}
		return s.where() + " of " + s.Source.String() + l.atNode()
	}
	if l.Outcome == Unknown && d.Outcome != Unknown {
		return d.settled(l)
	}
	if l.Note != "" {
		return l.Note
	}
	return d.lack(l)
}

// settled says what a layer that is open by itself comes to all the same.
func (d *Decision) settled(l *LayerResult) string {
	text := l.Layer.policyType() + l.atNode()
	if d.Outcome == ImplicitDeny {
		text = d.lack(l)
	}
	if l.Note != "" {
		text += ", " + l.Note
	}
	return text
}

// lack says that a layer does not allow.
func (d *Decision) lack(l *LayerResult) string {
	switch l.Layer {
	case LayerSCP, LayerRCP:
		return fmt.Sprintf("no %s%s allows %s", l.Layer.policyType(), l.atNode(), d.Action)
	case LayerBoundary, LayerSession, LayerIdentity:
		return fmt.Sprintf("no %s of %s allows %s", l.Layer.policyType(), d.caller(), d.Action)
	case LayerEndpoint:
		return fmt.Sprintf("the VPC endpoint policy does not allow %s to %s", d.Action, d.caller())
	case LayerResource, LayerTrust, LayerKey, LayerGrant:
	}
	return fmt.Sprintf("the %s of %s does not allow %s to %s", l.Layer.policyType(), d.Resource, d.Action, d.caller())
}

// caller names the principal briefly: "role payroll-api (111111111111)".
func (d *Decision) caller() string {
	a, err := arn.Parse(d.Principal)
	if err != nil {
		return d.Principal
	}
	kind, name := a.Type(), a.Name()
	if role, _, ok := a.RoleSession(); ok {
		kind, name = "role", role
	}
	switch {
	case a.Resource == "root":
		return "the root user of " + string(a.Account)
	case kind == "federated-user":
		kind = "federated user"
	}
	return fmt.Sprintf("%s %s (%s)", kind, name, a.Account)
}

func (l *LayerResult) atNode() string {
	if l.Node == "" {
		return ""
	}
	return " at " + l.Node
}

// statement is the one that gave the layer its outcome, or nil.
func (l *LayerResult) statement() *StatementResult {
	effect := policy.Deny
	switch l.Outcome {
	case Allowed:
		effect = policy.Allow
	case ExplicitDeny:
	case ImplicitDeny, Unknown, NotApplicable:
		return nil
	}
	for i := range l.Statements {
		if l.Statements[i].Effect == effect && l.Statements[i].Match == Yes {
			return &l.Statements[i]
		}
	}
	return nil
}

// Text is what Explain writes.
func (d Decision) Text() string {
	var b strings.Builder
	d.write(&b)
	return b.String()
}

// Explain writes the decision as a tree: the outcome, then each side and
// account with its layers, their statements, and each condition's wanted and
// found values. Layers that decided are marked with an arrow. The error is
// w's own.
func (d Decision) Explain(w io.Writer) error {
	_, err := io.WriteString(w, d.Text())
	return err
}

func (d *Decision) write(b *strings.Builder) {
	fmt.Fprintln(b, d.Summary())
	d.writeResidual(b)
	heading := ""
	for i := range d.Layers {
		l := &d.Layers[i]
		if h := d.heading(l); h != heading {
			heading = h
			fmt.Fprintf(b, "%s\n", h)
		}
		mark := "  "
		if slices.Contains(d.Deciding, i) {
			mark = "→ "
		}
		fmt.Fprintf(b, "  %s%s%s: %s", mark, l.Layer.policyType(), l.atNode(), l.Outcome)
		if note := l.remark(); note != "" {
			fmt.Fprintf(b, " (%s)", note)
		}
		b.WriteByte('\n')
		for j := range l.Statements {
			l.Statements[j].write(b)
		}
		for _, u := range l.Unread {
			fmt.Fprintf(b, "      not read: %s\n", u)
		}
	}
}

// writeResidual writes what the summary had no room for.
func (d *Decision) writeResidual(b *strings.Builder) {
	if d.Residual == nil || d.Outcome != Unknown {
		return
	}
	if whole := d.Residual.String(); whole != d.Residual.core.SayAllowed(inSummary) {
		fmt.Fprintf(b, "  %s\n", whole)
	}
	if denied := d.Residual.core.SayDenied(inSentence); denied != "" {
		fmt.Fprintf(b, "  %s\n", denied)
	}
}

// remark is the note of a layer, or why it shows nothing.
func (l *LayerResult) remark() string {
	switch {
	case l.Note != "" || len(l.Statements) > 0 || len(l.Unread) > 0:
		return l.Note
	case l.Documents == 0 && l.Outcome == ImplicitDeny && l.Layer == LayerIdentity:
		return "there is none"
	case l.Documents == 1:
		return "no statement of its document covers the action and the resource"
	case l.Documents > 1:
		return fmt.Sprintf("no statement of its %d documents covers the action and the resource", l.Documents)
	}
	return ""
}

// heading names a side and its account.
func (d *Decision) heading(l *LayerResult) string {
	side := "caller and resource"
	if d.CrossAccount || l.Side == ResourceSide {
		side = l.Side.String()
	}
	if l.Account == "" {
		return side
	}
	return side + ", account " + string(l.Account)
}

func (s *StatementResult) write(b *strings.Builder) {
	verb := map[Match]string{No: "does not apply", Yes: "applies", Maybe: "may apply"}[s.Match]
	name := s.Source.Name
	if s.Source.Layer != LayerGrant {
		name = s.Source.Name + " " + s.where() + place(s.Pos)
	}
	fmt.Fprintf(b, "      %s %s: %s", s.Effect, strings.TrimSpace(name), verb)
	if s.Failed != "" {
		fmt.Fprintf(b, ", %s does not match", s.Failed)
	}
	if len(s.Principals) > 0 {
		fmt.Fprintf(b, ": it names %s", strings.Join(s.Principals, ", "))
	}
	b.WriteByte('\n')
	for i := range s.Conditions {
		s.Conditions[i].write(b)
	}
	for _, question := range s.Open {
		if !s.shows(question) {
			fmt.Fprintf(b, "        depends on %s\n", question)
		}
	}
}

// shows reports whether one of the conditions says that key is not known.
func (s *StatementResult) shows(key string) bool {
	return slices.ContainsFunc(s.Conditions, func(c ConditionResult) bool { return c.Unknown && strings.EqualFold(c.Key, key) })
}

func (c *ConditionResult) write(b *strings.Builder) {
	found := "not present"
	switch {
	case c.Unknown:
		found = "not known"
	case c.Present:
		found = fmt.Sprintf("%q", c.Found)
	}
	fmt.Fprintf(b, "        %s %s: wanted %q, found %s: %s\n", c.Operator, c.Key, c.Wanted, found, c.Match)
}

// How many alternatives of a residual are said in a summary, and elsewhere.
const (
	inSummary  = 3
	inSentence = 8
)

// dependence is the summary of a decision that is not known. Whoever made it
// unknown for a reason of his own has added that to what is missing.
func (d *Decision) dependence() string {
	if d.Residual == nil {
		return "unknown: depends on " + strings.Join(d.Missing, ", ")
	}
	text := "depends: " + d.Residual.core.SayAllowed(inSummary)
	own := make(map[string]bool)
	for _, what := range d.Residual.core.Missing() {
		own[what] = true
	}
	for _, what := range d.Missing {
		if !own[what] {
			text += ", depending on " + what
		}
	}
	return text
}
