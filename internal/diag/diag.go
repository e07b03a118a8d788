// Package diag carries what stile has to say to a user about files and
// documents: where, what, why, and what to do.
//
// A [Diagnostic] is a value; a [List] collects them, prints them and is an
// error when it holds one. Codes are stable strings of the form "area/problem",
// declared as constants by the package that reports them: a code never changes
// its meaning, so users may branch on it and suppress by it.
//
// The package knows no area of its own, prints no colour and reads no file.
package diag

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/stile-aws/stile/policy"
)

// Position is a place in a file. Line and Column count from 1, Column in
// bytes; zero means unknown. File may be any name the user knows the text by
// ("-", "role/payroll-api trust policy").
type Position struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// At is the place of p, a position inside a policy document, in file.
func At(file string, p policy.Pos) Position {
	return Position{File: file, Line: p.Line, Column: p.Column}
}

// String gives "file:line:column" as far as it is known, "" for nothing.
func (p Position) String() string {
	var parts []string
	if p.File != "" {
		parts = append(parts, p.File)
	}
	if p.Line > 0 {
		parts = append(parts, fmt.Sprint(p.Line))
		if p.Column > 0 {
			parts = append(parts, fmt.Sprint(p.Column))
		}
	}
	return strings.Join(parts, ":")
}

// Severity says what a diagnostic means for the run.
type Severity uint8

// The severities, worst first. The zero Severity is Error, so that a
// diagnostic is not made harmless by forgetting one.
const (
	Error   Severity = iota // the input cannot be used, or would be refused or unsafe
	Warning                 // it can be used, and is probably not what was meant
	Info                    // worth knowing
)

// String gives the word printed: "error", "warning" or "info".
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	case Info:
		return "info"
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// MarshalText writes the word String gives.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, known := range []Severity{Error, Warning, Info} {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("parsing severity %q: want error, warning or info", text)
}

// Diagnostic is one thing to say.
type Diagnostic struct {
	Pos      Position `json:"position"`
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`             // "access/unknown-field"
	Summary  string   `json:"summary"`          // what is the matter, one line, lower case
	Detail   string   `json:"detail,omitempty"` // why it matters
	Hint     string   `json:"hint,omitempty"`   // what to do
}

// String is the diagnostic's line without detail and hint.
func (d Diagnostic) String() string {
	s := d.Severity.String() + ": " + d.Summary
	if d.Code != "" {
		s += " [" + d.Code + "]"
	}
	if pos := d.Pos.String(); pos != "" {
		s = pos + ": " + s
	}
	return s
}

// List is diagnostics in the order found. The nil List is empty.
type List []Diagnostic

// Add appends diagnostics.
func (l *List) Add(ds ...Diagnostic) { *l = append(*l, ds...) }

// HasErrors reports whether one is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error })
}

// Err returns the list as an error when it holds an error, nil otherwise. Its
// type is List: reach it with errors.AsType[diag.List].
func (l List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	return l
}

// Error gives one line for each diagnostic that is an error.
func (l List) Error() string {
	var lines []string
	for _, d := range l {
		if d.Severity == Error {
			lines = append(lines, d.String())
		}
	}
	return strings.Join(lines, "\n")
}

// Sort orders the list by file, line and column, then by severity (errors
// first) and code. What is equal in all of them keeps its order.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Severity, b.Severity),
			strings.Compare(a.Code, b.Code),
		)
	})
}

// Print writes each diagnostic as
//
//	file:line:column: error: summary [code]
//	  detail
//	  hint: what to do
//
// and returns the first error of w.
func (l List) Print(w io.Writer) error {
	var b strings.Builder
	for _, d := range l {
		b.WriteString(d.String() + "\n")
		if d.Detail != "" {
			b.WriteString("  " + indent(d.Detail) + "\n")
		}
		if d.Hint != "" {
			b.WriteString("  hint: " + indent(d.Hint) + "\n")
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("printing diagnostics: %w", err)
	}
	return nil
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n  ") }

// Suggest returns the word of known that word was most likely meant to be, or
// "" when none is near. See [policy.Closest] for what near means.
func Suggest(word string, known []string) string { return policy.Closest(word, known) }

// DidYouMean is Suggest as a hint: `did you mean "x"?`, or "".
func DidYouMean(word string, known []string) string {
	near := Suggest(word, known)
	if near == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", near)
}

// FromPolicy turns the errors of policy.Parse and policy.Validate into
// diagnostics of file, with codes "policy/…". The policy's text begins at line
// 1, column 1 of the file. Other errors give one diagnostic without a line.
func FromPolicy(file string, err error) List {
	if err == nil {
		return nil
	}
	var out List
	errs, ok := errors.AsType[policy.Errors](err)
	if !ok {
		return List{{Pos: Position{File: file}, Code: "policy/unreadable", Summary: err.Error()}}
	}
	for _, e := range errs {
		out.Add(Diagnostic{Pos: At(file, e.Pos), Severity: Error, Code: "policy/" + string(e.Code), Summary: e.Msg, Hint: e.Hint})
	}
	return out
}
