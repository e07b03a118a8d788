package diag_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/policy"
)

func sample() diag.List {
	return diag.List{
		{Pos: diag.Position{File: "b.yaml", Line: 3, Column: 5}, Severity: diag.Warning, Code: "x/w", Summary: "odd"},
		{Pos: diag.Position{File: "a.yaml", Line: 12, Column: 1}, Severity: diag.Error, Code: "x/late", Summary: "late"},
		{Pos: diag.Position{File: "a.yaml", Line: 2, Column: 7}, Severity: diag.Info, Code: "x/i", Summary: "by the way"},
		{Pos: diag.Position{File: "a.yaml", Line: 2, Column: 7}, Severity: diag.Error, Code: "x/e", Summary: "wrong", Detail: "because\nso", Hint: "do this"},
	}
}

func TestPrintGivesPositionSummaryCodeDetailAndHint(t *testing.T) {
	l := sample()
	l.Sort()
	var b strings.Builder
	if err := l.Print(&b); err != nil {
		t.Fatal(err)
	}
	want := `a.yaml:2:7: error: wrong [x/e]
  because
  so
  hint: do this
a.yaml:2:7: info: by the way [x/i]
a.yaml:12:1: error: late [x/late]
b.yaml:3:5: warning: odd [x/w]
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("Print (-want +got):\n%s", diff)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestPrintReportsAWriterThatFails(t *testing.T) {
	broken := errors.New("broken pipe")
	if err := sample().Print(brokenWriter{broken}); !errors.Is(err, broken) {
		t.Errorf("Print = %v, want %v", err, broken)
	}
}

func TestErrIsAnErrorOnlyWhenOneIs(t *testing.T) {
	l := sample()
	if err := l[:1].Err(); err != nil {
		t.Errorf("Err of a warning = %v, want nil", err)
	}
	if err := diag.List(nil).Err(); err != nil {
		t.Errorf("Err of nothing = %v, want nil", err)
	}
	err := l.Err()
	got, ok := errors.AsType[diag.List](err)
	if !ok || len(got) != len(l) {
		t.Fatalf("AsType(%v) = %v, %v; want the list", err, got, ok)
	}
	if want := "a.yaml:12:1: error: late [x/late]\na.yaml:2:7: error: wrong [x/e]"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err.Error(), want)
	}
}

func TestPositionPrintsWhatIsKnown(t *testing.T) {
	for _, test := range []struct {
		pos  diag.Position
		want string
	}{
		{diag.Position{}, ""},
		{diag.Position{File: "f"}, "f"},
		{diag.Position{File: "f", Line: 2}, "f:2"},
		{diag.Position{Line: 2, Column: 4}, "2:4"},
		{diag.At("f", policy.Pos{Offset: 9, Line: 2, Column: 4}), "f:2:4"},
	} {
		if got := test.pos.String(); got != test.want {
			t.Errorf("%#v.String() = %q, want %q", test.pos, got, test.want)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	want := sample()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"severity":"warning"`) {
		t.Errorf("Marshal = %s, want severities as words", text)
	}
	var got diag.List
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
	var s diag.Severity
	if err := s.UnmarshalText([]byte("fatal")); err == nil {
		t.Error("UnmarshalText(fatal) = nil, want an error")
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"resources", "actions", "grant"}
	for word, want := range map[string]string{"resource": "resources", "Actoins": "actions", "zzz": ""} {
		if got := diag.Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
	if got, want := diag.DidYouMean("actoins", known), `did you mean "actions"?`; got != want {
		t.Errorf("DidYouMean = %q, want %q", got, want)
	}
	if got := diag.DidYouMean("zzz", known); got != "" {
		t.Errorf("DidYouMean(zzz) = %q, want nothing", got)
	}
}

func TestFromPolicyKeepsPlaceAndHint(t *testing.T) {
	_, err := policy.Parse([]byte("{\n  \"Verson\": \"2012-10-17\",\n \"Statement\": {\"Effect\":\"Allow\",\"Action\":\"*\"}}"))
	got := diag.FromPolicy("p.json", err)
	want := diag.List{{
		Pos: diag.Position{File: "p.json", Line: 2, Column: 3}, Code: "policy/unknown-element",
		Summary: `unknown element "Verson" in a policy document`, Hint: `did you mean "Version"?`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FromPolicy (-want +got):\n%s", diff)
	}
	if got := diag.FromPolicy("p.json", nil); got != nil {
		t.Errorf("FromPolicy(nil) = %v, want nil", got)
	}
	if got := diag.FromPolicy("p.json", errors.New("other")); len(got) != 1 || !got.HasErrors() {
		t.Errorf("FromPolicy(other) = %v, want one error", got)
	}
}
