package remedy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/authz/remedy"
	"github.com/stile-aws/stile/policy"
)

const (
	home   = arn.AccountID("111111111111")
	away   = arn.AccountID("222222222222")
	app    = "arn:aws:iam::111111111111:role/app"
	secret = "arn:aws:secretsmanager:us-east-1:222222222222:secret:db-AbCdEf"
	reader = "arn:aws:iam::222222222222:role/reader"
)

func compiled(t testing.TB, src authz.Source, text string) *authz.Policy {
	t.Helper()
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := authz.Compile(doc, src)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func doc(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

func inline(t testing.TB, statements string) *authz.Policy {
	t.Helper()
	return compiled(t, authz.Source{Layer: authz.LayerIdentity, Account: home, Name: "role/app inline policy p"}, doc(statements))
}

func trust(t testing.TB, statements string) *authz.Policy {
	t.Helper()
	return compiled(t, authz.Source{Layer: authz.LayerTrust, Account: away, Name: "role/reader"}, doc(statements))
}

func session(account arn.AccountID, role string) authz.Principal {
	return authz.Principal{Kind: authz.RoleSession, ARN: arn.SessionARN("aws", account, role, "s"), Entity: arn.IAM("aws", account, "role", "/", role)}
}

// proposals writes changes as lines: what to do, and the statements after it.
func proposals(changes []remedy.Change) []string {
	var out []string
	for i := range changes {
		for j := range changes[i].Edits {
			e := &changes[i].Edits[j]
			line := e.String()
			for k := range e.After {
				line += " -> " + e.After[k].String()
			}
			if j > 0 {
				line = "+ " + line
			}
			out = append(out, line)
		}
		for _, a := range changes[i].Affects {
			out = append(out, "! "+a)
		}
	}
	return out
}

func TestAllow(t *testing.T) {
	const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	for _, test := range []struct {
		name             string
		action, resource string
		principal        authz.Principal
		options          remedy.Options
		pols             func(t *testing.T) *authz.Policies
		context          map[string]string
		want             []string
	}{
		{
			name: "a statement of its own in the same account", action: "s3:GetObject", resource: "arn:aws:s3:::b/x", principal: session(home, "app"),
			options: remedy.Options{Carrier: func(string) string { return "" }},
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::other/*"}`)}}
			},
			want: []string{`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}`},
		},
		{
			name: "another action in the statement about that object alone, or a statement of its own", action: "s3:PutObject", resource: "arn:aws:s3:::b/x", principal: session(home, "app"),
			options: remedy.Options{Carrier: func(string) string { return "" }},
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}`)}}
			},
			want: []string{
				`alter statement 1 of identity-based policy role/app inline policy p (111111111111) -> {"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/x"}`,
				`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/x"}`,
			},
		},
		{
			name: "no statement is widened that covers more", action: "s3:PutObject", resource: "arn:aws:s3:::b/x", principal: session(home, "app"),
			options: remedy.Options{Carrier: func(string) string { return "" }},
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::b/x","arn:aws:s3:::b/y"]},{"Effect":"Allow","Action":["s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::b/y"}`)}}
			},
			want: []string{`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/x"}`},
		},
		{
			name: "both sides across accounts", action: "secretsmanager:GetSecretValue", resource: secret, principal: session(home, "app"),
			pols: func(*testing.T) *authz.Policies { return &authz.Policies{} },
			want: []string{
				`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"` + secret + `"}`,
				`+ make a new resource-based policy of ` + secret + ` (222222222222) -> {"Effect":"Allow","Principal":{"AWS":"` + app + `"},"Action":"secretsmanager:GetSecretValue","Resource":"` + secret + `"}`,
			},
		},
		{
			name: "an object is under its bucket's policy", action: "s3:GetObject", resource: "arn:aws:s3:::b/x", principal: authz.Principal{Kind: authz.Service, ServiceName: "cloudfront.amazonaws.com"},
			options: remedy.Options{Carrier: func(string) string { return "arn:aws:s3:::b" }, Pin: []string{"aws:SourceVpc", "kms:ViaService"}},
			context: map[string]string{"aws:SourceArn": "arn:aws:cloudfront::111111111111:distribution/D", "aws:SourceVpc": "vpc-1"},
			pols:    func(*testing.T) *authz.Policies { return &authz.Policies{} },
			want:    []string{`make a new resource-based policy of arn:aws:s3:::b -> {"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x","Condition":{"StringEquals":{"aws:SourceArn":"arn:aws:cloudfront::111111111111:distribution/D","aws:SourceVpc":"vpc-1"}}}`},
		},
		{
			name: "a trust policy goes on asking for the external id", action: "sts:AssumeRole", resource: reader, principal: session(home, "app"),
			context: map[string]string{"sts:ExternalId": "abc"},
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Identity: []*authz.Policy{inline(t, allowAll)}, Resource: trust(t, `{"Sid":"Partner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"abc"}}}`)}
			},
			want: []string{
				`alter statement 1 of role trust policy role/reader (222222222222) -> {"Sid":"Partner","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::333333333333:root","` + app + `"]},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"abc"}}}`,
				`add a statement to role trust policy role/reader (222222222222) -> {"Effect":"Allow","Principal":{"AWS":"` + app + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"abc"}}}`,
			},
		},
		{
			name: "a condition that does not hold is not loosened", action: "sts:AssumeRole", resource: reader, principal: session(home, "app"),
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Identity: []*authz.Policy{inline(t, allowAll)}, Resource: trust(t, `{"Effect":"Allow","Principal":{"AWS":"`+app+`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"abc"}}}`)}
			},
			want: []string{`add a statement to role trust policy role/reader (222222222222) -> {"Effect":"Allow","Principal":{"AWS":"` + app + `"},"Action":"sts:AssumeRole"}`},
		},
		{
			name: "a session tag where the session itself is allowed", action: "sts:TagSession", resource: reader, principal: session(home, "app"),
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Identity: []*authz.Policy{inline(t, allowAll)}, Resource: trust(t, `{"Effect":"Allow","Principal":{"AWS":"`+app+`"},"Action":"sts:AssumeRole"}`)}
			},
			want: []string{
				`alter statement 1 of role trust policy role/reader (222222222222) -> {"Effect":"Allow","Principal":{"AWS":"` + app + `"},"Action":["sts:AssumeRole","sts:TagSession"]}`,
				`add a statement to role trust policy role/reader (222222222222) -> {"Effect":"Allow","Principal":{"AWS":"` + app + `"},"Action":"sts:TagSession"}`,
			},
		},
		{
			name: "a boundary and an SCP, for this role alone", action: "dynamodb:GetItem", resource: "arn:aws:dynamodb:us-east-1:111111111111:table/T", principal: session(home, "app"),
			options: remedy.Options{Carrier: func(string) string { return "" }},
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{
					Identity: []*authz.Policy{inline(t, allowAll)},
					Boundary: compiled(t, authz.Source{Layer: authz.LayerBoundary, Account: home, Name: "limit"}, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)),
					SCPs: []authz.Level{
						{Node: "r-1", Policies: []*authz.Policy{everything(authz.LayerSCP)}},
						{Node: "ou-1", Policies: []*authz.Policy{compiled(t, authz.Source{Layer: authz.LayerSCP, Name: "OnlyS3"}, doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`))}},
						{Node: "111111111111"},
					},
				}
			},
			want: []string{
				`add a statement to permissions boundary limit (111111111111) -> {"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:us-east-1:111111111111:table/T","Condition":{"ArnEquals":{"aws:PrincipalArn":"` + app + `"}}}`,
				`+ add a statement to service control policy OnlyS3 at ou-1 -> {"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:us-east-1:111111111111:table/T","Condition":{"ArnEquals":{"aws:PrincipalArn":"` + app + `"}}}`,
				`+ make a new service control policy at 111111111111 -> {"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:us-east-1:111111111111:table/T","Condition":{"ArnEquals":{"aws:PrincipalArn":"` + app + `"}}}`,
			},
		},
		{
			name: "a service account is let in by its subject and audience", action: "sts:AssumeRoleWithWebIdentity", resource: reader,
			principal: authz.Principal{Kind: authz.WebIdentity, Provider: arn.OIDCProvider("aws", away, "ci.example")},
			context:   map[string]string{"ci.example:sub": "system:serviceaccount:n:a", "ci.example:aud": "sts.amazonaws.com"},
			pols: func(t *testing.T) *authz.Policies {
				return &authz.Policies{Resource: trust(t, `{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}`)}
			},
			want: []string{`add a statement to role trust policy role/reader (222222222222) -> {"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/ci.example"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"ci.example:aud":"sts.amazonaws.com","ci.example:sub":"system:serviceaccount:n:a"}}}`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := &authz.Request{Principal: test.principal, Action: test.action, Resource: test.resource}
			for _, k := range []string{"sts:ExternalId", "ci.example:aud", "ci.example:sub", "aws:SourceArn", "aws:SourceVpc"} {
				if v, ok := test.context[k]; ok {
					req.Context.Set(k, v)
				}
			}
			changes, err := test.options.Allow(req, test.pols(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, proposals(changes)); diff != "" {
				t.Errorf("proposals (-want +got):\n%s", diff)
			}
			for i := range changes {
				for _, e := range changes[i].Edits {
					if e.Result == nil || !strings.Contains(e.Result.String(), e.After[0].Actions[0].Value) {
						t.Errorf("%s: the document after it is %v", &e, e.Result)
					}
				}
			}
		})
	}
}

func TestAllowRefuses(t *testing.T) {
	const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	scp := func(t *testing.T, l authz.Layer, principal string) *authz.Policy {
		return compiled(t, authz.Source{Layer: l, Name: "Guard"}, doc(`{"Sid":"No","Effect":"Deny",`+principal+`"Action":"*","Resource":"*"}`))
	}
	linked := session(home, "l")
	linked.ServiceLinked = true
	for _, test := range []struct {
		name             string
		action, resource string
		principal        authz.Principal
		pols             func(t *testing.T) *authz.Policies
		want             string
		sid              string
	}{
		{"an explicit deny of the caller's own", "s3:GetObject", "arn:aws:s3:::b/x", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{Identity: []*authz.Policy{inline(t, allowAll+`,{"Sid":"NotThis","Effect":"Deny","Action":"s3:*","Resource":"*"}`)}}
		}, "statement 2 (NotThis) of identity-based policy role/app inline policy p (111111111111) denies it, and must change first", "NotThis"},
		{"an SCP", "s3:GetObject", "arn:aws:s3:::b/x", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{SCPs: []authz.Level{{Node: "r-1", Policies: []*authz.Policy{everything(authz.LayerSCP), scp(t, authz.LayerSCP, "")}}}}
		}, "statement 1 (No) of service control policy Guard at r-1 denies it", "No"},
		{"an RCP", "s3:GetObject", "arn:aws:s3:::b/x", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{RCPs: []authz.Level{{Node: "ou-1", Policies: []*authz.Policy{scp(t, authz.LayerRCP, `"Principal":"*",`)}}}}
		}, "statement 1 (No) of resource control policy Guard at ou-1 denies it", "No"},
		{"a KMS operation across accounts", "kms:EnableKey", "arn:aws:kms:us-east-1:222222222222:key/k", session(home, "app"), func(*testing.T) *authz.Policies { return &authz.Policies{} },
			"the operation does not work on resources of other accounts", ""},
		{"the root user assumes no role", "sts:AssumeRole", reader, authz.Principal{Kind: authz.Root, ARN: arn.Root("aws", away)}, func(*testing.T) *authz.Policies { return &authz.Policies{} },
			"the root user cannot call this operation", ""},
		{"a federated user calls no STS", "sts:AssumeRole", reader, callers[4], func(*testing.T) *authz.Policies { return &authz.Policies{} },
			"a federated user cannot call STS operations", ""},
		{"a service-linked role has what its service gives it", "dynamodb:GetItem", "*", linked, func(*testing.T) *authz.Policies { return &authz.Policies{} },
			"the policies of a service-linked role are its service's to change", ""},
		{"a service-linked role trusts whom its service says", "sts:AssumeRole", "arn:aws:iam::222222222222:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{Identity: []*authz.Policy{inline(t, allowAll)}, Resource: trust(t, `{"Effect":"Allow","Principal":{"Service":"backup.amazonaws.com"},"Action":"sts:AssumeRole"}`)}
		}, "the trust policy of a service-linked role is its service's and cannot be changed", ""},
		{"a token without a subject", "sts:AssumeRoleWithWebIdentity", reader, callers[7], func(t *testing.T) *authz.Policies {
			return &authz.Policies{Resource: trust(t, `{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:AssumeRole"}`)}
		}, "would admit everybody of arn:aws:iam::111111111111:oidc-provider/ci.example", ""},
		{"what is not known", "s3:GetObject", "arn:aws:s3:::b/x", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{Identity: []*authz.Policy{inline(t, allowAll)}, Unread: []authz.Unread{{Source: authz.Source{Layer: authz.LayerBoundary, Name: "limit"}, Reason: "AccessDenied"}}}
		}, "it depends on what is not known: permissions boundary limit (AccessDenied)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := &authz.Request{Principal: test.principal, Action: test.action, Resource: test.resource}
			changes, err := remedy.Allow(req, test.pols(t), nil)
			refusal, ok := errors.AsType[*remedy.Refusal](err)
			if !ok {
				t.Fatalf("Allow = %q, %v; want a refusal", proposals(changes), err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("Allow: %v\nwant %q in it", err, test.want)
			}
			if test.sid != "" && (refusal.Reasons[0].Document == nil || refusal.Reasons[0].Sid != test.sid) {
				t.Errorf("the reason names %+v, want the statement %s", refusal.Reasons[0], test.sid)
			}
		})
	}
}

func TestNobodyChangesThePolicyOfAKeyThatAWSManages(t *testing.T) {
	key := compiled(t, authz.Source{Layer: authz.LayerKey, Account: home, Name: "key alias/aws/s3"}, doc(`{"Effect":"Allow","Principal":{"AWS":"`+app+`"},"Action":"kms:Decrypt","Resource":"*"}`))
	req := &authz.Request{Principal: session(home, "app"), Action: "kms:Encrypt", Resource: "arn:aws:kms:us-east-1:111111111111:key/k", ResourceAWSManaged: true}
	if changes, err := remedy.Allow(req, &authz.Policies{Resource: key}, nil); err == nil || !strings.Contains(err.Error(), "that AWS manages cannot be changed") {
		t.Errorf("Allow = %q, %v; want a refusal", proposals(changes), err)
	}
	req.Action = "kms:Decrypt"
	changes, err := remedy.Close(req, &authz.Policies{Resource: key}, nil)
	want := []string{`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Deny","Action":"kms:Decrypt","Resource":"arn:aws:kms:us-east-1:111111111111:key/k"}`}
	if diff := cmp.Diff(want, proposals(changes)); diff != "" || err != nil {
		t.Errorf("Close: %v (-want +got):\n%s", err, diff)
	}
}

func TestNobodyTakesFromAServiceLinkedRole(t *testing.T) {
	linked := session(home, "app")
	linked.ServiceLinked = true
	req := &authz.Request{Principal: linked, Action: "dynamodb:ListTables", Resource: "*"}
	changes, err := remedy.Close(req, &authz.Policies{Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"dynamodb:*","Resource":"*"}`)}}, nil)
	if err == nil || !strings.Contains(err.Error(), "the policies of a service-linked role are its service's to change") {
		t.Errorf("Close = %q, %v; want a refusal", proposals(changes), err)
	}
}

func TestClose(t *testing.T) {
	for _, test := range []struct {
		name             string
		action, resource string
		principal        authz.Principal
		pols             func(t *testing.T) *authz.Policies
		want             []string
	}{
		{"the statement that says just this", "s3:GetObject", "arn:aws:s3:::b/x", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"},{"Effect":"Allow","Action":"sqs:*","Resource":"*"}`)}}
		}, []string{
			`remove statement 1 of identity-based policy role/app inline policy p (111111111111)`,
			`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}`,
			`make a new resource-based policy of arn:aws:s3:::b/x (111111111111) -> {"Effect":"Deny","Principal":{"AWS":"` + app + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}`,
		}},
		{"one of several actions on one of several resources", "s3:GetObject", "arn:aws:s3:::b/x", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{Identity: []*authz.Policy{inline(t, `{"Sid":"S","Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::b/x","arn:aws:s3:::b/y"]}`)}}
		}, []string{
			`alter statement 1 of identity-based policy role/app inline policy p (111111111111) -> {"Sid":"S","Effect":"Allow","Action":"s3:PutObject","Resource":["arn:aws:s3:::b/x","arn:aws:s3:::b/y"]} -> {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/y"}`,
			`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}`,
			`make a new resource-based policy of arn:aws:s3:::b/x (111111111111) -> {"Effect":"Deny","Principal":{"AWS":"` + app + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/x"}`,
		}},
		{"a wildcard takes more with it, so denying comes first", "sts:AssumeRole", reader, session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{
				Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"sts:*","Resource":"*"}`)},
				Resource: trust(t, `{"Effect":"Allow","Principal":{"AWS":["111111111111","arn:aws:iam::333333333333:root"]},"Action":"sts:AssumeRole"}`),
			}
		}, []string{
			`alter statement 1 of role trust policy role/reader (222222222222) -> {"Effect":"Allow","Principal":{"AWS":["111111111111","arn:aws:iam::333333333333:root"]},"Action":"sts:AssumeRole","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"` + app + `"}}}`,
			`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Deny","Action":"sts:AssumeRole","Resource":"` + reader + `"}`,
			`add a statement to role trust policy role/reader (222222222222) -> {"Effect":"Deny","Principal":{"AWS":"` + app + `"},"Action":"sts:AssumeRole"}`,
			`remove statement 1 of identity-based policy role/app inline policy p (111111111111)`,
			`! arn:aws:iam::111111111111:role/app loses all of sts:* on *`,
		}},
		{"in one account, both that grant", "kms:Decrypt", "arn:aws:kms:us-east-1:111111111111:key/k", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{
				Identity: []*authz.Policy{inline(t, `{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:us-east-1:111111111111:key/k"}`)},
				Resource: compiled(t, authz.Source{Layer: authz.LayerKey, Account: home, Name: "key k"}, doc(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}`)),
				Grants:   []authz.Grant{{ID: "g", Grantee: app, Operations: []string{"Decrypt"}}},
			}
		}, []string{
			`remove statement 1 of identity-based policy role/app inline policy p (111111111111)`,
			`+ revoke KMS grant g (111111111111)`,
			`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Deny","Action":"kms:Decrypt","Resource":"arn:aws:kms:us-east-1:111111111111:key/k"}`,
			`add a statement to KMS key policy key k (111111111111) -> {"Effect":"Deny","Principal":{"AWS":"` + app + `"},"Action":"kms:Decrypt","Resource":"*"}`,
			`alter statement 1 of KMS key policy key k (111111111111) -> {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"` + app + `"}}}`,
			`+ revoke KMS grant g (111111111111)`,
			`! arn:aws:iam::111111111111:role/app loses all of kms:* on *`,
		}},
		{"a policy that AWS manages", "s3:ListAllMyBuckets", "*", session(home, "app"), func(t *testing.T) *authz.Policies {
			return &authz.Policies{Identity: []*authz.Policy{compiled(t, authz.Source{Layer: authz.LayerIdentity, Account: home, Name: "ReadOnlyAccess", ARN: "arn:aws:iam::aws:policy/ReadOnlyAccess"}, doc(`{"Effect":"Allow","Action":"s3:List*","Resource":"*"}`))}}
		}, []string{
			`make a new identity-based policy in role/app (111111111111) -> {"Effect":"Deny","Action":"s3:ListAllMyBuckets","Resource":"*"}`,
			`detach identity-based policy ReadOnlyAccess (111111111111)`,
			`! everything else that identity-based policy ReadOnlyAccess (111111111111) allows goes with it`,
		}},
		{"the root user of an account of an organization", "s3:ListAllMyBuckets", "*", authz.Principal{Kind: authz.Root, ARN: arn.Root("aws", home)}, func(*testing.T) *authz.Policies {
			return &authz.Policies{SCPs: []authz.Level{{Node: "r-1", Policies: []*authz.Policy{everything(authz.LayerSCP)}}}}
		}, []string{
			`make a new service control policy at r-1 -> {"Effect":"Deny","Action":"s3:ListAllMyBuckets","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111111111111:root"}}}`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := &authz.Request{Principal: test.principal, Action: test.action, Resource: test.resource}
			if strings.HasPrefix(test.resource, "arn:aws:s3:::") {
				req.ResourceAccount = home
			}
			changes, err := remedy.Close(req, test.pols(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, proposals(changes)); diff != "" {
				t.Errorf("proposals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCloseRefusesWhatNobodyCanDeny(t *testing.T) {
	req := &authz.Request{Principal: session(home, "app"), Action: "sts:GetCallerIdentity", Resource: "*"}
	_, err := remedy.Close(req, &authz.Policies{}, nil)
	if _, ok := errors.AsType[*remedy.Refusal](err); !ok || !strings.Contains(err.Error(), "no policy can deny it") {
		t.Errorf("Close of what needs no permission: %v", err)
	}
}

func TestChangesAreJSON(t *testing.T) {
	req := &authz.Request{Principal: session(home, "app"), Action: "secretsmanager:GetSecretValue", Resource: secret}
	changes, err := remedy.Allow(req, &authz.Policies{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(changes)
	if err != nil {
		t.Fatal(err)
	}
	var back []remedy.Change
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if again, _ := json.Marshal(back); string(again) != string(text) {
		t.Errorf("JSON is not stable:\n%s\n%s", text, again)
	}
	for _, want := range []string{`"kind":"add"`, `"layer":"resource"`, `"new":true`, `"after":[{"Effect":"Allow"`, `"outcome":"Allowed"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("JSON lacks %s: %s", want, text)
		}
	}
}

func FuzzRemedies(f *testing.F) {
	f.Add(doc(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`), doc(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`), "s3:GetObject", "arn:aws:s3:::b/x", uint8(1))
	f.Add(doc(`{"Effect":"Deny","NotAction":"s3:*","NotResource":"*"}`), doc(`{"Effect":"Allow","NotPrincipal":{"AWS":"111111111111"},"Action":"*","Resource":"*"}`), "sts:AssumeRole", role, uint8(7))
	f.Fuzz(func(t *testing.T, identity, resource, action, on string, who uint8) {
		pols := &authz.Policies{}
		prepare := func(l authz.Layer, text string) *authz.Policy {
			doc, err := policy.Parse([]byte(text))
			if err != nil {
				return nil
			}
			p, _ := authz.Compile(doc, authz.Source{Layer: l, Account: home, Name: "x"})
			return p
		}
		if p := prepare(authz.LayerIdentity, identity); p != nil {
			pols.Identity = []*authz.Policy{p}
		}
		pols.Resource = prepare(authz.LayerResource, resource)
		req := &authz.Request{Principal: callers[int(who)%len(callers)], Action: action, Resource: on}
		if changes, err := remedy.Allow(req, pols, nil); err == nil {
			for i := range changes {
				if o := authz.Decide(req, changes[i].Policies(), nil); o != authz.Allowed {
					t.Errorf("after %s: %v", &changes[i], o)
				}
			}
		}
		if changes, err := remedy.Close(req, pols, nil); err == nil {
			for i := range changes {
				if o := authz.Decide(req, changes[i].Policies(), nil); o == authz.Allowed || o == authz.Unknown {
					t.Errorf("after %s: %v", &changes[i], o)
				}
			}
		}
	})
}
