// Package output prints findings: for people ([Text]), for GitHub Actions
// ([GitHub]) and as SARIF 2.1.0 for code scanning ([SARIF]). As JSON a finding
// prints itself.
//
// Findings come signed and sorted, see [rule.List.Sign]. The package decides
// nothing about them.
package output

import (
	"fmt"
	"io"
	"strings"

	"github.com/stile-aws/stile/internal/lint/rule"
)

// Text writes each finding as
//
//	file:line:column: high: summary [code T06]
//	  detail
//	  hint: what to do
//	  fix: the corrected text
//
// and returns the first error of w.
func Text(w io.Writer, list rule.List) error {
	for _, f := range list {
		var b strings.Builder
		b.WriteString(f.String() + "\n")
		for _, part := range []struct{ label, text string }{{"", f.Detail}, {"hint: ", f.Hint}, {"fix: ", f.Fix}} {
			if part.text != "" {
				b.WriteString("  " + part.label + strings.ReplaceAll(part.text, "\n", "\n  ") + "\n")
			}
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// GitHub writes each finding as a workflow command, which GitHub Actions shows
// at the line of the file ("Workflow commands for GitHub Actions").
func GitHub(w io.Writer, list rule.List) error {
	for _, f := range list {
		if _, err := fmt.Fprintf(w, "::%s %s::%s\n", gitHubLevel(f.Severity), gitHubPlace(f), gitHubData(message(f))); err != nil {
			return err
		}
	}
	return nil
}

func gitHubLevel(s rule.Severity) string {
	switch {
	case s >= rule.High:
		return "error"
	case s == rule.Medium:
		return "warning"
	}
	return "notice"
}

func gitHubPlace(f rule.Finding) string {
	var parts []string
	if f.Pos.File != "" {
		parts = append(parts, "file="+gitHubProperty(f.Pos.File))
		if f.Pos.Line > 0 {
			parts = append(parts, fmt.Sprintf("line=%d", f.Pos.Line))
		}
		if f.Pos.Column > 0 {
			parts = append(parts, fmt.Sprintf("col=%d", f.Pos.Column))
		}
	}
	return strings.Join(append(parts, "title="+gitHubProperty(f.Code+" ("+f.Severity.String()+")")), ",")
}

func gitHubData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func gitHubProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

// message is all a finding says, for readers that show one text.
func message(f rule.Finding) string {
	var b strings.Builder
	if f.Subject != "" {
		b.WriteString(f.Subject + ": ")
	}
	b.WriteString(f.Summary)
	for _, more := range []string{f.Detail, f.Hint} {
		if more != "" {
			b.WriteString("\n" + more)
		}
	}
	return b.String()
}
