package effective_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

// may gives reader one policy that allows everything under a condition.
func may(condition string) func(*inventory.Inventory) {
	return func(inv *inventory.Inventory) {
		inv.Accounts[away].Roles["reader"].Inline["p"] = strings.Replace(allow("*"), `"Resource"`, `"Condition":{`+condition+`},"Resource"`, 1)
	}
}

func both(changes ...func(*inventory.Inventory)) func(*inventory.Inventory) {
	return func(inv *inventory.Inventory) {
		for _, change := range changes {
			change(inv)
		}
	}
}

func TestAskKnowsWhichKeysARequestCarries(t *testing.T) {
	const queue, runner = "arn:aws:sqs:us-east-1:222222222222:jobs", "arn:aws:iam::222222222222:role/runner"
	federated := func(inv *inventory.Inventory) {
		inv.Accounts[away].Roles["reader"].Trust = statement("Allow", `{"Federated":"cognito-identity.amazonaws.com"}`, "sts:AssumeRoleWithWebIdentity")
	}
	tags := func(of map[string]string) func(*inventory.Inventory) {
		return func(inv *inventory.Inventory) { inv.Accounts[away].Secrets[secret].Tags = of }
	}
	for _, test := range []struct {
		name, action, resource string
		change                 func(*inventory.Inventory)
		want                   authz.Outcome
	}{
		{"a key of another service is not there", "sqs:SendMessage", queue, may(`"Null":{"kms:CallerAccount":"true","sts:ExternalId":"true","dynamodb:LeadingKeys":"true"}`), authz.Allowed},
		{"a key of the service may be", "dynamodb:GetItem", table, may(`"StringEquals":{"dynamodb:Select":"COUNT"}`), authz.Unknown},
		{"reading passes no tags", "kms:ListAliases", "*", may(`"Null":{"aws:TagKeys":"true","aws:RequestTag/team":"true"}`), authz.Allowed},
		{"writing may", "secretsmanager:TagResource", secret, may(`"Null":{"aws:TagKeys":"true"}`), authz.Unknown},
		{"an account in no organization has no organization's id", "sqs:SendMessage", queue, both(may(`"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Absent})
		}), authz.ImplicitDeny},
		{"one that was not asked may", "sqs:SendMessage", queue, both(may(`"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{})
		}), authz.Unknown},
		{"a resource of an account in no organization", "sqs:SendMessage", queue, both(may(`"StringNotEqualsIfExists":{"aws:ResourceOrgID":"o-a1b2c3d4e5"}`), func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Absent})
		}), authz.Allowed},
		{"the organization that an account says it is in", "sqs:SendMessage", queue, both(may(`"StringEquals":{"aws:PrincipalOrgID":"o-other"},"StringNotEquals":{"aws:ResourceOrgID":"o-a1b2c3d4e5"}`), func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Exists, Organization: "o-other", Management: away})
		}), authz.Allowed},
		{"the organization that an account does not say it is in", "sqs:SendMessage", queue, both(may(`"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`), func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Exists, Organization: "o-other", Management: away})
		}), authz.ImplicitDeny},
		{"IAM has one Region", "iam:GetRole", runner, may(`"StringEquals":{"aws:RequestedRegion":"us-east-1"}`), authz.Allowed},
		{"a list of buckets comes from anywhere", "s3:ListAllMyBuckets", "*", may(`"StringEquals":{"aws:RequestedRegion":"us-east-1"}`), authz.Unknown},
		{"a secret's tag", "secretsmanager:DescribeSecret", secret, both(may(`"StringEquals":{"aws:ResourceTag/team":"pay","secretsmanager:ResourceTag/Team":"pay"}`), tags(map[string]string{"team": "pay"})), authz.Allowed},
		{"a tag the secret does not have", "secretsmanager:DescribeSecret", secret, both(may(`"StringEquals":{"aws:ResourceTag/env":"prod"}`), tags(map[string]string{"team": "pay"})), authz.ImplicitDeny},
		{"a role's tag", "sts:AssumeRole", runner, both(may(`"StringEquals":{"iam:ResourceTag/team":"pay"}`), func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["runner"].Tags = map[string]string{"team": "pay"}
			inv.Accounts[away].Roles["runner"].Trust = statement("Allow", `{"AWS":"222222222222"}`, "sts:AssumeRole")
		}), authz.Allowed},
		{"tags of a queue that were not read", "sqs:SendMessage", queue, may(`"StringEquals":{"aws:ResourceTag/team":"pay"}`), authz.Unknown},
		{"tags of a queue", "sqs:SendMessage", queue, both(may(`"StringEquals":{"aws:ResourceTag/team":"pay"}`), func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources[queue].Tags = map[string]string{"team": "pay"}
		}), authz.Allowed},
		{"tags of buckets count where that is switched on", "s3:GetObject", "arn:aws:s3:::reports/a", both(may(`"StringEquals":{"aws:ResourceTag/team":"pay"}`), func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources["arn:aws:s3:::reports"].Tags = map[string]string{"team": "pay"}
		}), authz.Unknown},
		{"a session keeps who it was made for", "sqs:SendMessage", queue, both(federated, may(`"StringEquals":{"cognito-identity.amazonaws.com:sub":"us-east-1:1"}`)), authz.Unknown},
		{"but not every claim", "sqs:SendMessage", queue, both(federated, may(`"StringEquals":{"gitlab.example.com:ref":"main"}`)), authz.ImplicitDeny},
		{"SAML's subject, too", "sqs:SendMessage", queue, may(`"StringEquals":{"SAML:sub":"x"}`), authz.Unknown},
		{"but not its audience", "sqs:SendMessage", queue, may(`"StringEquals":{"SAML:aud":"x"}`), authz.ImplicitDeny},
		{"a secret by the ARN without its end", "secretsmanager:DescribeSecret", strings.TrimSuffix(secret, "-AbCdEf"), func(inv *inventory.Inventory) {
			inv.Accounts[away].Secrets[secret].Policy = statement("Deny", `"*"`, "secretsmanager:*")
			inv.Accounts[away].Listed["us-east-1 secrets"] = inventory.Exists
		}, authz.ExplicitDeny},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := encrypted()
			test.change(inv)
			if d := ask(t, inv, reader, test.action, test.resource); d.Outcome != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
		})
	}
}

