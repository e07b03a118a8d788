package corpus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// about is what a case, or a group of them, says of itself.
type about struct {
	id, rule, aws, paraphrase, page, note string
	like, from                            string
	expected                              policy.Node
	decides                               policy.Node
}

// aboutKeys and factKeys are all fields of a case. readerKeys are for people
// and for other programs: they are not read.
var (
	aboutKeys  = []string{"id", "rule", "aws", "paraphrase", "page", "note", "like", "from", "expected", "decides"}
	readerKeys = []string{"title", "description", "comment", "source", "url", "doc", "confidence", "why", "labels"}
	factKeys   = []string{
		"principal", "entity", "entityId", "principalId", "management", "serviceLinked", "action", "resource", "resourceAccount",
		"resourceManagement", "resourceAWSManaged", "context", "unknown", "identityPolicies", "boundary", "sessionPolicy",
		"scps", "rcps", "resourcePolicy", "resourcePolicyType", "vpcEndpointPolicies", "grants", "unread",
	}
)

// loader reads the cases of one file and hands each to yield.
type loader struct {
	file  string
	yield func(*Case, error) bool
	// alone is set for JSON Lines, where no case knows of another.
	alone bool
	cases []Case // unless alone
	byID  map[string]int
}

func (l *loader) failf(pos policy.Pos, format string, args ...any) error {
	return fmt.Errorf("reading %s:%d:%d: "+format, append([]any{l.file, pos.Line, pos.Column}, args...)...)
}

// document reads a list of cases, a single case, or a file with rule groups.
func (l *loader) document(n policy.Node) error {
	switch n.Kind {
	case policy.NullNode:
		return nil
	case policy.ListNode:
		return l.list(n, about{})
	case policy.ObjectNode:
	default:
		return l.failf(n.Pos, "want a case, a list of cases, or rules")
	}
	rules, ok := child(n, "rules")
	if !ok {
		return l.one(n, about{})
	}
	for _, m := range n.Members {
		// documents holds anchors only; title and text are for readers.
		if !slices.Contains([]string{"title", "text", "documents", "rules"}, m.Name) {
			return l.failf(m.NamePos, "unknown field %q: want title, text, documents or rules", m.Name)
		}
	}
	for _, group := range rules.Items {
		if err := l.group(group); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) group(n policy.Node) error {
	if err := l.known(n, []string{"rule", "aws", "paraphrase", "page", "note", "cases"}); err != nil {
		return err
	}
	of, err := l.about(n)
	if err != nil {
		return err
	}
	cases, ok := child(n, "cases")
	if of.rule == "" || !ok {
		return l.failf(n.Pos, "a group needs rule and cases")
	}
	return l.list(cases, of)
}

func (l *loader) list(n policy.Node, of about) error {
	for _, c := range n.Items {
		if err := l.one(c, of); err != nil {
			return err
		}
	}
	return nil
}

// one reads a case of a group, or on its own where of is empty.
func (l *loader) one(n policy.Node, of about) error {
	if err := l.known(n, slices.Concat(aboutKeys, readerKeys, factKeys)); err != nil {
		return err
	}
	a, err := l.about(n)
	if err != nil {
		return err
	}
	if a.id == "" && !l.alone {
		return l.failf(n.Pos, "a case needs an id")
	}
	c := Case{
		ID: cmp.Or(a.id, fmt.Sprintf("%s:%d", l.file, n.Pos.Line)), Rule: cmp.Or(a.rule, of.rule), AWS: cmp.Or(a.aws, of.aws),
		Paraphrase: cmp.Or(a.paraphrase, of.paraphrase), Page: cmp.Or(a.page, of.page), Note: cmp.Or(a.note, of.note),
		File: l.file, Line: n.Pos.Line,
	}
	if of.rule != "" {
		c.ID = of.rule + "/" + a.id
	}
	for _, step := range []func() error{
		func() error { return l.inherit(n, &c, a, of) },
		func() error { return l.facts(n, &c) },
		func() error { return l.expected(&c, a) },
		func() error { return l.keep(n, c) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if !l.yield(&c, nil) {
		return errStopped
	}
	return nil
}

// keep remembers a case for those that are like it.
func (l *loader) keep(n policy.Node, c Case) error {
	if l.alone {
		return nil
	}
	if _, taken := l.byID[c.ID]; taken {
		return l.failf(n.Pos, "a second case has the id %q", c.ID)
	}
	l.byID[c.ID] = len(l.cases)
	l.cases = append(l.cases, c)
	return nil
}

// about reads what n says of itself.
func (l *loader) about(n policy.Node) (about, error) {
	var a about
	texts := map[string]*string{
		"id": &a.id, "rule": &a.rule, "aws": &a.aws, "paraphrase": &a.paraphrase, "page": &a.page, "note": &a.note,
		"like": &a.like, "from": &a.from,
	}
	for _, m := range n.Members {
		if to := texts[m.Name]; to != nil {
			text, err := l.text(m)
			if err != nil {
				return about{}, err
			}
			*to = text
		}
		switch m.Name {
		case "expected":
			a.expected = m.Value
		case "decides":
			a.decides = m.Value
		}
	}
	return a, nil
}

// inherit takes the facts of the case that c is like, or is made from.
func (l *loader) inherit(n policy.Node, c *Case, a, of about) error {
	id := cmp.Or(a.like, a.from)
	switch {
	case id == "":
		return nil
	case a.like != "" && a.from != "":
		return l.failf(n.Pos, "both like and from")
	case l.alone:
		return l.failf(n.Pos, "like and from need the cases before: a line of JSON Lines stands alone")
	}
	i, ok := l.byID[of.rule+"/"+id]
	if !ok {
		i, ok = l.byID[id]
	}
	if !ok {
		return l.failf(n.Pos, "no case %q before this one", id)
	}
	c.facts = l.cases[i].facts
	if a.like != "" {
		c.Like = l.cases[i].ID
	}
	return nil
}

func (l *loader) expected(c *Case, a about) error {
	if n := a.expected; n.Kind != policy.NullNode {
		if err := c.Expected.UnmarshalText([]byte(n.Text)); err != nil || c.Expected == authz.NotApplicable {
			return l.failf(n.Pos, "expected: parsing %q: want Allowed, ExplicitDeny, ImplicitDeny or Unknown", n.Text)
		}
		c.HasExpected = true
	}
	for _, n := range a.decides.Items {
		var layer authz.Layer
		if err := layer.UnmarshalText([]byte(n.Text)); err != nil {
			return l.failf(n.Pos, "decides: %w", err)
		}
		c.Decides = append(c.Decides, layer)
	}
	return nil
}

// known refuses fields that nobody reads, and such that are there twice.
func (l *loader) known(n policy.Node, keys []string) error {
	if n.Kind != policy.ObjectNode {
		return l.failf(n.Pos, "want an object, not %v", n.Kind)
	}
	for i, m := range n.Members {
		if slices.ContainsFunc(n.Members[:i], func(other policy.Member) bool { return other.Name == m.Name }) {
			return l.failf(m.NamePos, "field %q is there twice", m.Name)
		}
		if slices.Contains(keys, m.Name) || strings.HasPrefix(m.Name, "x-") {
			continue
		}
		hint := ""
		if near := policy.Closest(m.Name, keys); near != "" {
			hint = fmt.Sprintf(": did you mean %q?", near)
		}
		return l.failf(m.NamePos, "unknown field %q%s", m.Name, hint)
	}
	return nil
}

func child(n policy.Node, key string) (policy.Node, bool) {
	for _, m := range n.Members {
		if m.Name == key {
			return m.Value, true
		}
	}
	return policy.Node{}, false
}
