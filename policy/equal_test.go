package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/policy"
)

func TestEqualComparesMeaning(t *testing.T) {
	statement := func(body string) string { return `{"Version":"2012-10-17","Statement":[{` + body + `}]}` }
	for _, test := range []struct {
		name string
		a, b string
		want bool
	}{
		{"one-element lists and a single statement",
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`,
			statement(`"Effect":"Allow","Action":["s3:*"],"Resource":["*"]`), true},
		{"order of elements and values, repetitions",
			statement(`"Effect":"Allow","Action":["a:B","c:D"],"Resource":"*"`),
			statement(`"Resource":"*","Action":["c:D","a:B","a:B"],"Effect":"Allow"`), true},
		{"order of statements",
			`{"Statement":[{"Effect":"Allow","Action":"a:B"},{"Effect":"Deny","Action":"c:D"}]}`,
			`{"Statement":[{"Effect":"Deny","Action":"c:D"},{"Effect":"Allow","Action":"a:B"}]}`, true},
		{"case of actions", statement(`"Effect":"Allow","Action":"S3:getobject"`), statement(`"Effect":"Allow","Action":"s3:GetObject"`), true},
		{"case of resources counts", statement(`"Effect":"Allow","Action":"a:b","Resource":"arn:aws:s3:::B"`), statement(`"Effect":"Allow","Action":"a:b","Resource":"arn:aws:s3:::b"`), false},
		{"account id and root arn",
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"AWS":"111111111111"}`),
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"AWS":"arn:aws:iam::111111111111:root"}`), true},
		{"everyone in both spellings",
			statement(`"Effect":"Allow","Action":"a:b","Principal":"*"`),
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"AWS":"*"}`), true},
		{"order of principals",
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"Service":"s.amazonaws.com","AWS":["222222222222","111111111111"]}`),
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"AWS":["111111111111","222222222222"],"Service":["s.amazonaws.com"]}`), true},
		{"types of principals count",
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"Service":"x"}`),
			statement(`"Effect":"Allow","Action":"a:b","Principal":{"AWS":"x"}`), false},
		{"principal and not principal",
			statement(`"Effect":"Deny","Action":"a:b","Principal":"*"`),
			statement(`"Effect":"Deny","Action":"a:b","NotPrincipal":"*"`), false},
		{"missing version is the old one", `{"Statement":{"Effect":"Allow","Action":"a:b"}}`, `{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"a:b"}}`, true},
		{"versions count", `{"Statement":{"Effect":"Allow","Action":"a:b"}}`, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"a:b"}}`, false},
		{"id does not count", `{"Id":"x","Statement":{"Effect":"Allow","Action":"a:b"}}`, `{"Statement":{"Effect":"Allow","Action":"a:b"}}`, true},
		{"sid counts", statement(`"Sid":"A","Effect":"Allow","Action":"a:b"`), statement(`"Effect":"Allow","Action":"a:b"`), false},
		{"effect counts", statement(`"Effect":"Allow","Action":"a:b"`), statement(`"Effect":"Deny","Action":"a:b"`), false},
		{"resource absent or everything", statement(`"Effect":"Allow","Action":"a:b"`), statement(`"Effect":"Allow","Action":"a:b","Resource":"*"`), false},
		{"condition key case, value order, boolean spelling",
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"StringLike":{"aws:PrincipalTag/Team":["y","x"]},"Bool":{"aws:SecureTransport":"True"}}`),
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"Bool":{"aws:securetransport":true},"StringLike":{"AWS:principaltag/team":["x","y"]}}`), true},
		{"ArnEquals is ArnLike",
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"ForAnyValue:ArnEqualsIfExists":{"k":"arn:x"},"ArnNotEquals":{"k":"arn:y"}}`),
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"ForAnyValue:ArnLikeIfExists":{"k":"arn:x"},"ArnNotLike":{"k":"arn:y"}}`), true},
		{"IfExists counts",
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"StringEquals":{"k":"v"}}`),
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"StringEqualsIfExists":{"k":"v"}}`), false},
		{"condition values keep their case",
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"StringEquals":{"k":"V"}}`),
			statement(`"Effect":"Allow","Action":"a:b","Condition":{"StringEquals":{"k":"v"}}`), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := mustParse(t, test.a), mustParse(t, test.b)
			if got := policy.Equal(a, b); got != test.want {
				t.Errorf("Equal = %v, want %v\n%s\n%s", got, test.want, policy.Canonical(a), policy.Canonical(b))
			}
			if !policy.Equal(a, a) || !policy.Equal(b, b) {
				t.Error("a document is not Equal to itself")
			}
		})
	}
}

func TestSameGrantsIgnoresSids(t *testing.T) {
	a := mustParse(t, `{"Statement":[{"Sid":"A","Effect":"Allow","Action":"a:b"},{"Sid":"B","Effect":"Allow","Action":"a:B"}]}`)
	b := mustParse(t, `{"Statement":{"Effect":"Allow","Action":"a:b"}}`)
	if !policy.SameGrants(a, b) || policy.Equal(a, b) {
		t.Errorf("SameGrants = %v, Equal = %v; want true, false", policy.SameGrants(a, b), policy.Equal(a, b))
	}
	if a.Statements[0].Sid != "A" {
		t.Error("SameGrants changed its argument")
	}
	if policy.Equal(nil, b) || !policy.Equal(nil, nil) || policy.SameGrants(nil, b) {
		t.Error("nil is equal to nil only")
	}
}

func TestStatementCanonicalIsEqualForEqualStatements(t *testing.T) {
	a := mustParse(t, `{"Statement":{"Effect":"Allow","Action":["b:C","A:B"],"Principal":"*"}}`).Statements[0]
	b := mustParse(t, `{"Statement":{"Principal":{"AWS":"*"},"Effect":"Allow","Action":["a:b","b:c"]}}`).Statements[0]
	if a.Canonical() != b.Canonical() || a.String() == b.String() {
		t.Errorf("Canonical = %s and %s", a.Canonical(), b.Canonical())
	}
}

func sids(d *policy.Document) []string {
	var out []string
	for _, st := range d.Statements {
		out = append(out, st.Sid+" "+policy.Values(st.Actions)[0])
	}
	return out
}

func TestStatementOwnership(t *testing.T) {
	theirs := mustParse(t, `{"Version":"2008-10-17","Id":"theirs","Statement":[
		{"Sid":"Stile1","Effect":"Allow","Action":"old:one"},
		{"Effect":"Deny","Action":"their:nameless"},
		{"Sid":"Their","Effect":"Allow","Action":"their:named"},
		{"Sid":"Stile1","Effect":"Allow","Action":"old:again"}]}`)
	before := theirs.String()
	ours := func(sid, action string) policy.Statement {
		return policy.Statement{Sid: sid, Effect: policy.Allow, Actions: policy.Texts(action)}
	}

	merged := theirs.Merge(ours("Stile2", "new:two"), ours("Stile1", "new:one"), ours("", "new:nameless"))
	want := []string{"Stile1 new:one", " their:nameless", "Their their:named", "Stile2 new:two", " new:nameless"}
	if diff := cmp.Diff(want, sids(merged)); diff != "" {
		t.Errorf("Merge (-want +got):\n%s", diff)
	}
	if merged.Version != policy.Version2008 || merged.ID != "theirs" {
		t.Errorf("Merge changed Version or Id: %s", merged)
	}
	if again := merged.Merge(ours("Stile2", "new:two"), ours("Stile1", "new:one")); !policy.Equal(again, merged) {
		t.Errorf("merging again changes %s into %s", merged, again)
	}
	without := merged.WithoutSid("Stile1", "Stile2", "")
	if diff := cmp.Diff([]string{" their:nameless", "Their their:named", " new:nameless"}, sids(without)); diff != "" {
		t.Errorf("WithoutSid (-want +got):\n%s", diff)
	}
	if st, ok := merged.FindSid("Their"); !ok || st.Actions[0].Value != "their:named" {
		t.Errorf("FindSid(Their) = %v, %v", st, ok)
	}
	if st, ok := merged.FindSid(""); ok {
		t.Errorf("FindSid of nothing = %v", st)
	}
	if theirs.String() != before {
		t.Errorf("the document itself was changed:\n%s\n%s", before, theirs)
	}
}

func TestStatementOwnershipStartsFromNothing(t *testing.T) {
	var none *policy.Document
	d := none.Merge(policy.Statement{Sid: "S", Effect: policy.Allow, Actions: policy.Texts("a:b")})
	if want := `{"Version":"2012-10-17","Statement":[{"Sid":"S","Effect":"Allow","Action":"a:b"}]}`; d.String() != want {
		t.Errorf("Merge into nil = %s, want %s", d, want)
	}
	if got := none.WithoutSid("S"); len(got.Statements) != 0 {
		t.Errorf("WithoutSid of nil = %s", got)
	}
	if _, ok := none.FindSid("S"); ok {
		t.Error("FindSid of nil found something")
	}
	single := mustParse(t, `{"Statement":{"Sid":"S","Effect":"Allow","Action":"a:b"}}`)
	if got := single.Merge(policy.Statement{Sid: "T", Effect: policy.Deny, Actions: policy.Texts("c:d")}); got.Single || len(got.Statements) != 2 {
		t.Errorf("Merge into a single statement = %s", got)
	}
}

func TestBuilders(t *testing.T) {
	d := policy.NewDocument(policy.Statement{
		Sid: "S", Effect: policy.Allow, Principal: policy.Federated("arn:aws:iam::111111111111:oidc-provider/h"),
		Actions:    policy.Texts("sts:AssumeRoleWithWebIdentity"),
		Conditions: []policy.Condition{policy.Cond("StringEquals", "h:sub", "s"), policy.Cond("StringEquals", "h:aud", "sts.amazonaws.com")},
	}, policy.Statement{
		Effect: policy.Deny, Principal: policy.Everyone(), Actions: policy.Texts("sts:TagSession"),
	}, policy.Statement{
		Effect: policy.Allow, Principal: policy.AWS("111111111111", "222222222222"), Actions: policy.Texts("sts:AssumeRole"),
	}, policy.Statement{
		Effect: policy.Allow, Principal: policy.ServicePrincipal("pods.eks.amazonaws.com"), Actions: policy.Texts("sts:AssumeRole", "sts:TagSession"),
	})
	want := `{"Version":"2012-10-17","Statement":[` +
		`{"Sid":"S","Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111111111111:oidc-provider/h"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"h:sub":"s","h:aud":"sts.amazonaws.com"}}},` +
		`{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"},` +
		`{"Effect":"Allow","Principal":{"AWS":["111111111111","222222222222"]},"Action":"sts:AssumeRole"},` +
		`{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`
	if diff := cmp.Diff(want, d.String()); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	if errs := policy.Validate(d, policy.Trust); errs != nil {
		t.Errorf("Validate = %v", errs)
	}
	if policy.Texts() != nil {
		t.Error("Texts() is not nil, which means absent")
	}
}