func TestTagsOfSessions(t *testing.T) {
	tagged := func(inv *inventory.Inventory) {
		inv.Accounts[home].Roles["app"].Trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}}`
	}
	untagged := func(inv *inventory.Inventory) {
		inv.Accounts[home].Roles["app"].Trust = statement("Allow", `{"Service":"ec2.amazonaws.com"}`, "sts:AssumeRole")
	}
	for _, test := range []struct {
		name   string
		change func(*inventory.Inventory)
		any    bool
		want   authz.Outcome
	}{
		{"the role's own where the question says there are no others", tagged, false, authz.Allowed},
		{"a session's stand in their place", tagged, true, authz.Unknown},
		{"nobody may pass any", untagged, true, authz.Allowed},
		{"a trust policy that is not known", func(inv *inventory.Inventory) {
			inv.Accounts[home].Roles["app"].Trust = inventory.Unknown("lost")
		}, true, authz.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := world()
			test.change(inv)
			v := effective.New(inv)
			p, _ := v.Principal(app)
			q := effective.Question{Principal: p, Action: "sts:AssumeRole", Resource: reader, AnyTags: test.any}
			if d := v.Ask(q); d.Outcome != test.want || v.Outcome(q) != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
			q.Context.Set("aws:PrincipalTag/team", "pay")
			if d := v.Ask(q); d.Outcome != authz.Allowed {
				t.Errorf("with the tag told, Ask = %v, want Allowed:\n%s", d.Outcome, d.Text())
			}
		})
	}
}

func TestTheTagsOfARoleThatWasNotReadAreNotKnown(t *testing.T) {
	inv := full()
	inv.Accounts[away].Resources["arn:aws:sqs:us-east-1:222222222222:jobs"].Policy = strings.Replace(statement("Deny", `"*"`, "sqs:*"), `"Resource"`, `"Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"pay"}},"Resource"`, 1)
	d := ask(t, inv, "arn:aws:iam::222222222222:role/other", "sqs:SendMessage", "arn:aws:sqs:us-east-1:222222222222:jobs")
	if d.Outcome != authz.Unknown {
		t.Errorf("Ask = %v, want Unknown:\n%s", d.Outcome, d.Text())
	}
}

