package output

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
)

// The types are the part of SARIF 2.1.0 that is written (OASIS, "Static
// Analysis Results Interchange Format", version 2.1.0).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool            `json:"tool"`
		Bases      map[string]sarifBase `json:"originalUriBaseIds,omitempty"`
		ColumnKind string               `json:"columnKind"`
		Results    []sarifResult        `json:"results"`
	}
	sarifBase struct {
		Description sarifText `json:"description"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string             `json:"id"`
		Short         sarifText          `json:"shortDescription"`
		Full          sarifText          `json:"fullDescription"`
		Help          sarifText          `json:"help"`
		HelpURI       string             `json:"helpUri,omitempty"`
		Configuration sarifConfiguration `json:"defaultConfiguration"`
		Properties    sarifProperties    `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifConfiguration struct {
		Level string `json:"level"`
	}
	sarifProperties struct {
		Tags []string `json:"tags"`
		// SecuritySeverity is what GitHub sorts by, from 0 to 10.
		SecuritySeverity string `json:"security-severity"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

// Origin is what a SARIF log says of the run besides its findings. The zero
// Origin says nothing.
type Origin struct {
	// Version is the program's.
	Version string
	// Inventory is the file that findings without a file are about. Code
	// scanning of GitHub refuses results that are in no file.
	Inventory string
	// Line, unless nil, gives a line of a file, counted from 1. Positions count
	// bytes and SARIF's columns UTF-16 code units; without the line they are
	// taken to be the same.
	Line func(file string, number int) (text string, ok bool)
}

// sourceRoot is the base of relative paths: the directory stile was run in.
const sourceRoot = "%SRCROOT%"

// SARIF writes findings, and those that were accepted, as one SARIF log.
func SARIF(w io.Writer, list rule.List, accepted []rule.Accepted, o Origin) error {
	l := &sarifWriter{origin: o, index: map[string]int{}, run: sarifRun{ColumnKind: "utf16CodeUnits", Results: []sarifResult{}}}
	l.run.Tool.Driver = sarifDriver{Name: "stile", Version: o.Version, InformationURI: "https://github.com/stile-aws/stile", Rules: []sarifRule{}}
	l.run.Bases = map[string]sarifBase{sourceRoot: {sarifText{"The directory stile was run in."}}}
	for _, f := range list {
		l.add(f)
	}
	for _, s := range accepted {
		kind := "external"
		if s.InSource {
			kind = "inSource"
		}
		l.add(s.Finding, sarifSuppression{Kind: kind, Justification: s.Reason})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{l.run}})
}

type sarifWriter struct {
	origin Origin

	run   sarifRun
	index map[string]int // of a code in the driver's rules
}

func (l *sarifWriter) add(f rule.Finding, suppressions ...sarifSuppression) {
	i, ok := l.index[f.Code]
	if !ok {
		i = len(l.run.Tool.Driver.Rules)
		l.index[f.Code] = i
		l.run.Tool.Driver.Rules = append(l.run.Tool.Driver.Rules, sarifRuleOf(f))
	}
	l.run.Results = append(l.run.Results, sarifResult{
		RuleID: f.Code, RuleIndex: i, Level: sarifLevel(f.Severity), Message: sarifText{message(f)},
		Locations: []sarifLocation{l.location(f)}, Fingerprints: map[string]string{"stileFingerprint/v1": f.Fingerprint},
		Suppressions: slices.Clip(suppressions),
	})
}

func sarifRuleOf(f rule.Finding) sarifRule {
	r, known := rule.Of(f.Code)
	if !known {
		r = rule.Rule{Code: f.Code, Severity: f.Severity, Title: f.Code}
	}
	out := sarifRule{ID: r.Code, Short: sarifText{r.Title}, Configuration: sarifConfiguration{sarifLevel(r.Severity)}}
	out.Properties = sarifProperties{Tags: []string{"security", "iam"}, SecuritySeverity: securitySeverity(r.Severity)}
	out.Full, out.Help = out.Short, out.Short
	if known {
		out.HelpURI = r.URL()
		out.Help.Text += "\n" + r.URL()
	}
	if r.Number != "" {
		out.Properties.Tags = append(out.Properties.Tags, r.Number)
	}
	return out
}

// securitySeverity lies in the ranges GitHub maps to the severities' names
// (over 9.0 critical, 7.0 to 8.9 high, 4.0 to 6.9 medium, 0.1 to 3.9 low).
func securitySeverity(s rule.Severity) string {
	switch s {
	case rule.Critical:
		return "9.5"
	case rule.High:
		return "8.0"
	case rule.Medium:
		return "5.5"
	case rule.Low:
		return "2.0"
	case rule.Info, rule.OfRule:
	}
	return "0.0"
}

func sarifLevel(s rule.Severity) string {
	switch {
	case s >= rule.High:
		return "error"
	case s == rule.Medium:
		return "warning"
	}
	return "note"
}

func (l *sarifWriter) location(f rule.Finding) sarifLocation {
	var at sarifLocation
	switch {
	case f.Pos.File != "":
		at.Physical = &sarifPhysical{Artifact: artifactOf(f.Pos.File)}
		if f.Pos.Line > 0 {
			at.Physical.Region = &sarifRegion{StartLine: f.Pos.Line, StartColumn: l.column(f.Pos)}
		}
	case l.origin.Inventory != "": // the position counts in the document, not in the file
		at.Physical = &sarifPhysical{Artifact: artifactOf(l.origin.Inventory), Region: &sarifRegion{StartLine: 1}}
	}
	if f.Subject != "" {
		at.Logical = []sarifLogical{{f.Subject}}
	}
	return at
}

// artifactOf is the URI of a file: file:///… where the path is absolute, else
// relative to [sourceRoot].
func artifactOf(name string) sarifArtifact {
	path := filepath.ToSlash(filepath.Clean(name))
	if filepath.IsAbs(name) {
		return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(path, "/")}).String()}
	}
	return sarifArtifact{URI: (&url.URL{Path: path}).String(), Base: sourceRoot}
}

// column is a position's column in UTF-16 code units.
func (l *sarifWriter) column(at diag.Position) int {
	if l.origin.Line == nil || at.Column < 2 {
		return at.Column
	}
	text, ok := l.origin.Line(at.File, at.Line)
	if !ok || at.Column-1 > len(text) {
		return at.Column
	}
	units := 1
	for _, c := range text[:at.Column-1] {
		units += max(1, utf16.RuneLen(c)) // what is no UTF-8 reads as one replacement character
	}
	return units
}
