// Package rule is the vocabulary of lint: the [Finding], how severe it is, and
// the registry of rules ([All], [Of]) that gives each code its number, its
// severity and its page in docs/lint.
//
// The rules themselves are in internal/lint (documents and files) and
// internal/lint/snapshot (inventories). What is done with findings is in
// internal/lint/output and internal/lint/accept.
package rule

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/internal/diag"
)

// Severity says how much a finding matters. The zero Severity stands for the
// one the rule has, so that a rule need not repeat it.
type Severity uint8

// The severities, mildest first.
const (
	OfRule   Severity = iota
	Info              // worth knowing, nothing to repair
	Low               // untidy
	Medium            // probably not what was meant, or an extra door
	High              // does not work as written, or lets in more than anybody would want
	Critical          // strangers get in
)

func severityNames() []string { return []string{"", "info", "low", "medium", "high", "critical"} }

// String gives the word printed, "" for OfRule.
func (s Severity) String() string {
	if names := severityNames(); int(s) < len(names) {
		return names[s]
	}
	return "severity(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText writes the word String gives.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severityNames(), string(text))
	if i <= 0 {
		return fmt.Errorf("reading severity %q: want one of %s", text, strings.Join(severityNames()[1:], ", "))
	}
	*s = Severity(i)
	return nil
}

// Finding is one thing a rule has to say.
type Finding struct {
	Pos      diag.Position `json:"position"`
	Severity Severity      `json:"severity"`
	Code     string        `json:"code"`             // "trust/no-subject"; see [Of]
	Number   string        `json:"number,omitempty"` // "T19", of the project's list of rules
	// Subject names the document inside the file: the resource of a template or
	// plan. With no file in the position it is the document itself, one of an
	// inventory, and line and column count in it.
	Subject string `json:"subject,omitempty"`
	// Pointer is the JSON pointer of the document in a Terraform plan.
	Pointer string `json:"pointer,omitempty"`
	Summary string `json:"summary"`          // what is the matter, one line
	Detail  string `json:"detail,omitempty"` // why it matters
	Hint    string `json:"hint,omitempty"`   // what to do
	// Fix is the corrected text of what stands at the position, where it can
	// be given.
	Fix string `json:"fix,omitempty"`
	// Fingerprint is the same for the same finding in another version of the
	// text, wherever in it the finding has moved.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Anchor is what the finding hangs on, for the fingerprint: the statement
	// and the value at the position. "" means the summary.
	Anchor string `json:"-"`
}

// Where is the place in words: the position, and the subject where the
// position has no file.
func (f Finding) Where() string {
	at := f.Pos
	if at.File == "" {
		at.File = f.Subject
	}
	return at.String()
}

// String is the finding's line without detail and hint.
func (f Finding) String() string {
	var b strings.Builder
	if at := f.Where(); at != "" {
		b.WriteString(at + ": ")
	}
	b.WriteString(f.Severity.String() + ": ")
	if f.Subject != "" && f.Pos.File != "" {
		b.WriteString(f.Subject + ": ")
	}
	b.WriteString(f.Summary + " [" + f.Code)
	if f.Number != "" {
		b.WriteString(" " + f.Number)
	}
	return b.String() + "]"
}

// Accepted is a finding that somebody has accepted, with the reason.
type Accepted struct {
	Finding
	Reason   string
	InSource bool // by a comment in the file; otherwise by a list beside it
}

// List is findings. The nil List is empty.
type List []Finding

// Add appends findings, each completed from the registry.
func (l *List) Add(fs ...Finding) {
	for _, f := range fs {
		r, _ := Of(f.Code)
		f.Severity = cmp.Or(f.Severity, r.Severity, Medium)
		f.Number = r.Number
		*l = append(*l, f)
	}
}

// AddDiagnostics appends what other packages report: errors as high, warnings
// as medium, unless the registry knows the code better.
func (l *List) AddDiagnostics(ds diag.List) {
	for _, d := range ds {
		f := Finding{Pos: d.Pos, Code: d.Code, Summary: d.Summary, Detail: d.Detail, Hint: cmp.Or(d.Hint, hints()[d.Code]), Fix: fixOf(d)}
		if r, ok := Of(d.Code); !ok || d.Severity == diag.Info {
			f.Severity = map[diag.Severity]Severity{diag.Error: High, diag.Warning: Medium, diag.Info: Info}[d.Severity]
		} else {
			f.Severity = r.Severity
		}
		l.Add(f)
	}
}

// hints are what to do about diagnostics that do not say it themselves.
func hints() map[string]string {
	return map[string]string{
		"policy/json":            "correct the text here; it must be JSON without comments and trailing commas",
		"policy/type":            "write a value of that type",
		"policy/duplicate":       "join the two: of a name that comes twice readers take one and drop the other",
		"policy/missing-element": "add what is missing",
		"policy/principal":       "name an account by its id, or a user, role, session or provider by its full ARN",
		"policy/action":          `write SERVICE:ACTION, such as "s3:GetObject"`,
		"policy/resource":        `write an ARN of six parts, arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, or "*"`,
	}
}

// fixOf is the corrected text that a diagnostic gives in words.
func fixOf(d diag.Diagnostic) string {
	quoted := func(text, before string) string {
		_, rest, found := strings.Cut(text, before+`"`)
		if !found {
			return ""
		}
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	switch d.Code {
	case "policy/version":
		return quoted(d.Hint, "use ")
	case "policy/effect":
		for _, effect := range []string{"Allow", "Deny"} {
			if strings.EqualFold(quoted(d.Summary, "Effect is "), effect) {
				return effect
			}
		}
	}
	if !strings.HasPrefix(d.Hint, "did you mean ") {
		return ""
	}
	return quoted(d.Hint, "did you mean ")
}

// Sort orders by file, line and column, then the worst first, then by subject
// and code. What is equal in all of them keeps its order.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(cmp.Or(a.Pos.File, a.Subject), cmp.Or(b.Pos.File, b.Subject)), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Code, b.Code),
		)
	})
}

// AtLeast is the findings that are at least so severe.
func (l List) AtLeast(s Severity) List {
	out := List{}
	for _, f := range l {
		if f.Severity >= s {
			out = append(out, f)
		}
	}
	return out
}

// Sign gives every finding its fingerprint: a digest of code, file, subject
// and anchor, and of a count where several are alike. Line numbers and the
// severity do not go into it. Call it on all findings of a run at once, in
// sorted order.
func (l List) Sign() {
	alike := map[string]int{}
	for i := range l {
		f := &l[i]
		text := strings.Join([]string{f.Code, f.Pos.File, f.Subject, cmp.Or(f.Anchor, f.Summary)}, "\x00")
		alike[text]++
		if n := alike[text]; n > 1 {
			text += "\x00" + strconv.Itoa(n)
		}
		sum := sha256.Sum256([]byte(text))
		f.Fingerprint = hex.EncodeToString(sum[:12])
	}
}
