package policy

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
)

func TestDoubts(t *testing.T) {
	d := newDoubter()
	for name, test := range map[string]struct{ facts, want string }{
		"nothing":                     {`"context": {"aws:SourceIp": "10.0.0.1", "aws:PrincipalTag/a b": "c", "aws:SecureTransport": true, "aws:MultiFactorAuthAge": 30}`, ""},
		"a claim":                     {`"context": {"token.actions.githubusercontent.com:sub": "repo:o/r:ref:refs/heads/main"}`, ""},
		"a value nobody knows":        {`"unknown": ["aws:SourceIp"]`, ""},
		"any resource":                {`"resource": "*"`, ""},
		"an object with a star":       {`"resource": "arn:aws:s3:::b/*"`, ""},
		"a service of no catalog":     {`"action": "frobnicator:Do", "resource": "arn:aws:frobnicator:::x"`, ""},
		"an action misspelt":          {`"action": "s3:GetObjct"`, "there is no action s3:GetObjct; did you mean s3:GetObject?"},
		"an action nobody has":        {`"action": "s3:Frobnicate"`, "service s3 has no action Frobnicate"},
		"an action without a service": {`"action": "GetObject"`, `action "GetObject" is not one action`},
		"a pattern":                   {`"action": "s3:Get*"`, `action "s3:Get*" is not one action`},
		"a bucket for its objects":    {`"resource": "arn:aws:s3:::b"`, "requests of s3:GetObject are not on arn:aws:s3:::b but on "},
		"no ARN":                      {`"resource": "b/k"`, `resource "b/k" is neither an ARN nor *`},
		"another service's":           {`"action": "ec2:CreateTags", "resource": "arn:aws:s3:::b"`, "other kinds of resources"},
		"a caller with a wildcard":    {`"principal": "arn:aws:iam::111111111111:role/*"`, "has a wildcard"},
		"a caller of no account":      {`"principal": "arn:aws:iam::11111111111:user/u"`, "is of no account: an id has 12 digits"},
		"a key misspelt":              {`"context": {"aws:SecureTransportt": "true"}`, "context key aws:SecureTransportt is not known"},
		"a key without a prefix":      {`"context": {"SourceIp": "10.0.0.1"}`, `context key "SourceIp" is none`},
		"a key with a space":          {`"context": {"aws:SourceIp ": "10.0.0.1"}`, `context key "aws:SourceIp " is none`},
		"a network for an address":    {`"context": {"aws:SourceIp": ["10.0.0.1", "10.0.0.0/8"]}`, `cannot have the value "10.0.0.0/8": its values are of type IPAddress`},
		"yes for true":                {`"context": {"aws:SecureTransport": "yes"}`, `cannot have the value "yes"`},
		"a number in words":           {`"context": {"s3:max-keys": "ten"}`, `cannot have the value "ten"`},
	} {
		facts := test.facts
		for field, value := range map[string]string{"principal": "arn:aws:iam::111111111111:role/r", "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"} {
			if !strings.Contains(facts, `"`+field+`": `) {
				facts += `, "` + field + `": "` + value + `"`
			}
		}
		cases, err := corpus.Load("x.json", []byte("[{"+`"id": "x", `+facts+"}]"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		req, _, err := cases[0].Build(authz.Compile)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for range 2 { // asked, and remembered
			got := strings.Join(d.of(req), "; ")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) || strings.Count(got, "; ") > strings.Count(test.want, "; ") {
				t.Errorf("%s: %q, want %q", name, got, test.want)
			}
		}
	}
}