// Of a session of a role that was not read nobody knows the role's path.
func TestSessionsOfRolesThatWereNotRead(t *testing.T) {
	const queue = "arn:aws:sqs:us-east-1:222222222222:jobs"
	for _, test := range []struct {
		name, role, policy string
		want               authz.Outcome
	}{
		{"a policy names a role of that name", "other", statement("Deny", `{"AWS":"arn:aws:iam::222222222222:role/x/other"}`, "sqs:*"), authz.Unknown},
		{"a policy names a role of another name", "other", strings.Replace(statement("Deny", `{"AWS":"arn:aws:iam::222222222222:role/x/else"}`, "sqs:*"), `{"AWS"`, `{"AWS"`, 1), authz.Unknown}, // its own policies are not known
		{"a policy looks at the role's ARN", "other", strings.Replace(statement("Deny", `"*"`, "sqs:*"), `"Resource"`, `"Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/x/*"}},"Resource"`, 1), authz.Unknown},
		{"a policy denies everybody", "other", statement("Deny", `"*"`, "sqs:*"), authz.ExplicitDeny},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := full()
			inv.Accounts[away].Resources[queue].Policy = test.policy
			d := ask(t, inv, "arn:aws:sts::222222222222:assumed-role/"+test.role+"/s", "sqs:SendMessage", queue)
			if d.Outcome != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
		})
	}
	inv := full()
	inv.Organization.Root.Children[1].SCPs = nil // which denies everything, but not to service-linked roles
	if d := ask(t, inv, "arn:aws:sts::222222222222:assumed-role/AWSServiceRoleForBackup/s", "sqs:SendMessage", queue); d.Outcome != authz.Unknown {
		t.Errorf("a session that may be of a service-linked role: Ask = %v, want Unknown:\n%s", d.Outcome, d.Text())
	}
}

func TestGrantsToSessionsAreForThoseSessions(t *testing.T) {
	inv := full()
	inv.Accounts[away].Roles["reader"].Inline["p"] = allow("s3:*")
	inv.Accounts[away].Keys[key].Grants = []inventory.Grant{{ID: "g", Grantee: "arn:aws:sts::222222222222:assumed-role/reader/run-1", Operations: []string{"Decrypt"}, Retiring: app}}
	for who, want := range map[string]authz.Outcome{
		reader: authz.Unknown, // whose session may be called so
		"arn:aws:sts::222222222222:assumed-role/reader/run-1": authz.Allowed,
		"arn:aws:sts::222222222222:assumed-role/reader/run-2": authz.ImplicitDeny,
	} {
		if d := ask(t, inv, who, "kms:Decrypt", key); d.Outcome != want {
			t.Errorf("%s: Ask = %v, want %v:\n%s", who, d.Outcome, want, d.Text())
		}
	}
	if d := ask(t, inv, app, "kms:RetireGrant", key); d.Outcome != authz.Allowed {
		t.Errorf("who may retire the grant: Ask = %v, want Allowed:\n%s", d.Outcome, d.Text())
	}
}

