package authz_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

func TestCompileRefusesWhatHasNoMeaning(t *testing.T) {
	allow := func(change func(*policy.Statement)) *policy.Document {
		s := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")}
		change(&s)
		return &policy.Document{Version: policy.Version2012, Statements: []policy.Statement{s}}
	}
	tests := []struct {
		name  string
		layer authz.Layer
		doc   *policy.Document
		want  string
	}{
		{"no document", authz.LayerIdentity, nil, "no document"},
		{"unknown version", authz.LayerIdentity, &policy.Document{Version: "2012-10-18"}, `unknown policy version "2012-10-18"`},
		{"unknown effect", authz.LayerIdentity, allow(func(s *policy.Statement) { s.Effect = "allow" }), `unknown effect "allow"`},
		{"unknown operator", authz.LayerIdentity, allow(func(s *policy.Statement) {
			s.Conditions = []policy.Condition{policy.Cond("SringEquals", "aws:username", "x")}
		}), `unknown condition operator "SringEquals"`},
		{"unknown set operator", authz.LayerIdentity, allow(func(s *policy.Statement) {
			s.Conditions = []policy.Condition{policy.Cond("ForEachValue:StringEquals", "aws:username", "x")}
		}), `unknown condition operator "ForEachValue:StringEquals"`},
		{"null takes no suffix", authz.LayerIdentity, allow(func(s *policy.Statement) {
			s.Conditions = []policy.Condition{policy.Cond("NullIfExists", "aws:username", "true")}
		}), `unknown condition operator "NullIfExists"`},
		{"null of something else", authz.LayerIdentity, allow(func(s *policy.Statement) {
			s.Conditions = []policy.Condition{policy.Cond("Null", "aws:username", "yes")}
		}), `value "yes" of Null`},
		{"binary that is not base64", authz.LayerIdentity, allow(func(s *policy.Statement) {
			s.Conditions = []policy.Condition{policy.Cond("BinaryEquals", "k", "***")}
		}), "not base64"},
		{"principal in an identity policy", authz.LayerIdentity, allow(func(s *policy.Statement) { s.Principal = policy.Everyone() }), "has no Principal"},
		{"no principal in a resource policy", authz.LayerResource, allow(func(*policy.Statement) {}), "no Principal"},
		{"unknown principal type", authz.LayerResource, allow(func(s *policy.Statement) {
			s.Principal = &policy.Principals{Entries: []policy.PrincipalEntry{{Type: "aws", Value: policy.Text{Value: "*"}}}}
		}), `unknown principal type "aws"`},
		{"both of a pair", authz.LayerIdentity, allow(func(s *policy.Statement) { s.NotActions = policy.Texts("s3:*") }), "both Action and NotAction"},
		{"neither of a pair", authz.LayerIdentity, allow(func(s *policy.Statement) { s.Resources = nil }), "neither Resource nor NotResource"},
		{"no action", authz.LayerIdentity, allow(func(s *policy.Statement) { s.Actions = nil }), "neither Action nor NotAction"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := authz.Compile(tt.doc, authz.Source{Layer: tt.layer, Name: "p"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Compile error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestCompileErrorPointsIntoTheText(t *testing.T) {
	doc := &policy.Document{Version: policy.Version2012, Statements: []policy.Statement{
		{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")},
		{
			Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"), Pos: policy.Pos{Line: 7, Column: 3},
			Conditions: []policy.Condition{{Operator: "Sring", Key: "k", OperatorPos: policy.Pos{Line: 9, Column: 5}}},
		},
	}}
	_, err := authz.Compile(doc, authz.Source{Layer: authz.LayerSCP, Name: "P"})
	want := `compiling statement 2 of service control policy P (line 7, column 3): unknown condition operator "Sring" (line 9, column 5)`
	if err == nil || err.Error() != want {
		t.Errorf("Compile error = %v, want %s", err, want)
	}
}

func TestPolicyRemembersWhereItIsFrom(t *testing.T) {
	doc := policy.NewDocument(policy.Statement{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*")})
	src := authz.Source{Layer: authz.LayerIdentity, Account: "111111111111", Name: "role/app inline policy x"}
	p, err := authz.Compile(doc, src)
	if err != nil {
		t.Fatal(err)
	}
	if p.Source() != src || p.Document() != doc {
		t.Errorf("Source = %v, Document = %p, want %v, %p", p.Source(), p.Document(), src, doc)
	}
}

func TestDefaultFactsAreTheCallersOwn(t *testing.T) {
	facts := authz.DefaultFacts()
	facts.NoPermission["s3:getobject"] = true
	if authz.DefaultFacts().NoPermission["s3:getobject"] {
		t.Error("a change to DefaultFacts() shows in the next one")
	}
	req := &authz.Request{
		Principal: authz.Principal{Kind: authz.User, ARN: mustARN(t, "arn:aws:iam::111111111111:user/u")},
		Action:    "s3:GetObject", Resource: "arn:aws:s3:::b/x",
	}
	if got := authz.Decide(req, &authz.Policies{}, facts); got != authz.Allowed {
		t.Errorf("Decide with the changed facts = %v, want Allowed", got)
	}
	if got := authz.Decide(req, &authz.Policies{}, nil); got != authz.ImplicitDeny {
		t.Errorf("Decide with the default facts = %v, want ImplicitDeny", got)
	}
}

func TestContext(t *testing.T) {
	var c authz.Context
	c.Set("aws:PrincipalTag/Team", "a")
	clone := c.Clone()
	c.Set("AWS:principaltag/team", "b", "c")
	c.SetUnknown("sts:ExternalId")
	if values, present, known := c.Get("aws:PrincipalTag/TEAM"); len(values) != 2 || !present || !known {
		t.Errorf("Get = %q %v %v, want the later Set", values, present, known)
	}
	if _, present, known := c.Get("sts:externalid"); present || known {
		t.Errorf("Get of an unknown key: present %v, known %v", present, known)
	}
	if _, present, known := c.Get("aws:username"); present || !known {
		t.Errorf("Get of an absent key: present %v, known %v", present, known)
	}
	if values, _, _ := clone.Get("aws:PrincipalTag/Team"); len(values) != 1 || values[0] != "a" {
		t.Errorf("the clone changed: %q", values)
	}
	n := 0
	c.All(func(string, []string, bool) bool { n++; return true })
	if n != 2 {
		t.Errorf("All gives %d keys, want 2", n)
	}
}

func TestAContextCopiedIntoHasNothingOfItsOwn(t *testing.T) {
	var from, to authz.Context
	from.Set("aws:PrincipalTag/team", "a")
	to.SetUnknown("sts:ExternalId")
	to.Set("aws:PrincipalTag/team", "z")
	to.CopyFrom(&from)
	if _, present, known := to.Get("sts:ExternalId"); present || !known {
		t.Errorf("what was there before: present %v, known %v", present, known)
	}
	to.Set("aws:PrincipalTag/team", "b")
	to.SetUnknown("aws:SourceIp")
	if values, _, _ := from.Get("aws:PrincipalTag/team"); len(values) != 1 || values[0] != "a" {
		t.Errorf("the original changed: %q", values)
	}
	if _, _, known := from.Get("aws:SourceIp"); !known {
		t.Error("the original got a key of the copy")
	}
}