func TestClosest(t *testing.T) {
	known := append(policy.Operators(), "sts:AssumeRole", "Action")
	for word, want := range map[string]string{
		"SringEquals": "StringEquals", "stringequals": "StringEquals", "StirngEquals": "StringEquals", "ArnLkie": "ArnLike",
		"Actions": "Action", "sts:AsumeRole": "sts:AssumeRole", "Bool": "Bool", "Bo": "", "": "", "Principal": "",
	} {
		if got := policy.Closest(word, known); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestSplitOperator(t *testing.T) {
	for _, test := range []struct {
		in             string
		want           policy.Operator
		known, negated bool
	}{
		{"StringEquals", policy.Operator{Base: "StringEquals"}, true, false},
		{"ForAllValues:StringNotLikeIfExists", policy.Operator{Set: "ForAllValues", Base: "StringNotLike", IfExists: true}, true, true},
		{"NotIpAddress", policy.Operator{Base: "NotIpAddress"}, true, true},
		{"NullIfExists", policy.Operator{Base: "Null", IfExists: true}, false, false},
		{"ForAnyValue::StringEquals", policy.Operator{Set: "ForAnyValue", Base: ":StringEquals"}, false, false},
		{"stringEquals", policy.Operator{Base: "stringEquals"}, false, false},
	} {
		got := policy.SplitOperator(test.in)
		if got != test.want || got.Known() != test.known || got.Negated() != test.negated || got.String() != test.in {
			t.Errorf("SplitOperator(%q) = %+v known=%v negated=%v String=%q", test.in, got, got.Known(), got.Negated(), got.String())
		}
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"a?c", "abc", true}, {"a?c", "aéc", true}, {"a?c", "ac", false},
		{"a*b*c", "axxbyyc", true}, {"a*b*c", "axxbyy", false}, {"*:role/x", "arn:y:role/x", true}, {"sts:*", "sts:AssumeRole", true},
		{"ab", "abc", false}, {"**", "x", true}, {"*a", "aaab", false}, {"x.z", "xyz", false},
	} {
		if got := policy.Glob(test.pattern, test.s); got != test.want {
			t.Errorf("Glob(%q, %q) = %v, want %v", test.pattern, test.s, got, test.want)
		}
	}
}

func TestMarshalInsideOtherJSON(t *testing.T) {
	type holder struct {
		Document  *policy.Document `json:"document"`
		Statement policy.Statement `json:"statement"`
		Condition policy.Condition `json:"condition"`
		Missing   *policy.Document `json:"missing"`
	}
	d := mustParse(t, everything)
	text, err := json.Marshal(holder{Document: d, Statement: d.Statements[0], Condition: d.Statements[0].Conditions[0]})
	if err != nil {
		t.Fatal(err)
	}
	var got holder
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("Unmarshal(%s): %v", text, err)
	}
	if !policy.Equal(got.Document, d) || got.Statement.Canonical() != d.Statements[0].Canonical() || got.Missing != nil {
		t.Errorf("round trip = %+v", got)
	}
	if c := got.Condition; c.Operator != "StringEquals" || c.Key != "aws:PrincipalTag/team" || len(c.Values) != 2 {
		t.Errorf("condition = %+v", c)
	}
	for _, bad := range []string{`{"document":{"Statement":[]}}`, `{"statement":{"Effect":"Allow"}}`, `{"statement":[]}`, `{"condition":1}`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("Unmarshal(%s) = nil, want an error", bad)
		}
	}
}
