package authz_test

import (
	"slices"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

// askConditions evaluates a statement for each list of conditions, with every
// key unknown that they name and known does not have.
func askConditions(t *testing.T, known map[string][]string, allows, denies [][]policy.Condition) authz.Decision {
	t.Helper()
	doc := &policy.Document{Version: policy.Version2012}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u"), ID: "AIDAEXAMPLE"},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x",
	}
	for i, conditions := range slices.Concat(allows, denies) {
		s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"), Conditions: conditions}
		if i >= len(allows) {
			s.Effect = policy.Deny
		}
		doc.Statements = append(doc.Statements, s)
		for _, c := range conditions {
			if values, ok := known[c.Key]; ok {
				req.Context.Set(c.Key, values...)
			} else {
				req.Context.SetUnknown(c.Key)
			}
		}
	}
	p, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity})
	if err != nil {
		t.Fatal(err)
	}
	return authz.Evaluate(req, &authz.Policies{Identity: []*authz.Policy{p}}, nil)
}

type conditions = []policy.Condition

func TestResidualsAreSaidShortly(t *testing.T) {
	c := policy.Cond
	for _, tt := range []struct {
		name           string
		known          map[string][]string
		allows, denies []conditions
		want           string
	}{
		{name: "alternatives on one key are one list",
			allows: []conditions{{c("StringEquals", "k", "b")}, {c("StringEquals", "k", "a")}},
			want:   "allowed when k is one of a, b"},
		{name: "conditions on one key narrow each other",
			allows: []conditions{{c("StringEquals", "k", "a", "b", "c"), c("StringNotEquals", "k", "b"), c("StringLike", "k", "a*", "b*")}},
			want:   "allowed when k = a"},
		{name: "an alternative within another is left out",
			allows: []conditions{{c("StringEquals", "k", "a"), c("Bool", "m", "true")}, {c("StringEquals", "k", "a")}},
			want:   "allowed when k = a"},
		{name: "an alternative loses what another covers",
			allows: []conditions{{c("StringNotEquals", "k", "a"), c("Bool", "m", "true")}, {c("StringEquals", "k", "a")}},
			want:   "allowed when m = true; or when k = a"},
		{name: "what is common is said once",
			allows: []conditions{{c("Bool", "m", "true"), c("StringEquals", "k", "a")}, {c("Bool", "m", "true"), c("StringEquals", "j", "b")}},
			want:   "allowed when m = true, and either when k = a, or when j = b"},
		{name: "a deny takes away",
			allows: []conditions{{c("StringEquals", "k", "a", "b")}}, denies: []conditions{{c("StringEquals", "k", "b")}},
			want: "allowed when k = a"},
		{name: "a deny is said the other way round",
			allows: []conditions{nil}, denies: []conditions{{c("Null", "k", "true")}, {c("StringNotLike", "j", "x*")}},
			want: "allowed when k is present and j like x*"},
		{name: "a deny that no operator turns round",
			allows: []conditions{nil}, denies: []conditions{{c("NumericLessThan", "n", "5")}},
			want: "allowed when n ≥ 5 or it is absent"},
		{name: "a deny of keys that are missing, too",
			allows: []conditions{nil}, denies: []conditions{{c("NotIpAddressIfExists", "aws:SourceIp", "10.0.0.0/8"), c("StringNotEqualsIfExists", "aws:SourceVpc", "vpc-1"), c("NumericGreaterThanIfExists", "n", "7")}},
			want: "allowed when aws:SourceIp in 10.0.0.0/8; or when aws:SourceVpc = vpc-1; or when n ≤ 7"},
		{name: "a deny without MFA",
			allows: []conditions{nil}, denies: []conditions{{c("BoolIfExists", "aws:MultiFactorAuthPresent", "false")}, {c("Bool", "aws:SecureTransport", "false")}},
			want: "allowed when aws:MultiFactorAuthPresent = true and aws:SecureTransport is not false"},
		{name: "a deny of a key that may be missing",
			allows: []conditions{nil}, denies: []conditions{{c("StringLikeIfExists", "k", "a*")}, {c("ForAnyValue:StringEquals", "aws:TagKeys", "owner", "cost")}},
			want: "allowed when k not like a* and it is present and no value of aws:TagKeys is one of owner, cost"},
		{name: "what may be absent, beside something else",
			allows: []conditions{{c("StringEqualsIfExists", "k", "a"), c("StringEquals", "j", "b")}},
			want:   "allowed when (k = a or it is absent) and j = b"},
		{name: "letters of any case",
			allows: []conditions{{c("StringEqualsIgnoreCase", "k", "a")}, {c("StringNotEqualsIgnoreCase", "j", "a", "b")}},
			want:   "allowed when k = a in any case; or when j is none of a, b in any case"},
		{name: "numbers",
			allows: []conditions{{c("NumericGreaterThan", "n", "3"), c("NumericLessThanEquals", "n", "7"), c("NumericLessThan", "n", "9")}},
			want:   "allowed when n > 3 and n ≤ 7"},
		{name: "missing keys",
			allows: []conditions{{c("StringEqualsIfExists", "k", "a")}},
			want:   "allowed when k = a or it is absent"},
		{name: "set operators",
			allows: []conditions{{c("ForAllValues:StringEquals", "aws:TagKeys", "a", "b"), c("ForAnyValue:StringEquals", "aws:TagKeys", "a")}},
			want:   "allowed when every value of aws:TagKeys is one of a, b and some value of aws:TagKeys = a"},
		{name: "a variable that is not known",
			known:  map[string][]string{"aws:RequestTag/team": {"ops"}},
			allows: []conditions{{c("StringEquals", "aws:RequestTag/team", "${aws:PrincipalTag/team}"), c("StringNotEquals", "aws:PrincipalTag/team", "x")}},
			want:   "allowed when aws:PrincipalTag/team = ops"},
		{name: "two keys that must agree",
			allows: []conditions{{c("StringEquals", "aws:RequestTag/team", "${aws:PrincipalTag/team}"), c("StringNotEquals", "aws:PrincipalTag/team", "x")}},
			want:   "allowed when aws:RequestTag/team = ${aws:PrincipalTag/team} and aws:PrincipalTag/team ≠ x"},
		{name: "a known variable is replaced",
			known:  map[string][]string{"aws:PrincipalTag/team": {"ops"}},
			allows: []conditions{{c("StringLike", "aws:RequestTag/name", "${aws:PrincipalTag/team}-*"), c("StringEquals", "aws:PrincipalTag/team", "ops")}},
			want:   "allowed when aws:RequestTag/name like ops-*"},
		{name: "values that are hard to read",
			allows: []conditions{{c("StringEquals", "k", "", "a b")}},
			want:   `allowed when k is one of "", "a b"`},
		{name: "addresses and dates",
			allows: []conditions{{c("IpAddress", "aws:SourceIp", "10.0.0.0/8"), c("DateLessThan", "aws:CurrentTime", "2027-01-01")}},
			want:   "allowed when aws:SourceIp in 10.0.0.0/8 and aws:CurrentTime < 2027-01-01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := askConditions(t, tt.known, tt.allows, tt.denies)
			if d.Residual == nil {
				t.Fatalf("outcome %v\n%s", d.Outcome, d.Text())
			}
			if got := d.Residual.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWhatNoValueChangesIsSettled(t *testing.T) {
	c := policy.Cond
	for _, tt := range []struct {
		name           string
		allows, denies []conditions
		want           authz.Outcome
	}{
		{"two values at once", []conditions{{c("StringEquals", "k", "a"), c("StringEquals", "k", "b")}}, nil, authz.ImplicitDeny},
		{"a value outside a pattern", []conditions{{c("StringEquals", "k", "a"), c("StringLike", "k", "b*")}}, nil, authz.ImplicitDeny},
		{"either way", []conditions{{c("StringEquals", "k", "a")}, {c("StringNotEquals", "k", "a")}}, nil, authz.Allowed},
		{"either way by pattern", []conditions{{c("StringLike", "k", "a*")}, {c("StringNotLike", "k", "a*")}}, nil, authz.Allowed},
		{"there or not there", []conditions{{c("Null", "k", "true")}, {c("Null", "k", "false")}}, nil, authz.Allowed},
		{"any number", []conditions{{c("NumericLessThanIfExists", "n", "7")}, {c("NumericGreaterThanEqualsIfExists", "n", "7")}}, nil, authz.Allowed},
		{"no number", []conditions{{c("NumericLessThan", "n", "7"), c("NumericGreaterThan", "n", "7")}}, nil, authz.ImplicitDeny},
		{"no date", []conditions{{c("DateLessThan", "t", "2026-01-01"), c("DateGreaterThan", "t", "2026-06-01T00:00:00Z")}}, nil, authz.ImplicitDeny},
		{"a spelling", []conditions{{c("StringEqualsIgnoreCase", "k", "a"), c("StringNotEquals", "k", "a", "A")}}, nil, authz.ImplicitDeny},
		{"denied either way", []conditions{nil}, []conditions{{c("Bool", "m", "true")}, {c("BoolIfExists", "m", "false")}, {c("StringNotEqualsIgnoreCase", "m", "true", "false")}}, authz.ExplicitDeny},
		{"allowed only where denied", []conditions{{c("StringEquals", "k", "a")}}, []conditions{{c("StringLike", "k", "a*")}}, authz.ImplicitDeny},
		{"no value and some value", []conditions{{c("ForAnyValue:StringEquals", "aws:TagKeys", "a"), c("ForAllValues:StringNotEquals", "aws:TagKeys", "a")}}, nil, authz.ImplicitDeny},
		{"several keys", []conditions{{c("Bool", "m", "true"), c("StringEquals", "k", "a")}, {c("Bool", "m", "true"), c("StringNotEquals", "k", "a")}, {c("StringNotEqualsIgnoreCase", "m", "true")}}, nil, authz.Allowed},
		// What can be, and so is not settled.
		{"two values of a multivalued key", []conditions{{c("ForAnyValue:StringEquals", "aws:TagKeys", "a"), c("ForAnyValue:StringEquals", "aws:TagKeys", "b")}}, nil, authz.Unknown},
		{"another spelling", []conditions{{c("StringEqualsIgnoreCase", "k", "ab"), c("StringNotEquals", "k", "ab", "AB", "aB")}}, nil, authz.Unknown},
		{"another spelling that fits a pattern", []conditions{{c("StringEqualsIgnoreCase", "k", "ORDERS"), c("StringLike", "k", "ord*")}}, nil, authz.Unknown},
		{"between two numbers", []conditions{{c("NumericGreaterThan", "n", "7"), c("NumericLessThan", "n", "7.01")}}, nil, authz.Unknown},
		{"two patterns", []conditions{{c("StringLike", "k", "a*"), c("StringLike", "k", "*b")}}, nil, authz.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := askConditions(t, nil, tt.allows, tt.denies); d.Outcome != tt.want {
				t.Errorf("outcome %v, want %v\n%s", d.Outcome, tt.want, d.Text())
			}
		})
	}
}
