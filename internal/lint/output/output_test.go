package output_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/output"
	"github.com/stile-aws/stile/internal/lint/rule"
)

func findings() rule.List {
	var list rule.List
	list.Add(
		rule.Finding{Pos: diag.Position{File: "dir with space/a.json", Line: 3, Column: 7}, Code: rule.NoSubject, Summary: "every subject passes", Detail: "100 % of them", Hint: "name one", Fix: "x"},
		rule.Finding{Pos: diag.Position{Line: 2, Column: 5}, Subject: "111111111111 role/ci trust policy", Code: rule.DeadTrust, Summary: "nobody"},
		rule.Finding{Pos: diag.Position{File: "b,c:d.yaml"}, Code: "access/unknown-field", Severity: rule.Low, Summary: "two\nlines"},
		rule.Finding{Pos: diag.Position{File: "b,c:d.yaml", Line: 1}, Code: rule.NoSubject, Severity: rule.Critical, Summary: "again"},
	)
	list.Sign()
	return list
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := output.Text(&b, findings()); err != nil {
		t.Fatal(err)
	}
	const want = `dir with space/a.json:3:7: high: every subject passes [trust/no-subject T19]
  100 % of them
  hint: name one
  fix: x
111111111111 role/ci trust policy:2:5: medium: nobody [trust/dead T14]
b,c:d.yaml: low: two
lines [access/unknown-field]
b,c:d.yaml:1: critical: again [trust/no-subject T19]
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// GitHub's runner reads one command a line and takes : and , in properties for
// its own.
func TestGitHub(t *testing.T) {
	var b strings.Builder
	if err := output.GitHub(&b, findings()); err != nil {
		t.Fatal(err)
	}
	const want = `::error file=dir with space/a.json,line=3,col=7,title=trust/no-subject (high)::every subject passes%0A100 %25 of them%0Aname one
::warning title=trust/dead (medium)::111111111111 role/ci trust policy: nobody
::notice file=b%2Cc%3Ad.yaml,title=access/unknown-field (low)::two%0Alines
::error file=b%2Cc%3Ad.yaml,line=1,title=trust/no-subject (critical)::again
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// log is what SARIF 2.1.0 requires of a log, and what GitHub's code scanning
// reads of it ("SARIF support for code scanning").
type log struct {
	Schema  string `json:"$schema"`
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name, Version string
				Rules         []struct {
					ID                   string
					HelpURI              string
					ShortDescription     struct{ Text string }
					FullDescription      struct{ Text string }
					Help                 struct{ Text string }
					DefaultConfiguration struct{ Level string }
					Properties           map[string]any
				}
			}
		}
		ColumnKind         string
		OriginalURIBaseIDs map[string]any
		Results            []struct {
			RuleID    string
			RuleIndex int
			Level     string
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation *struct {
					ArtifactLocation struct{ URI, URIBaseID string }
					Region           *struct{ StartLine, StartColumn int }
				}
				LogicalLocations []struct{ FullyQualifiedName string }
			}
			PartialFingerprints map[string]string
			Suppressions        []struct{ Kind, Justification string }
		}
	}
}

