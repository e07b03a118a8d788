// Package accept knows what somebody has accepted of the findings: a
// [Baseline] holds those there were on a day, a [Set] of suppressions names
// single ones with a reason, in a file of its own or in comments.
//
// It is pure: the day is given, files are read by others.
package accept

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/lint/rule"
)

// Baseline is the findings of a day, by fingerprint: only what comes new is
// reported. The zero Baseline is empty.
type Baseline struct {
	Version  int     `json:"version"`
	Findings []Entry `json:"findings"`
}

// Entry is one finding of a baseline. Only the fingerprint counts; the rest is
// for those who read the file.
type Entry struct {
	Fingerprint string `json:"fingerprint"`
	Code        string `json:"code"`
	Where       string `json:"where"` // file and subject, no line
	Summary     string `json:"summary"`
}

const baselineVersion = 1

// NewBaseline holds the findings of list, which must be signed.
func NewBaseline(list rule.List) *Baseline {
	b := &Baseline{Version: baselineVersion, Findings: []Entry{}}
	for _, f := range list {
		where := strings.TrimSpace(f.Pos.File + " " + f.Subject)
		b.Findings = append(b.Findings, Entry{Fingerprint: f.Fingerprint, Code: f.Code, Where: where, Summary: f.Summary})
	}
	slices.SortStableFunc(b.Findings, func(x, y Entry) int {
		return strings.Compare(x.Where+"\x00"+x.Code+"\x00"+x.Fingerprint, y.Where+"\x00"+y.Code+"\x00"+y.Fingerprint)
	})
	return b
}

// ParseBaseline reads what [Baseline.Text] wrote.
func ParseBaseline(src []byte) (*Baseline, error) {
	var b Baseline
	if err := json.Unmarshal(src, &b); err != nil {
		return nil, fmt.Errorf("parsing baseline: %w", err)
	}
	if b.Version != baselineVersion {
		return nil, fmt.Errorf("parsing baseline: its version is %d, this program reads version %d", b.Version, baselineVersion)
	}
	return &b, nil
}

// Text is the baseline as a file: the same for the same findings.
func (b *Baseline) Text() ([]byte, error) {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing baseline: %w", err)
	}
	return append(text, '\n'), nil
}

// New is what of list the baseline does not have. gone counts the entries of
// the baseline that are found no more.
func (b *Baseline) New(list rule.List) (fresh rule.List, gone int) {
	known := map[string]bool{}
	for _, e := range b.Findings {
		known[e.Fingerprint] = true
	}
	gone = len(known)
	fresh = rule.List{}
	for _, f := range list {
		if !known[f.Fingerprint] {
			fresh = append(fresh, f)
		} else {
			gone--
		}
	}
	return fresh, gone
}
