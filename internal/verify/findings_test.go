package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/internal/verify"
)

const (
	tooling   = arn.AccountID("111111111111")
	orders    = arn.AccountID("222222222222")
	secretARN = "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-a1B2c3"
	secretAny = "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-*"
	keyARN    = "arn:aws:kms:us-east-1:222222222222:key/11111111-2222-3333-4444-555555555555"
	app       = "arn:aws:iam::111111111111:role/app"
	full      = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

func load(tb testing.TB, name string) applied {
	tb.Helper()
	c := compiletest.Load(tb, "../compile/testdata/"+name+".txtar")
	w, inv, diags := c.Compile(tb)
	if w == nil {
		tb.Fatal(diags)
	}
	return applied{name, c, w, effective.After(inv, w)}
}

// addStatement puts a statement of somebody else's into a policy.
func addStatement(text, statement string) string {
	if text == "" {
		return `{"Version":"2012-10-17","Statement":[` + statement + `]}`
	}
	return strings.Replace(text, `"Statement":[`, `"Statement":[`+statement+`,`, 1)
}

// everybodyIf is a policy of somebody else's that lets "*" write a secret under
// a condition.
func everybodyIf(condition string) string {
	return addStatement("", `{"Effect":"Allow","Principal":"*","Action":"secretsmanager:PutSecretValue","Resource":"*","Condition":{`+condition+`}}`)
}

func TestFindings(t *testing.T) {
	for _, test := range []struct {
		name   string
		caseOf string
		change func(inv *inventory.Inventory)
		kind   verify.Kind
		text   string
	}{
		{"the role is gone", "webidentity", func(inv *inventory.Inventory) { inv.Accounts[orders].Roles["payroll-api"] = nil }, verify.Missing, "it does not exist"},
		{"the role was not read", "webidentity", func(inv *inventory.Inventory) { delete(inv.Accounts[orders].Roles, "payroll-api") }, verify.Unknown, "it was not read"},
		{"the role has another path", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Roles["payroll-api"].ARN = "arn:aws:iam::222222222222:role/payroll-api"
		}, verify.Drift, "with another path"},
		{"the ownership tag is gone", "webidentity", func(inv *inventory.Inventory) { inv.Accounts[orders].Roles["payroll-api"].Tags = nil }, verify.Drift, "stile:scope=payroll"},
		{"sessions last longer", "webidentity", func(inv *inventory.Inventory) { inv.Accounts[orders].Roles["payroll-api"].MaxSession = 43200 }, verify.Drift, "43200 s, not 7200 s"},
		{"an administrator's policy is attached", "webidentity", func(inv *inventory.Inventory) {
			a := inv.Accounts[orders]
			a.Managed = map[string]*inventory.Managed{"arn:aws:iam::aws:policy/AdministratorAccess": {Document: full}}
			a.Roles["payroll-api"].Attached = []string{"arn:aws:iam::aws:policy/AdministratorAccess"}
		}, verify.Excess, "allows * on *, which is not declared"},
		{"an attached policy was not read", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Roles["payroll-api"].Attached = []string{"arn:aws:iam::aws:policy/AdministratorAccess"}
		}, verify.Unknown, "it was not read, so what it allows is not known"},
		{"an inline policy is added", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Roles["payroll-api"].Inline["extra"] = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}`
		}, verify.Excess, "allows s3:GetObject on *"},
		{"an inline policy is added that gives nothing more", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Roles["payroll-api"].Inline["extra"] = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"eks:ListClusters","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2026-12-31T00:00:00Z"}}}}`
		}, verify.Drift, "not wanted, and allows nothing beyond"},
		{"an inline policy cannot be read", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Roles["payroll-api"].Inline["extra"] = `{"Statement":`
		}, verify.Unknown, "cannot be read"},
		{"the trusted role was deleted and made again", "chain", func(inv *inventory.Inventory) {
			r := inv.Accounts[orders].Roles["target-account-iam-role"]
			r.Trust = strings.Replace(r.Trust, "arn:aws:iam::111111111111:role/stile/ci-account-iam-role", "AROAGHOSTGHOSTGHOST00", 1)
		}, verify.Drift, "names AROAGHOSTGHOSTGHOST00, a principal that was deleted"},
		{"the provider is gone", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Providers["oidc.eks.us-east-1.amazonaws.com/id/ABC"] = nil
		}, verify.Denied, "there is no OIDC provider"},
		{"the provider no longer takes the audience", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Providers["oidc.eks.us-east-1.amazonaws.com/id/ABC"].ClientIDs = []string{"x"}
		}, verify.Denied, "does not accept the audience sts.amazonaws.com"},
		{"an SCP denies", "webidentity", func(inv *inventory.Inventory) {
			inv.OrgState, inv.Organization = inventory.Exists, organization(`{"Version":"2012-10-17","Statement":[{"Sid":"NoTables","Effect":"Deny","Action":"dynamodb:*","Resource":"*"}]}`)
		}, verify.Denied, "statement 1 (NoTables) of service control policy"},
		{"the organization could not be read", "webidentity", func(inv *inventory.Inventory) { inv.OrgState = inventory.Unread }, verify.Unknown, "service control policy above account"},
		{"the caller's own policy is gone", "assumerole", func(inv *inventory.Inventory) { inv.Accounts[tooling].Roles["deploy"].Inline = nil }, verify.Denied, "no identity-based policy"},
		{"the secret's statement is gone", "resourcepolicy", func(inv *inventory.Inventory) { inv.Accounts[orders].Secrets[secretAny].Policy = "" }, verify.Drift, "it is missing, and with it 2 statements"},
		{"the secret's policy could not be read", "resourcepolicy", func(inv *inventory.Inventory) { delete(inv.Accounts[orders].Secrets, secretAny) }, verify.Unknown, "it was not read"},
		{"the key's policy no longer names the caller", "resourcepolicy", func(inv *inventory.Inventory) {
			k := inv.Accounts[orders].Keys[keyARN]
			k.Policy = strings.ReplaceAll(k.Policy, app, "arn:aws:iam::111111111111:role/another")
		}, verify.Denied, "the KMS key policy"},
		{"somebody else lets a caller write the secret", "resourcepolicy", func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = addStatement(s.Policy, `{"Sid":"Theirs","Effect":"Allow","Principal":{"AWS":"`+app+`"},"Action":"secretsmanager:PutSecretValue","Resource":"*"}`)
		}, verify.Excess, "statement 1 (Theirs), which is not ours, allows secretsmanager:PutSecretValue"},
		{"somebody else lets a caller's session write the secret", "resourcepolicy", func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = addStatement(s.Policy, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::111111111111:assumed-role/app/x"},"Action":"secretsmanager:*","Resource":"*"}`)
		}, verify.Excess, "which is not ours, allows secretsmanager:*"},
		{"a grant lets a caller do more with a key than is declared", "declaredkeys", func(inv *inventory.Inventory) {
			k := inv.Accounts[orders].Keys["arn:aws:kms:us-east-1:222222222222:key/open"]
			k.Grants = []inventory.Grant{{ID: "g1", Grantee: app, Operations: []string{"Encrypt", "Decrypt"}}}
		}, verify.Excess, "KMS grant g1 allows kms:Decrypt on * by " + app + ", beyond what is declared"},
		{"a grant gives our role what is declared under a condition, without it", "declaredkeys", func(inv *inventory.Inventory) {
			k := inv.Accounts[orders].Keys["arn:aws:kms:eu-west-1:222222222222:key/mrk-1"]
			k.Grants = []inventory.Grant{{ID: "g2", Grantee: "arn:aws:iam::222222222222:role/stile/payroll-api", Operations: []string{"GenerateDataKey"}}}
		}, verify.Excess, "KMS grant g2 allows kms:GenerateDataKey"},
		{"a declared key's statement is gone", "declaredkeys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Keys["arn:aws:kms:us-east-1:222222222222:key/closed"].Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/admin"},"Action":"kms:*","Resource":"*"}]}`
		}, verify.Drift, "is missing"},
		{"a declared key's policy no longer lets IAM policies decide", "declaredkeys", func(inv *inventory.Inventory) {
			k := inv.Accounts[orders].Keys["arn:aws:kms:us-east-1:222222222222:key/open"]
			k.Policy = strings.Replace(k.Policy, "arn:aws:iam::222222222222:root", "arn:aws:iam::222222222222:role/admin", 1)
		}, verify.Denied, "the KMS key policy"},
		{"somebody else admits everybody", "resourcepolicy", func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = addStatement(s.Policy, `{"Effect":"Allow","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
		}, verify.Excess, `admits everybody: its principal is "*"`},
		{"somebody else admits everybody they do not list", "resourcepolicy", func(inv *inventory.Inventory) {
			k := inv.Accounts[orders].Keys[keyARN]
			k.Policy = addStatement(k.Policy, `{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::444444444444:root"},"Action":"kms:Decrypt","Resource":"*"}`)
		}, verify.Excess, "NotPrincipal"},
		{"a secret's own policy lets our role write it", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = addStatement("", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/stile/payroll-api"},"Action":"secretsmanager:PutSecretValue","Resource":"*"}`)
		}, verify.Excess, "which is not ours, allows secretsmanager:PutSecretValue"},
		{"a secret's own policy lets everybody write it", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = addStatement("", `{"Effect":"Allow","Principal":"*","Action":"secretsmanager:PutSecretValue","Resource":"*"}`)
		}, verify.Excess, "which is not ours, allows secretsmanager:PutSecretValue"},
		{"a secret's own policy lets its whole account write it", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = everybodyIf(`"StringEquals":{"aws:PrincipalAccount":"222222222222"}`)
		}, verify.Excess, "which is not ours, allows secretsmanager:PutSecretValue"},
		{"a secret's own policy lets its organization write it", "keys", func(inv *inventory.Inventory) {
			inv.OrgState, inv.Organization = inventory.Exists, organization(full)
			inv.Accounts[orders].Secrets[secretAny].Policy = everybodyIf(`"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`)
		}, verify.Excess, "which is not ours, allows secretsmanager:PutSecretValue"},
		{"a secret's own policy lets an organization write it that may be ours", "keys", func(inv *inventory.Inventory) {
			inv.OrgState = inventory.Unread
			inv.Accounts[orders].Secrets[secretAny].Policy = everybodyIf(`"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}`)
		}, verify.Unknown, "which is not ours, allows secretsmanager:PutSecretValue"},
		{"a secret's own policy lets whoever is called like our role write it", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = everybodyIf(`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/stile/*"}`)
		}, verify.Excess, "which is not ours, allows secretsmanager:PutSecretValue"},
		{"a secret's own policy admits all but a few", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = addStatement("", `{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::444444444444:root"},"Action":"secretsmanager:PutSecretValue","Resource":"*"}`)
		}, verify.Excess, "NotPrincipal"},
		{"the caller was deleted and made again", "resourcepolicy", func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = strings.ReplaceAll(s.Policy, app, "AROAGHOSTGHOSTGHOST00")
		}, verify.Drift, "names AROAGHOSTGHOSTGHOST00, a principal that was deleted"},
		{"the boundary is missing", "boundary", func(inv *inventory.Inventory) { inv.Accounts[orders].Roles["payroll-api"].Boundary = "" }, verify.Excess, "it has no permissions boundary"},
		{"the boundary is another", "boundary", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Roles["payroll-api"].Boundary = "arn:aws:iam::222222222222:policy/other"
		}, verify.Excess, "its permissions boundary is arn:aws:iam::222222222222:policy/other"},
		{"the boundary no longer allows", "boundary", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Managed["arn:aws:iam::222222222222:policy/limit"].Document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`
		}, verify.Denied, "eks:ListClusters"},
		{"a boundary nobody wants", "webidentity", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Managed = map[string]*inventory.Managed{"b": {Document: full}}
			inv.Accounts[orders].Roles["payroll-api"].Boundary = "b"
		}, verify.Drift, "which is not wanted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.caseOf)
			inv := clone(t, c.inv)
			test.change(inv)
			r := verify.Check(c.w, inv, nil)
			if r.OK {
				t.Fatal("Check is OK")
			}
			for _, f := range r.Findings {
				if f.Kind == test.kind && strings.Contains(f.Text, test.text) {
					return
				}
			}
			var b strings.Builder
			if err := r.Text(&b, nil); err != nil {
				t.Fatal(err)
			}
			t.Errorf("no finding %s with %q in:\n%s", test.kind, test.text, b.String())
		})
	}
}

// organization has tooling and orders, the latter under a policy.
func organization(document string) *inventory.Organization {
	return &inventory.Organization{
		ID: "o-a1b2c3d4e5", ManagementAccount: "999999999999",
		Root: &inventory.Node{ID: "r-ab12", SCPs: []string{"p-FullAWSAccess"}, Children: []*inventory.Node{
			{ID: string(tooling), SCPs: []string{"p-FullAWSAccess"}},
			{ID: string(orders), SCPs: []string{"p-FullAWSAccess", "p-own"}},
		}},
		Policies: map[string]*inventory.OrgPolicy{
			"p-FullAWSAccess": {ID: "p-FullAWSAccess", Name: "FullAWSAccess", Document: full},
			"p-own":           {ID: "p-own", Name: "own", Document: document},
		},
	}
}

// What others may have beside us without anybody being let in.
func TestWhatIsNoFinding(t *testing.T) {
	for _, test := range []struct {
		name, caseOf string
		change       func(inv *inventory.Inventory)
	}{
		{"an organization that allows", "webidentity", func(inv *inventory.Inventory) {
			inv.OrgState, inv.Organization = inventory.Exists, organization(full)
		}},
		{"an SCP for Regions that are not used", "webidentity", func(inv *inventory.Inventory) {
			inv.OrgState, inv.Organization = inventory.Exists, organization(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":["sts:*","eks:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1"]}}}]}`)
		}},
		{"a statement for a stranger's role", "resourcepolicy", func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = addStatement(s.Policy, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:role/theirs"},"Action":"secretsmanager:*","Resource":"*"}`)
		}},
		{"a statement for everybody of one organization", "resourcepolicy", func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = addStatement(s.Policy, `{"Effect":"Allow","Principal":"*","Action":"secretsmanager:DescribeSecret","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}}`)
		}},
		{"a secret's own policy gives our role what is declared", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = addStatement("", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/stile/payroll-api"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
		}},
		{"a secret's own policy lets another role of the account write it", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = everybodyIf(`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::222222222222:role/theirs"}`)
		}},
		{"a secret's own policy lets another account write it", "keys", func(inv *inventory.Inventory) {
			inv.Accounts[orders].Secrets[secretAny].Policy = everybodyIf(`"StringEquals":{"aws:PrincipalAccount":"333333333333"}`)
		}},
		{"the policy that AWS gives a key of its own", "keys", func(inv *inventory.Inventory) {
			const managed = "arn:aws:kms:us-east-1:222222222222:key/99999999-2222-3333-4444-555555555555"
			inv.Accounts[orders].Keys[managed] = &inventory.Key{ARN: managed, AWSManaged: true, Enabled: true, Policy: addStatement("",
				`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"222222222222","kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}}`)}
		}},
		{"the trusted role shown by its unique id", "chain", func(inv *inventory.Inventory) {
			hub := inv.Accounts[tooling].Roles["ci-account-iam-role"]
			r := inv.Accounts[orders].Roles["target-account-iam-role"]
			r.Trust = strings.Replace(r.Trust, hub.ARN, hub.ID, 1)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.caseOf)
			inv := clone(t, c.inv)
			test.change(inv)
			if r := verify.Check(c.w, inv, nil); !r.OK {
				var b strings.Builder
				if err := r.Text(&b, nil); err != nil {
					t.Fatal(err)
				}
				t.Errorf("Check finds:\n%s", b.String())
			}
		})
	}
}

