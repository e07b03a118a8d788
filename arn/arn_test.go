package arn_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stile-aws/stile/arn"
)

func TestParseGivesBackWhatItWasGiven(t *testing.T) {
	for _, s := range []string{
		"arn:aws:iam::111111111111:role/ci/deploy",
		"arn:aws:iam::111111111111:root",
		"arn:aws:sts::111111111111:assumed-role/deploy/me@example.com",
		"arn:aws:s3:::bucket/key:with:colons",
		"arn:aws:dynamodb:us-east-1:111111111111:table/Orders/index/*",
		"arn:aws:secretsmanager:us-east-1:111111111111:secret:a/b-AbCdEf",
		"arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
		"arn:aws-us-gov:iam::111111111111:oidc-provider/oidc.example.com/id/1",
	} {
		a, err := arn.Parse(s)
		if err != nil {
			t.Errorf("Parse(%q): %v", s, err)
			continue
		}
		if got := a.String(); got != s {
			t.Errorf("Parse(%q).String() = %q", s, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":              "",
		"a name":               "deploy",
		"five components":      "arn:aws:iam::111111111111",
		"no partition":         "arn::iam::111111111111:role/x",
		"no service":           "arn:aws:::111111111111:role/x",
		"no resource":          "arn:aws:iam::111111111111:",
		"another first word":   "urn:aws:iam::111111111111:role/x",
		"the first word alone": "arn:",
	} {
		if a, err := arn.Parse(s); !errors.Is(err, arn.ErrMalformed) {
			t.Errorf("Parse of %s, %q = %v, %v, want ErrMalformed", name, s, a, err)
		}
	}
}

func TestPartsOfAResource(t *testing.T) {
	for _, test := range []struct{ arn, kind, name, path string }{
		{"arn:aws:iam::111111111111:role/deploy", "role", "deploy", "/"},
		{"arn:aws:iam::111111111111:role/a/b/deploy", "role", "deploy", "/a/b/"},
		{"arn:aws:iam::111111111111:oidc-provider/oidc.example.com/id/1", "oidc-provider", "oidc.example.com/id/1", "/oidc.example.com/id/"},
		{"arn:aws:iam::111111111111:root", "", "root", "/"},
		{"arn:aws:secretsmanager:us-east-1:111111111111:secret:a/b-AbCdEf", "secret", "a/b-AbCdEf", "/"},
	} {
		a, err := arn.Parse(test.arn)
		if err != nil {
			t.Fatal(err)
		}
		if a.Type() != test.kind || a.Name() != test.name {
			t.Errorf("%s: type %q, name %q, want %q, %q", test.arn, a.Type(), a.Name(), test.kind, test.name)
		}
		if a.Service == "iam" && a.Path() != test.path {
			t.Errorf("%s: path %q, want %q", test.arn, a.Path(), test.path)
		}
	}
}

func TestRoleSession(t *testing.T) {
	for text, want := range map[string][2]string{
		"arn:aws:sts::111111111111:assumed-role/deploy/me": {"deploy", "me"},
		"arn:aws:sts::111111111111:assumed-role/deploy":    {},
		"arn:aws:sts::111111111111:assumed-role//me":       {},
		"arn:aws:iam::111111111111:assumed-role/deploy/me": {},
		"arn:aws:sts::111111111111:federated-user/me":      {},
	} {
		a, err := arn.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		role, session, ok := a.RoleSession()
		if ok != (want[0] != "") || ok && (role != want[0] || session != want[1]) {
			t.Errorf("%s.RoleSession() = %q, %q, %v, want %q", text, role, session, ok, want)
		}
	}
}

func TestOnlyTwelveDigitsAreAnAccount(t *testing.T) {
	for _, s := range []string{"", "11111111111", "1111111111111", "11111111111a", "１１１１１１１１１１１１", "111111111111 "} {
		if id, err := arn.ParseAccountID(s); !errors.Is(err, arn.ErrMalformed) {
			t.Errorf("ParseAccountID(%q) = %q, %v, want ErrMalformed", s, id, err)
		}
	}
	if id, err := arn.ParseAccountID("012345678901"); err != nil || !id.Valid() {
		t.Errorf("ParseAccountID of twelve digits = %q, %v", id, err)
	}
}

func TestBuildersGiveARNsThatParse(t *testing.T) {
	for want, a := range map[string]arn.ARN{
		"arn:aws:iam::111111111111:role/stile/x":      arn.IAM("aws", "111111111111", "role", "/stile/", "x"),
		"arn:aws:iam::111111111111:user/x":            arn.IAM("aws", "111111111111", "user", "", "x"),
		"arn:aws:iam::111111111111:root":              arn.Root("aws", "111111111111"),
		"arn:aws:sts::111111111111:assumed-role/x/me": arn.SessionARN("aws", "111111111111", "x", "me"),
	} {
		if a.String() != want {
			t.Errorf("built %s, want %s", a, want)
		}
		parsed, err := arn.Parse(want)
		if err != nil || parsed != a {
			t.Errorf("Parse(%q) = %#v, %v, want what was built, %#v", want, parsed, err, a)
		}
	}
}

func TestJSONKeepsAnARN(t *testing.T) {
	for _, text := range []string{`"arn:aws:iam::111111111111:root"`, `""`} {
		var a arn.ARN
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(a)
		if err != nil || string(out) != text {
			t.Errorf("%s is written as %s, %v", text, out, err)
		}
	}
	var a arn.ARN
	if err := json.Unmarshal([]byte(`"nonsense"`), &a); err == nil {
		t.Errorf("nonsense is read as %v", a)
	}
}

// FuzzParse holds that what parses prints as it was, and that nothing panics.
func FuzzParse(f *testing.F) {
	f.Add("arn:aws:iam::111111111111:role/ci/deploy")
	f.Add("arn:aws:s3:::bucket")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := arn.Parse(s)
		if err != nil {
			return
		}
		if got := a.String(); got != s {
			t.Errorf("Parse(%q).String() = %q", s, got)
		}
		_, _, _ = a.Type(), a.Name(), a.Path()
	})
}
