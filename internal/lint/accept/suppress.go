package accept

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/settings"
	"github.com/stile-aws/stile/policy"
)

// FileName is where suppressions are looked for.
const FileName = ".stile-lint.yaml"

// marker begins a comment that suppresses the finding of its line, or of the
// next line that is no comment.
const marker = "stile-lint-ignore:"

// Set is suppressions. The zero Set has none. Not safe for concurrent use.
type Set struct {
	entries []*entry
	faults  rule.List
}

// entry is one suppression. What is empty does not restrict it.
type entry struct {
	pos       diag.Position
	code      string
	path      string // pattern of the file's name
	subject   string // pattern of the finding's subject
	file      string // of a comment: the file and
	line      int    // the line it is about
	reason    string
	expires   time.Time
	hasExpiry bool
	used      bool
}

// ParseFile adds the suppressions of a .stile-lint.yaml:
//
//	ignore:
//	  - code: trust/wide-subject
//	    path: policies/ci-*.json       # * stands for any text, / included
//	    subject: "222222222222 role/*"
//	    reason: one namespace a team, agreed with security
//	    expires: 2027-01-01
//
// code and reason are required. What cannot be used becomes a finding.
func (s *Set) ParseFile(name string, src []byte) {
	var file struct {
		Ignore []yaml.Node `yaml:"ignore"`
	}
	if problems, ok := errors.AsType[settings.Problems](settings.Decode(name, src, &file)); ok {
		for _, p := range problems {
			s.fault(p.Pos, rule.BadSuppression, "reading suppressions: "+p.What, cmp.Or(p.Hint, "the file has one list, ignore:, of entries with code, path, subject, reason and expires"))
		}
		return
	}
	for i := range file.Ignore {
		s.item(name, &file.Ignore[i])
	}
}

func (s *Set) item(name string, n *yaml.Node) {
	pos := diag.Position{File: name, Line: n.Line, Column: n.Column}
	var item struct {
		Code    string `yaml:"code"`
		Path    string `yaml:"path"`
		Subject string `yaml:"subject"`
		Reason  string `yaml:"reason"`
		Expires string `yaml:"expires"`
	}
	if unknown := unknownField(n); unknown != "" {
		s.fault(pos, rule.BadSuppression, fmt.Sprintf("a suppression has no field %q", unknown), "the fields are code, path, subject, reason and expires")
		return
	}
	if err := n.Decode(&item); err != nil {
		s.fault(pos, rule.BadSuppression, "reading a suppression: "+strings.TrimPrefix(err.Error(), "yaml: "), "each field is one text")
		return
	}
	e := &entry{pos: pos, code: item.Code, path: item.Path, subject: item.Subject, reason: item.Reason}
	if item.Expires != "" {
		day, err := time.Parse(time.DateOnly, item.Expires)
		if err != nil {
			s.fault(pos, rule.BadSuppression, fmt.Sprintf("%q is no day", item.Expires), "write the last day as 2027-01-31")
			return
		}
		e.expires, e.hasExpiry = day.AddDate(0, 0, 1), true
	}
	s.add(e)
}

func unknownField(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i < len(n.Content); i += 2 {
		switch name := n.Content[i].Value; name {
		case "code", "path", "subject", "reason", "expires":
		default:
			return name
		}
	}
	return ""
}

// add takes e up when it says which rule and why.
func (s *Set) add(e *entry) {
	_, known := rule.Of(e.code)
	switch {
	case !known && !strings.Contains(e.code, "/"):
		s.fault(e.pos, rule.BadSuppression, fmt.Sprintf("%q is no code of a finding", e.code), "write the code that stands in brackets behind the finding")
	case strings.TrimSpace(e.reason) == "":
		s.fault(e.pos, rule.Reasonless, fmt.Sprintf("the suppression of %s gives no reason", e.code), "say why the finding is accepted; until then it is reported")
	default:
		s.entries = append(s.entries, e)
	}
}

func (s *Set) fault(pos diag.Position, code, summary, hint string) {
	s.faults.Add(rule.Finding{Pos: pos, Code: code, Summary: summary, Hint: hint})
}

// ParseComments adds the suppressions written in the comments of a YAML, INI
// or source file, "# stile-lint-ignore: CODE reason". JSON has no comments.
func (s *Set) ParseComments(name string, src []byte) {
	if !bytes.Contains(src, []byte(marker)) {
		return
	}
	var open []*entry // about the next line that is no comment
	number := 0
	for line := range strings.Lines(string(src)) {
		number++
		text := strings.TrimSpace(line)
		comment := isComment(text)
		if !comment && text != "" {
			for _, e := range open {
				e.line = number
			}
			open = nil
		}
		at := strings.Index(line, marker)
		if at < 0 || !comment && !strings.HasSuffix(strings.TrimRight(line[:at], " \t"), "#") {
			continue
		}
		code, reason, _ := strings.Cut(strings.TrimSpace(line[at+len(marker):]), " ")
		e := &entry{pos: diag.Position{File: name, Line: number, Column: at + 1}, code: code, reason: strings.TrimSpace(reason), file: name, line: number}
		if comment {
			open = append(open, e)
		}
		s.add(e)
	}
}

func isComment(text string) bool {
	return strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") || strings.HasPrefix(text, "//")
}

// Apply takes the suppressed findings out of list. rest also holds what is the
// matter with the suppressions themselves: without a reason, expired on the
// day of now, or of nothing. files are the names of all files looked at; a
// suppression for a path that was not looked at is not called unused.
func (s *Set) Apply(list rule.List, files []string, now time.Time) (rest rule.List, accepted []rule.Accepted) {
	rest = rule.List{}
	for _, f := range list {
		if e := s.match(f, now); e != nil {
			accepted = append(accepted, rule.Accepted{Finding: f, Reason: e.reason, InSource: e.file != ""})
		} else {
			rest = append(rest, f)
		}
	}
	rest = append(rest, s.faults...)
	for _, e := range s.entries {
		switch {
		case e.hasExpiry && !now.Before(e.expires):
			rest.Add(rule.Finding{
				Pos: e.pos, Code: rule.ExpiredSuppression, Summary: fmt.Sprintf("the suppression of %s ended with %s", e.code, e.expires.AddDate(0, 0, -1).Format(time.DateOnly)),
				Hint: "repair what it hid, or decide again",
			})
		case !e.used && e.concerns(files):
			rest.Add(rule.Finding{
				Pos: e.pos, Code: rule.UnusedSuppression, Summary: fmt.Sprintf("there is no finding %s here to suppress", e.code), Hint: "remove the suppression",
			})
		}
	}
	rest.Sort()
	return rest, accepted
}

// match finds a suppression of f that has not ended and marks it used.
func (s *Set) match(f rule.Finding, now time.Time) *entry {
	for _, e := range s.entries {
		if e.code != f.Code || e.hasExpiry && !now.Before(e.expires) {
			continue
		}
		here := e.file != "" && e.file == f.Pos.File && e.line == f.Pos.Line
		listed := e.file == "" && fits(e.path, filepath.ToSlash(f.Pos.File)) && fits(e.subject, f.Subject)
		if here || listed {
			e.used = true
			return e
		}
	}
	return nil
}

func fits(pattern, text string) bool { return pattern == "" || policy.Glob(pattern, text) }

func (e *entry) concerns(files []string) bool {
	if e.file != "" || e.path == "" {
		return true
	}
	for _, f := range files {
		if fits(e.path, filepath.ToSlash(f)) {
			return true
		}
	}
	return false
}