func TestLeftoversOfTheLedger(t *testing.T) {
	c := load(t, "webidentity")
	led := &ledger.Ledger{Entries: []ledger.Entry{
		{Account: orders, Kind: ledger.Role, ID: "arn:aws:iam::222222222222:role/stile/payroll-api"},
		{Account: orders, Kind: ledger.Role, ID: "arn:aws:iam::222222222222:role/stile/old"},
		{Account: orders, Kind: ledger.Role, ID: "arn:aws:iam::222222222222:role/stile/deleted"},
	}}
	inv := clone(t, c.inv)
	inv.Accounts[orders].Roles["deleted"] = nil
	inv.Accounts[orders].Roles["old"] = &inventory.Role{Name: "old", ARN: "arn:aws:iam::222222222222:role/stile/old"}
	r := verify.Check(c.w, inv, led)
	var left []string
	for _, f := range r.Findings {
		if !f.OK() {
			left = append(left, f.What)
		}
	}
	if len(left) != 1 || !strings.Contains(left[0], "role/stile/old") || r.OK {
		t.Errorf("findings about %q, want the one role that is left over", left)
	}
}

// What could not be read may still be there.
func TestLeftoversThatWereNotReadAreUnknown(t *testing.T) {
	c := load(t, "resourcepolicy")
	for _, e := range []ledger.Entry{
		{Account: "333333333333", Kind: ledger.Role, ID: "arn:aws:iam::333333333333:role/stile/old"},
		{Account: orders, Kind: ledger.Role, ID: "arn:aws:iam::222222222222:role/stile/old"},
		{Account: orders, Kind: ledger.Provider, ID: "arn:aws:iam::222222222222:oidc-provider/oidc.example"},
		{Account: orders, Kind: ledger.RolePolicy, ID: "old/stile-p"},
		{Account: orders, Kind: ledger.UserPolicy, ID: "old/stile-p"},
		{Account: orders, Kind: ledger.SecretSid, ID: "arn:aws:secretsmanager:us-east-1:222222222222:secret:Old-a1B2c3#StileX"},
		{Account: orders, Kind: ledger.KeySid, ID: "arn:aws:kms:us-east-1:222222222222:key/old#StileX"},
	} {
		r := verify.Check(c.w, c.inv, &ledger.Ledger{Entries: []ledger.Entry{e}})
		if f := r.Findings[0]; r.OK || f.Kind != verify.Unknown || !strings.Contains(f.What, e.ID) {
			t.Errorf("Check with %s %s in the ledger = %s %q %q, want unknown", e.Kind, e.ID, f.Kind, f.What, f.Text)
		}
	}
}

