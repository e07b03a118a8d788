package rule_test

import (
	"encoding/json"
	"testing"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
)

func TestAFindingTakesWhatItLeavesOutFromItsRule(t *testing.T) {
	var list rule.List
	list.Add(rule.Finding{Code: rule.NoSubject}, rule.Finding{Code: rule.NoSubject, Severity: rule.Medium}, rule.Finding{Code: "other/code"})
	if got := list[0]; got.Severity != rule.High || got.Number != "T19" {
		t.Errorf("severity %v and number %q, want those of the rule", got.Severity, got.Number)
	}
	if got := list[1].Severity; got != rule.Medium {
		t.Errorf("severity = %v, want the finding's own", got)
	}
	if got := list[2]; got.Severity != rule.Medium || got.Number != "" {
		t.Errorf("a code of no rule has %v and %q", got.Severity, got.Number)
	}
}

func TestDiagnosticsKeepTheirWeight(t *testing.T) {
	var list rule.List
	list.AddDiagnostics(diag.List{
		{Code: "policy/unknown-operator", Severity: diag.Error}, {Code: "access/x", Severity: diag.Error},
		{Code: "access/x", Severity: diag.Warning}, {Code: "access/x", Severity: diag.Info},
	})
	for i, want := range []rule.Severity{rule.Critical, rule.High, rule.Medium, rule.Info} {
		if list[i].Severity != want {
			t.Errorf("%s: severity = %v, want %v", list[i].Code, list[i].Severity, want)
		}
	}
}

// sign gives the fingerprints of findings that differ as the arguments say.
func sign(list ...rule.Finding) []string {
	rule.List(list).Sign()
	var out []string
	for _, f := range list {
		out = append(out, f.Fingerprint)
	}
	return out
}

func TestFingerprintsFollowWhatIsSaidAndNotWhere(t *testing.T) {
	base := rule.Finding{Code: "a/b", Pos: diag.Position{File: "f", Line: 3, Column: 4}, Severity: rule.High, Anchor: "x"}
	moved, milder, reworded, other, elsewhere := base, base, base, base, base
	moved.Pos.Line = 30
	milder.Severity = rule.Low
	reworded.Summary = "new words"
	other.Anchor = "y"
	elsewhere.Pos.File = "g"
	want := sign(base)[0]
	for name, f := range map[string]rule.Finding{"moved": moved, "milder": milder, "reworded": reworded} {
		if got := sign(f)[0]; got != want {
			t.Errorf("%s: the fingerprint changed", name)
		}
	}
	for name, f := range map[string]rule.Finding{"another value": other, "another file": elsewhere} {
		if got := sign(f)[0]; got == want {
			t.Errorf("%s: the fingerprint is the same", name)
		}
	}
	two := sign(base, moved)
	if two[0] != want || two[1] == want {
		t.Errorf("two alike have the fingerprints %v, want the first to be that of one, and the second another", two)
	}
}

func TestSortPutsTheWorstFirstAtOnePlace(t *testing.T) {
	at := diag.Position{File: "b", Line: 1}
	list := rule.List{{Pos: at, Code: "low", Severity: rule.Low}, {Pos: at, Code: "high", Severity: rule.High}, {Subject: "a", Code: "first", Severity: rule.Info}}
	list.Sort()
	for i, want := range []string{"first", "high", "low"} {
		if list[i].Code != want {
			t.Errorf("place %d is %s, want %s", i, list[i].Code, want)
		}
	}
}

func TestSeveritiesAreWords(t *testing.T) {
	for s := rule.Info; s <= rule.Critical; s++ {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back rule.Severity
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Errorf("%s comes back as %v, %v", text, back, err)
		}
	}
	for _, bad := range []string{`""`, `"error"`} {
		var s rule.Severity
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("%s is taken for a severity", bad)
		}
	}
}