func TestWhatAServiceAsksOfAKey(t *testing.T) {
	scp := func(action string) func(*inventory.Inventory) {
		return func(inv *inventory.Inventory) {
			inv.Organization.Policies["p-2"] = &inventory.OrgPolicy{ID: "p-2", Name: "Limits", Document: strings.Replace(allow(action), "Allow", "Deny", 1)}
			inv.Organization.Root.SCPs = append(inv.Organization.Root.SCPs, "p-2")
		}
	}
	managed := func(inv *inventory.Inventory) {
		inv.Accounts[away].Secrets[secret] = &inventory.Secret{ARN: secret, Name: "db"}
	}
	for _, test := range []struct {
		name    string
		change  func(*inventory.Inventory)
		context map[string]string
		want    authz.Outcome
		parts   int
	}{
		{"an AWS managed key is everybody's in the account", managed, nil, authz.Allowed, 1},
		{"unless an SCP denies its use", both(managed, scp("kms:Decrypt")), nil, authz.ExplicitDeny, 2},
		{"or a policy of the caller's", both(managed, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["q"] = strings.Replace(allow("kms:*"), "Allow", "Deny", 1)
		}), nil, authz.ExplicitDeny, 2},
		{"and another service's is nobody's business", both(managed, scp("kms:Encrypt")), nil, authz.Allowed, 1},
		{"what the call says is not said to KMS", func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["q"] = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}}}`
		}, map[string]string{"secretsmanager:VersionStage": "AWSCURRENT"}, authz.Allowed, 2},
		{"who calls is", func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["q"] = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/team":"pay"}}}}`
		}, map[string]string{"aws:PrincipalTag/team": "pay"}, authz.ExplicitDeny, 2},
		{"a grant that wants all of the encryption context", func(inv *inventory.Inventory) {
			inv.Accounts[away].Keys[key].Policy = statement("Allow", `{"AWS":"arn:aws:iam::222222222222:role/else"}`, "kms:*")
			inv.Accounts[away].Keys[key].Grants = []inventory.Grant{{ID: "g", Grantee: reader, Operations: []string{"Decrypt"}, EncryptionContext: map[string]string{"SecretARN": secret}, Equals: true}}
		}, nil, authz.Unknown, 2},
		{"a grant that wants some of it", func(inv *inventory.Inventory) {
			inv.Accounts[away].Keys[key].Policy = statement("Allow", `{"AWS":"arn:aws:iam::222222222222:role/else"}`, "kms:*")
			inv.Accounts[away].Keys[key].Grants = []inventory.Grant{{ID: "g", Grantee: reader, Operations: []string{"Decrypt"}, EncryptionContext: map[string]string{"SecretARN": secret}}}
		}, nil, authz.Allowed, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := encrypted()
			test.change(inv)
			v := effective.New(inv)
			p, _ := v.Principal(reader)
			q := effective.Question{Principal: p, Action: "secretsmanager:GetSecretValue", Resource: secret}
			for name, value := range test.context {
				q.Context.Set(name, value)
			}
			if b := v.AskAll(q); b.Outcome != test.want || len(b.Parts) != test.parts {
				t.Errorf("AskAll = %v of %d parts, want %v of %d:\n%s", b.Outcome, len(b.Parts), test.want, test.parts, b.Text())
			}
		})
	}
}

// That no account that was asked is in an organization says nothing of others.
func TestAccountsThatWereNotReadMayBeInAnOrganization(t *testing.T) {
	inv := world()
	inv.Organization, inv.OrgState = nil, inventory.Absent
	d := ask(t, inv, "arn:aws:iam::333333333333:root", "sts:AssumeRole", reader)
	if d.Outcome != authz.ImplicitDeny { // the root user never can
		t.Errorf("Ask = %v, want ImplicitDeny", d.Outcome)
	}
	v := effective.New(inv)
	q := effective.Question{Principal: authz.Principal{Kind: authz.Root, ARN: arn.Root("aws", "333333333333")}, Action: "kms:ListAliases", Resource: "*"}
	if o := v.Outcome(q); o != authz.Unknown {
		t.Errorf("what SCPs say to the root user of an account that was not read: %v, want Unknown", o)
	}
}

// What is denied under any name is denied, though under one of them explicitly.
func TestSessionsThatAreDeniedInDifferentWays(t *testing.T) {
	inv := full()
	inv.Accounts[away].Roles["reader"].Inline["p"] = strings.Replace(strings.Replace(allow("sqs:*"), "Allow", "Deny", 1), `"Resource"`, `"Condition":{"StringLike":{"aws:userid":"AROAREADER:run-*"}},"Resource"`, 1)
	v := effective.New(inv)
	p, _ := v.Principal(reader)
	q := effective.Question{Principal: p, Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:222222222222:jobs"}
	if d := v.Ask(q); d.Outcome != authz.ImplicitDeny || v.Outcome(q) != authz.ImplicitDeny {
		t.Errorf("Ask = %v, Outcome = %v, want ImplicitDeny:\n%s", d.Outcome, v.Outcome(q), d.Text())
	}
}