func TestSARIF(t *testing.T) {
	list := findings()
	accepted := []rule.Accepted{{Finding: list[0], Reason: "agreed", InSource: true}, {Finding: list[1], Reason: "known"}}
	var b bytes.Buffer
	if err := output.SARIF(&b, list, accepted, output.Origin{Version: "v1"}); err != nil {
		t.Fatal(err)
	}
	var l log
	if err := json.Unmarshal(b.Bytes(), &l); err != nil {
		t.Fatal(err)
	}
	if l.Version != "2.1.0" || !strings.Contains(l.Schema, "2.1.0") || len(l.Runs) != 1 {
		t.Fatalf("version %q, schema %q, %d runs", l.Version, l.Schema, len(l.Runs))
	}
	run := l.Runs[0]
	if len(run.Results) != len(list)+len(accepted) || len(run.Tool.Driver.Rules) != 3 {
		t.Fatalf("%d results of %d rules, want 6 of 3", len(run.Results), len(run.Tool.Driver.Rules))
	}
	for i, r := range run.Results {
		if got := run.Tool.Driver.Rules[r.RuleIndex].ID; got != r.RuleID {
			t.Errorf("result %d: rule index leads to %s, want %s", i, got, r.RuleID)
		}
		if r.Message.Text == "" || len(r.Locations) != 1 || len(r.PartialFingerprints["stileFingerprint/v1"]) != 24 {
			t.Errorf("result %d lacks something: %+v", i, r)
		}
	}
	for _, r := range run.Tool.Driver.Rules {
		if r.ShortDescription.Text == "" || r.FullDescription.Text == "" || r.Help.Text == "" || r.Properties["security-severity"] == nil {
			t.Errorf("rule %s lacks something: %+v", r.ID, r)
		}
	}
	if got := run.Tool.Driver.Version; got != "v1" {
		t.Errorf("version = %q", got)
	}
	if got, want := run.Tool.Driver.Rules[0].HelpURI, "https://github.com/stile-aws/stile/blob/main/docs/lint/trust/no-subject.md"; got != want {
		t.Errorf("helpUri = %q, want %q", got, want)
	}
	first := run.Results[0].Locations[0].PhysicalLocation
	if base := first.ArtifactLocation.URIBaseID; run.OriginalURIBaseIDs[base] == nil {
		t.Errorf("the base %q is not told", base)
	}
	if first.ArtifactLocation.URI != "dir%20with%20space/a.json" || first.Region.StartLine != 3 || first.Region.StartColumn != 7 || run.Results[0].Level != "error" {
		t.Errorf("the first result is at %+v, level %s", first, run.Results[0].Level)
	}
	second := run.Results[1].Locations[0]
	if second.PhysicalLocation != nil || second.LogicalLocations[0].FullyQualifiedName != "111111111111 role/ci trust policy" || run.Results[1].Level != "warning" {
		t.Errorf("the finding of an inventory is at %+v", second)
	}
	if s := run.Results[4].Suppressions; len(s) != 1 || s[0].Kind != "inSource" || s[0].Justification != "agreed" {
		t.Errorf("suppressions = %+v", s)
	}
	if s := run.Results[5].Suppressions; s[0].Kind != "external" {
		t.Errorf("suppressions = %+v", s)
	}
}

func TestSARIFOfNothingIsALog(t *testing.T) {
	var b bytes.Buffer
	if err := output.SARIF(&b, nil, nil, output.Origin{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.Contains(text, `"results": []`) || !strings.Contains(text, `"rules": []`) {
		t.Errorf("a run without results lacks its lists:\n%s", text)
	}
}

// SARIF's columns are UTF-16 code units (3.14.27, columnKind), a position's bytes.
func TestSARIFPlaces(t *testing.T) {
	const line = `{"ü": "😀", "x": 1}`
	for _, test := range []struct {
		name      string
		at        diag.Position
		inventory string
		uri       string
		line, col int
	}{
		{"before what is not ASCII", diag.Position{File: "a.json", Line: 1, Column: 2}, "", "a.json", 1, 2},
		{"behind two bytes that are one unit", diag.Position{File: "a.json", Line: 1, Column: 8}, "", "a.json", 1, 7},
		{"behind four bytes that are two", diag.Position{File: "a.json", Line: 1, Column: 16}, "", "a.json", 1, 13},
		{"past the line's end", diag.Position{File: "a.json", Line: 1, Column: 99}, "", "a.json", 1, 99},
		{"a line that cannot be had", diag.Position{File: "a.json", Line: 2, Column: 9}, "", "a.json", 2, 9},
		{"an absolute path", diag.Position{File: "/x y/a.json", Line: 1, Column: 1}, "", "file:///x%20y/a.json", 1, 1},
		{"a path with a dot", diag.Position{File: "./b/../a.json", Line: 1, Column: 1}, "", "a.json", 1, 1},
		{"no file, an inventory", diag.Position{Line: 7, Column: 3}, "acme.json.gz", "acme.json.gz", 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			list := rule.List{}
			list.Add(rule.Finding{Pos: test.at, Subject: "s", Code: rule.NoSubject, Summary: "x"})
			var b bytes.Buffer
			err := output.SARIF(&b, list, nil, output.Origin{Inventory: test.inventory, Line: func(_ string, n int) (string, bool) { return line, n == 1 }})
			if err != nil {
				t.Fatal(err)
			}
			var l log
			if err := json.Unmarshal(b.Bytes(), &l); err != nil {
				t.Fatal(err)
			}
			at := l.Runs[0].Results[0].Locations[0].PhysicalLocation
			if got := at.ArtifactLocation.URI; got != test.uri {
				t.Errorf("uri = %q, want %q", got, test.uri)
			}
			if got := *at.Region; got.StartLine != test.line || got.StartColumn != test.col {
				t.Errorf("region = %+v, want %d:%d", got, test.line, test.col)
			}
		})
	}
}