// A unique id that stands for nobody lets nobody in.
func TestGhostsAreNotTakenForSomebody(t *testing.T) {
	for caseOf, change := range map[string]func(inv *inventory.Inventory){
		"chain": func(inv *inventory.Inventory) {
			r := inv.Accounts[orders].Roles["target-account-iam-role"]
			r.Trust = strings.Replace(r.Trust, "arn:aws:iam::111111111111:role/stile/ci-account-iam-role", "AROAGHOSTGHOSTGHOST00", 1)
		},
		"resourcepolicy": func(inv *inventory.Inventory) {
			s := inv.Accounts[orders].Secrets[secretAny]
			s.Policy = strings.ReplaceAll(s.Policy, app, "AROAGHOSTGHOSTGHOST00")
		},
	} {
		c := load(t, caseOf)
		inv := clone(t, c.inv)
		change(inv)
		for _, f := range verify.Check(c.w, inv, nil).Findings {
			if f.Kind == verify.Excess {
				t.Errorf("%s: %s: %s: %s, want no excess", caseOf, f.Kind, f.What, f.Text)
			}
		}
	}
}

func TestExpiredRoutesMustBeRefused(t *testing.T) {
	c := load(t, "webidentity")
	after := verify.Options{Now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	if r := after.Check(c.w, c.inv, nil); !r.OK {
		t.Errorf("Check after the end = %v, want the refusal to be OK", r.Findings)
	}
	inv := clone(t, c.inv)
	role := inv.Accounts[orders].Roles["payroll-api"]
	role.Trust = strings.ReplaceAll(role.Trust, "2027-01-01", "2028-01-01")
	for name := range role.Inline {
		role.Inline[name] = strings.ReplaceAll(role.Inline[name], "2027-01-01", "2028-01-01")
	}
	r := after.Check(c.w, inv, nil)
	found := false
	for _, f := range r.Findings {
		found = found || f.Kind == verify.Excess && strings.Contains(f.Text, "ended on 2027-01-01 and is still allowed")
	}
	if !found {
		t.Errorf("Check = %v, want a finding that access outlived its end", r.Findings)
	}
}

func TestTextSaysWhatIsWrongFirst(t *testing.T) {
	c := load(t, "webidentity")
	inv := clone(t, c.inv)
	inv.Accounts[orders].Roles["payroll-api"].Tags = nil
	r := verify.Check(c.w, inv, nil)
	var b strings.Builder
	if err := r.Text(&b, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if !strings.HasPrefix(lines[0], "drift") || !strings.HasPrefix(lines[len(lines)-1], "NOT verified: ") || len(lines) != 5+len(r.Assumed) {
		t.Errorf("Text =\n%s\nwant the drift in two lines, one line of what is allowed, one of strangers, what was assumed, and the verdict", b.String())
	}
	if len(r.Assumed) == 0 || !strings.Contains(b.String(), "\nassumed  "+r.Assumed[0]+"\n") {
		t.Errorf("Text =\n%s\nwant what was not looked at, %q", b.String(), r.Assumed)
	}
}
