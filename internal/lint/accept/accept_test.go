package accept_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/accept"
	"github.com/stile-aws/stile/internal/lint/rule"
)

func today() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func finding(code, file string, line int, subject string) rule.Finding {
	return rule.Finding{Code: code, Pos: diag.Position{File: file, Line: line}, Subject: subject, Summary: "s", Severity: rule.High}
}

func codes(list rule.List) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return out
}

func TestSuppressions(t *testing.T) {
	wide := finding(rule.WideSubject, "policies/ci/a.json", 4, "")
	inInventory := finding(rule.DeadTrust, "", 4, "222222222222 role/app-1 trust policy")
	for _, test := range []struct {
		name, entry string
		finding     rule.Finding
		want        []string // codes left
	}{
		{"by code and path", "{code: trust/wide-subject, path: 'policies/*.json', reason: r}", wide, nil},
		{"by code alone", "{code: trust/wide-subject, reason: r}", wide, nil},
		{"by subject", "{code: trust/dead, subject: '222222222222 role/app-*', reason: r}", inInventory, nil},
		{"of another code", "{code: trust/dead, path: 'policies/*', reason: r}", wide, []string{rule.UnusedSuppression, rule.WideSubject}},
		{"of a path that was not looked at", "{code: trust/dead, path: 'other/*', reason: r}", wide, []string{rule.WideSubject}},
		{"of another subject", "{code: trust/dead, subject: '1*', reason: r}", inInventory, []string{rule.UnusedSuppression, rule.DeadTrust}},
		{"without a reason", "{code: trust/wide-subject}", wide, []string{rule.Reasonless, rule.WideSubject}},
		{"until today", "{code: trust/wide-subject, reason: r, expires: 2026-11-22}", wide, nil},
		{"until yesterday", "{code: trust/wide-subject, reason: r, expires: 2026-11-21}", wide, []string{rule.ExpiredSuppression, rule.WideSubject}},
		{"until no day", "{code: trust/wide-subject, reason: r, expires: soon}", wide, []string{rule.BadSuppression, rule.WideSubject}},
		{"with an unknown field", "{code: trust/wide-subject, reason: r, file: a}", wide, []string{rule.BadSuppression, rule.WideSubject}},
		{"of no code", "{code: T06, reason: r}", wide, []string{rule.BadSuppression, rule.WideSubject}},
		{"that is no entry", "trust/wide-subject", wide, []string{rule.BadSuppression, rule.WideSubject}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var set accept.Set
			set.ParseFile(accept.FileName, []byte("ignore:\n  - "+test.entry+"\n"))
			rest, accepted := set.Apply(rule.List{test.finding}, []string{"policies/ci/a.json"}, today())
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, codes(rest)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if suppressed := !slices.Contains(codes(rest), test.finding.Code); suppressed != (len(accepted) == 1) {
				t.Errorf("accepted = %v", accepted)
			}
		})
	}
}

func TestFilesThatAreNoSuppressions(t *testing.T) {
	for _, text := range []string{"ignore: x\n", "ignor: []\n", "[", "ignore:\n  code: x\n"} {
		var set accept.Set
		set.ParseFile(accept.FileName, []byte(text))
		if rest, _ := set.Apply(nil, nil, today()); !slices.Equal(codes(rest), []string{rule.BadSuppression}) {
			t.Errorf("%q: findings = %v, want %s", text, rest, rule.BadSuppression)
		}
	}
	var set accept.Set
	set.ParseFile(accept.FileName, nil)
	if rest, _ := set.Apply(nil, nil, today()); len(rest) != 0 {
		t.Errorf("an empty file has findings: %v", rest)
	}
}

func TestComments(t *testing.T) {
	const text = `a: 1 # stile-lint-ignore: trust/dead behind the value
# stile-lint-ignore: trust/wide-subject above
# stile-lint-ignore: trust/size and this too

b: 2
c: "stile-lint-ignore: trust/dead in a text"
# stile-lint-ignore: trust/dead
d: 4
`
	var set accept.Set
	set.ParseComments("f.yaml", []byte(text))
	rest, accepted := set.Apply(rule.List{
		finding(rule.DeadTrust, "f.yaml", 1, ""), finding(rule.WideSubject, "f.yaml", 5, ""), finding(rule.TrustSize, "f.yaml", 5, ""),
		finding(rule.DeadTrust, "f.yaml", 6, ""), finding(rule.DeadTrust, "f.yaml", 8, ""), finding(rule.DeadTrust, "g.yaml", 1, ""),
	}, []string{"f.yaml"}, today())
	if diff := cmp.Diff([]string{rule.Reasonless, rule.DeadTrust, rule.DeadTrust, rule.DeadTrust}, codes(rest)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if len(accepted) != 3 || !accepted[0].InSource || accepted[0].Reason != "behind the value" {
		t.Errorf("accepted = %+v", accepted)
	}
}

func TestBaselineKnowsFindingsThatMoved(t *testing.T) {
	old := rule.List{finding(rule.DeadTrust, "f", 1, ""), finding(rule.WideSubject, "f", 2, ""), finding(rule.TrustSize, "f", 3, "")}
	old.Sign()
	text, err := accept.NewBaseline(old).Text()
	if err != nil {
		t.Fatal(err)
	}
	b, err := accept.ParseBaseline(text)
	if err != nil {
		t.Fatal(err)
	}
	now := rule.List{finding(rule.DeadTrust, "f", 100, ""), finding(rule.WideSubject, "g", 2, ""), finding(rule.TrustSize, "f", 3, "")}
	now.Sign()
	fresh, gone := b.New(now)
	if len(fresh) != 1 || fresh[0].Pos.File != "g" || gone != 1 {
		t.Errorf("new = %v and %d gone, want the one in g, and one gone", fresh, gone)
	}
	slices.Reverse(old)
	if again, _ := accept.NewBaseline(old).Text(); string(again) != string(text) {
		t.Error("the file depends on the order of the findings")
	}
	for _, bad := range []string{"", "{}", `{"version": 2}`} {
		if _, err := accept.ParseBaseline([]byte(bad)); err == nil || !strings.Contains(err.Error(), "parsing baseline") {
			t.Errorf("ParseBaseline(%q) = %v, want an error that says what was done", bad, err)
		}
	}
}
