package effective_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/ledger"
	"github.com/stile-aws/stile/policy"
)

const (
	home  = arn.AccountID("111111111111")
	away  = arn.AccountID("222222222222")
	table = "arn:aws:dynamodb:us-east-1:222222222222:table/Orders"
)

func allow(action string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`
}

// world has a role and a user in home, a role in away that trusts both, and
// an organization that allows everything.
func world() *inventory.Inventory {
	return &inventory.Inventory{
		OrgState: inventory.Exists,
		Organization: &inventory.Organization{
			ID: "o-a1b2c3d4e5", ManagementAccount: home, RCPState: inventory.Absent, Policies: map[string]*inventory.OrgPolicy{"p-1": {ID: "p-1", Name: "FullAWSAccess", Document: allow("*")}},
			Root: &inventory.Node{ID: "r-ab12", SCPs: []string{"p-1"}, Children: []*inventory.Node{
				{ID: string(home), SCPs: []string{"p-1"}},
				{ID: "ou-ab12-11111111", SCPs: []string{"p-1"}, Children: []*inventory.Node{{ID: string(away), SCPs: []string{"p-1"}}}},
			}},
		},
		Accounts: map[arn.AccountID]*inventory.Account{
			home: {
				ID: home, Managed: map[string]*inventory.Managed{"arn:aws:iam::111111111111:policy/limit": {Document: allow("dynamodb:*")}},
				Roles: map[string]*inventory.Role{"app": {ARN: "arn:aws:iam::111111111111:role/x/app", Name: "app", ID: "AROAAPP", Inline: map[string]string{"p": allow("sts:AssumeRole")}, Tags: map[string]string{"team": "pay"}}},
				Users: map[string]*inventory.User{"bob": {ARN: "arn:aws:iam::111111111111:user/bob", Name: "bob", ID: "AIDABOB", Groups: []inventory.Group{{Name: "g", Inline: map[string]string{"p": allow("sts:*")}}}}},
			},
			away: {
				ID: away, Listed: map[string]inventory.Lookup{"us-east-1 dynamodb:table": inventory.Exists},
				Roles: map[string]*inventory.Role{"reader": {
					ARN: "arn:aws:iam::222222222222:role/reader", Name: "reader", ID: "AROAREADER", Inline: map[string]string{"p": allow("dynamodb:GetItem")},
					Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111111111111:role/x/app","arn:aws:iam::111111111111:user/bob"]},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalTag/team":"pay"}}}}`,
				}},
			},
		},
	}
}

// outside takes account away out of the organization's tree.
func outside(inv *inventory.Inventory, said inventory.Membership) {
	inv.Organization.Root.Children = inv.Organization.Root.Children[:1]
	inv.Accounts[away].Member = said
}

func ask(t *testing.T, inv *inventory.Inventory, who, action, resource string) authz.Decision {
	t.Helper()
	v := effective.New(inv)
	p, err := v.Principal(who)
	if err != nil {
		t.Fatal(err)
	}
	return v.Ask(effective.Question{Principal: p, Action: action, Resource: resource})
}

func TestAskUsesEveryLayer(t *testing.T) {
	const app, bob, reader = "arn:aws:iam::111111111111:role/x/app", "arn:aws:iam::111111111111:user/bob", "arn:aws:iam::222222222222:role/reader"
	for _, test := range []struct {
		name, who, action, resource string
		change                      func(inv *inventory.Inventory)
		want                        authz.Outcome
	}{
		{"identity and trust, on both sides", app, "sts:AssumeRole", reader, nil, authz.Allowed},
		{"a user without the tag", bob, "sts:AssumeRole", reader, nil, authz.ImplicitDeny},
		{"a user with the tag, by a group's policy", bob, "sts:AssumeRole", reader, func(inv *inventory.Inventory) {
			inv.Accounts[home].Users["bob"].Tags = map[string]string{"team": "pay"}
		}, authz.Allowed},
		{"a role of that name with another path", "arn:aws:iam::111111111111:role/app", "sts:AssumeRole", reader, nil, authz.ImplicitDeny},
		{"a session by its own ARN", "arn:aws:sts::111111111111:assumed-role/app/s", "sts:AssumeRole", reader, nil, authz.Allowed},
		{"a boundary that does not allow", app, "sts:AssumeRole", reader, func(inv *inventory.Inventory) {
			inv.Accounts[home].Roles["app"].Boundary = "arn:aws:iam::111111111111:policy/limit"
		}, authz.ImplicitDeny},
		{"a boundary that was not read", app, "sts:AssumeRole", reader, func(inv *inventory.Inventory) {
			inv.Accounts[home].Roles["app"].Boundary = "arn:aws:iam::111111111111:policy/unread"
		}, authz.Unknown},
		{"an attached policy that was not read", reader, "dynamodb:PutItem", table, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Attached = []string{"arn:aws:iam::aws:policy/X"}
		}, authz.Unknown},
		{"a role that was not looked for", "arn:aws:iam::222222222222:role/other", "dynamodb:GetItem", table, nil, authz.Unknown},
		{"a role that does not exist", "arn:aws:iam::222222222222:role/other", "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["other"] = nil
		}, authz.ImplicitDeny},
		{"a trust policy that was not read", app, "sts:AssumeRole", reader, func(inv *inventory.Inventory) { delete(inv.Accounts[away].Roles, "reader") }, authz.Unknown},
		{"an SCP on the OU", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Organization.Root.Children[1].SCPs = nil
		}, authz.ImplicitDeny},
		{"SCPs do not bind the management account", app, "sts:AssumeRole", reader, func(inv *inventory.Inventory) {
			inv.Organization.Root.Children[0].SCPs = nil
		}, authz.Allowed},
		{"an SCP that was not read", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Organization.Policies = nil
		}, authz.Unknown},
		{"an organization that was not read", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Organization, inv.OrgState = nil, inventory.Unread
		}, authz.Unknown},
		{"no organization", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Organization, inv.OrgState = nil, inventory.Absent
		}, authz.Allowed},
		{"an account outside the organization that says it is in none", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Absent})
		}, authz.Allowed},
		{"an account outside the organization that was not asked", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{})
		}, authz.Unknown},
		{"an account outside the organization that does not say", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Unread, Why: "AccessDenied"})
		}, authz.Unknown},
		{"an account of another organization", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Exists, Organization: "o-other", Management: home})
		}, authz.Unknown},
		{"an account of an organization when another is in none", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Organization, inv.OrgState = nil, inventory.Absent
			inv.Accounts[away].Member = inventory.Membership{State: inventory.Exists, Organization: "o-other", Management: home}
		}, authz.Unknown},
		{"the management account of an organization that was not read", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			outside(inv, inventory.Membership{State: inventory.Exists, Organization: "o-other", Management: away})
		}, authz.Allowed},
		{"the organization's id follows from the account", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = strings.Replace(allow("dynamodb:GetItem"), `"Resource"`, `"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5","aws:RequestedRegion":"us-east-1"},"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"}},"Resource"`, 1)
		}, authz.Allowed},
		{"where the request comes from is not known", reader, "dynamodb:GetItem", table, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = strings.Replace(allow("dynamodb:GetItem"), `"Resource"`, `"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}},"Resource"`, 1)
		}, authz.Unknown},
		{"a policy that cannot be read", reader, "dynamodb:PutItem", table, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["q"] = `{"Statement":`
		}, authz.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := world()
			if test.change != nil {
				test.change(inv)
			}
			if d := ask(t, inv, test.who, test.action, test.resource); d.Outcome != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
		})
	}
}

func TestASessionHasTheIDOfItsRole(t *testing.T) {
	inv := world()
	inv.Accounts[away].Roles["reader"].ID = "AROAREADER"
	p, err := effective.New(inv).Principal("arn:aws:sts::222222222222:assumed-role/reader/alice")
	if err != nil || p.ID != "AROAREADER:alice" {
		t.Errorf("Principal of a session = %+v, %v; want the id AROAREADER:alice", p, err)
	}
}

func TestPrincipalRefusesWhatIsNone(t *testing.T) {
	for _, who := range []string{"", "nobody", "arn:aws:s3:::bucket", "arn:aws:iam::111111111111:policy/x"} {
		if p, err := effective.New(nil).Principal(who); err == nil {
			t.Errorf("Principal(%q) = %v, want an error", who, p)
		}
	}
}

// route goes from app to reader and reads the table under a condition.
func route(conditions ...policy.Condition) *compile.Route {
	return &compile.Route{
		Access: "a", Caller: compile.Caller{Name: "arn:aws:iam::111111111111:role/x/app", ARN: "arn:aws:iam::111111111111:role/x/app"}, Account: away,
		Pattern: access.AssumeRole, Hops: []compile.Hop{{Role: "arn:aws:iam::222222222222:role/reader", Duration: time.Hour}},
		Allow: []compile.Permission{{Actions: []string{"dynamodb:GetItem"}, Resources: []string{table + "*"}, Conditions: conditions}},
	}
}

// TestWalkMeetsDeclaredConditions: what the declaration makes a condition is
// not held against it.
func TestWalkMeetsDeclaredConditions(t *testing.T) {
	for _, c := range []policy.Condition{
		policy.Cond("StringEquals", "dynamodb:Select", "ALL"), policy.Cond("StringLike", "dynamodb:Select", "A*"), policy.Cond("StringNotEquals", "dynamodb:Select", "ALL"),
		policy.Cond("Bool", "aws:MultiFactorAuthPresent", "true"), policy.Cond("IpAddress", "aws:SourceIp", "10.0.0.0/8"), policy.Cond("ArnLike", "aws:SourceArn", "arn:aws:s3:::b*"),
		policy.Cond("ForAllValues:StringEquals", "dynamodb:LeadingKeys", "a", "b"), policy.Cond("Null", "dynamodb:Select", "true"), policy.Cond("Null", "dynamodb:Select", "false"),
		policy.Cond("NumericLessThan", "dynamodb:Limit", "10"), policy.Cond("StringEquals", "dynamodb:Select", "${aws:PrincipalOrgID}"),
	} {
		t.Run(c.Operator+" "+c.Key, func(t *testing.T) {
			inv := world()
			st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("dynamodb:GetItem"), Resources: policy.Texts("*"), Conditions: []policy.Condition{c}}
			inv.Accounts[away].Roles["reader"].Inline["p"] = policy.NewDocument(st).String()
			w := effective.New(inv).Walk(route(c), time.Time{})
			if !w.Allowed() || len(w.Hops) != 1 || len(w.Uses) != 1 {
				t.Errorf("Walk = %d hops, %d uses, allowed %v; want all allowed:\n%s", len(w.Hops), len(w.Uses), w.Allowed(), w.Uses[0].Decision.Text())
			}
			undeclared := effective.New(inv).Walk(route(), time.Time{})
			if undeclared.Allowed() {
				t.Errorf("Walk of a route that does not declare the condition is allowed:\n%s", undeclared.Uses[0].Decision.Text())
			}
		})
	}
}

// TestWalkDoesNotMakeUpFacts: a declared condition on who calls is not taken to
// hold.
func TestWalkDoesNotMakeUpFacts(t *testing.T) {
	inv := world()
	c := policy.Cond("StringEquals", "aws:PrincipalAccount", string(home))
	st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("dynamodb:GetItem"), Resources: policy.Texts("*"), Conditions: []policy.Condition{c}}
	inv.Accounts[away].Roles["reader"].Inline["p"] = policy.NewDocument(st).String()
	if w := effective.New(inv).Walk(route(c), time.Time{}); w.Allowed() {
		t.Errorf("Walk is allowed, although the role at the end is not of account %s:\n%s", home, w.Uses[0].Decision.Text())
	}
}

func TestWalkIsNotExcusedByOtherUnknowns(t *testing.T) {
	inv := world()
	limit := policy.Cond("NumericLessThan", "dynamodb:Limit", "10")
	st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("dynamodb:GetItem"), Resources: policy.Texts("*"), Conditions: []policy.Condition{limit, policy.Cond("IpAddress", "aws:SourceIp", "10.0.0.0/8")}}
	inv.Accounts[away].Roles["reader"].Inline["p"] = policy.NewDocument(st).String()
	if w := effective.New(inv).Walk(route(limit), time.Time{}); w.Allowed() {
		t.Errorf("Walk is allowed although aws:SourceIp, which is not declared, decides:\n%s", w.Uses[0].Decision.Text())
	}
}

// TestWalkIsNotExcusedByTheSameKeyElsewhere: a declared condition is no excuse
// for a deny that asks for its key, nor for a key that only sounds like it.
func TestWalkIsNotExcusedByTheSameKeyElsewhere(t *testing.T) {
	declared := policy.Cond("StringNotEquals", "dynamodb:Select", "ALL")
	for _, test := range []struct {
		name, scp string
		granted   policy.Condition
		want      bool
	}{
		{"nothing else", "", declared, true},
		{"a deny by the same key", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"dynamodb:*","Resource":"*","Condition":{"StringEquals":{"dynamodb:Select":"COUNT"}}}}`, declared, false},
		{"a grant by a longer key", "", policy.Cond("StringNotEquals", "dynamodb:SelectMore", "ALL"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := world()
			st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("dynamodb:GetItem"), Resources: policy.Texts("*"), Conditions: []policy.Condition{test.granted}}
			inv.Accounts[away].Roles["reader"].Inline["p"] = policy.NewDocument(st).String()
			if test.scp != "" {
				inv.Organization.Policies["p-2"] = &inventory.OrgPolicy{ID: "p-2", Name: "Guard", Document: test.scp}
				inv.Organization.Root.SCPs = append(inv.Organization.Root.SCPs, "p-2")
			}
			if w := effective.New(inv).Walk(route(declared), time.Time{}); w.Allowed() != test.want {
				t.Errorf("Walk is allowed: %v, want %v:\n%s", w.Allowed(), test.want, w.Uses[0].Decision.Text())
			}
		})
	}
}

// The name of a session is its maker's choice.
func TestASessionOfNoKnownName(t *testing.T) {
	const app, reader = "arn:aws:iam::111111111111:role/x/app", "arn:aws:iam::222222222222:role/reader"
	trust := func(principal, condition string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole","Condition":{` + condition + `}}}`
	}
	for _, test := range []struct {
		name, trust string
		want        authz.Outcome
	}{
		{"a session by its ARN", trust("arn:aws:sts::111111111111:assumed-role/app/alice", ""), authz.Unknown},
		{"a session of another role", trust("arn:aws:sts::111111111111:assumed-role/other/alice", ""), authz.ImplicitDeny},
		{"a session by its id", trust(app, `"StringEquals":{"aws:userid":"AROAAPP:alice"}`), authz.Unknown},
		{"all sessions but one", trust(app, `"StringNotLike":{"aws:userId":"*:alice"}`), authz.Unknown},
		{"all sessions by id", trust(app, `"StringLike":{"aws:userId":"AROAAPP:*"}`), authz.Allowed},
		{"a session by its id, from a variable", trust(app, `"StringEquals":{"aws:PrincipalTag/team":"${aws:userid}"}`), authz.Unknown},
		{"a session of another role by its id", trust(app, `"StringLike":{"aws:userId":"AROAOTHER:*"}`), authz.ImplicitDeny},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := world()
			inv.Accounts[away].Roles["reader"].Trust = test.trust
			if d := ask(t, inv, app, "sts:AssumeRole", reader); d.Outcome != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
			if d := ask(t, inv, "arn:aws:sts::111111111111:assumed-role/app/alice", "sts:AssumeRole", reader); d.Outcome == authz.Unknown {
				t.Errorf("Ask about the session alice = %v:\n%s", d.Outcome, d.Text())
			}
		})
	}
}

// A declared pattern of actions is more than any one action that fits it.
func TestWalkSeesWhatCoversPartOfAPattern(t *testing.T) {
	doc := func(effect, elements string) string {
		return `{"Version":"2012-10-17","Statement":{"Sid":"Limit","Effect":"` + effect + `",` + elements + `,"Resource":"*"}}`
	}
	for _, test := range []struct {
		name, declared, scp, boundary string
		want                          authz.Outcome
	}{
		{"nothing but what allows all", "dynamodb:*", "", "", authz.Allowed},
		{"an SCP denies one action", "dynamodb:*", doc("Deny", `"Action":"dynamodb:DeleteTable"`), "", authz.ExplicitDeny},
		{"an SCP denies a pattern within", "dynamodb:*", doc("Deny", `"Action":["s3:*","dynamodb:Delete*"]`), "", authz.ExplicitDeny},
		{"an SCP denies a pattern across", "dynamodb:*Item", doc("Deny", `"Action":"dynamodb:Batch*"`), "", authz.ExplicitDeny},
		{"an SCP denies all of it", "dynamodb:Get*", doc("Deny", `"Action":"dynamodb:*"`), "", authz.ExplicitDeny},
		{"an SCP denies something else", "dynamodb:Get*", doc("Deny", `"Action":"dynamodb:Delete*"`), "", authz.Allowed},
		{"an SCP denies part of it elsewhere", "dynamodb:*", doc("Deny", `"Action":"dynamodb:DeleteTable","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}`), "", authz.Allowed},
		{"an SCP denies all but a part of it", "dynamodb:*", doc("Deny", `"NotAction":"dynamodb:GetItem"`), "", authz.ExplicitDeny},
		{"an SCP allows all but a part of it", "dynamodb:*", "", doc("Allow", `"NotAction":"dynamodb:DeleteTable"`), authz.ImplicitDeny},
		{"a boundary allows a part", "dynamodb:*Item", "", doc("Allow", `"Action":["dynamodb:GetItem","dynamodb:PutItem"]`), authz.ImplicitDeny},
		{"a boundary allows none", "dynamodb:*Item", "", doc("Allow", `"Action":"s3:*"`), authz.ImplicitDeny},
		{"a boundary denies a part by single characters", "dynamodb:Get????", "", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"dynamodb:??tItem","Resource":"*"}]}`, authz.ExplicitDeny},
		{"a boundary allows every action there is", "dynamodb:Get????", "", doc("Allow", `"Action":"dynamodb:GetItem"`), authz.Allowed},
		{"an SCP denies what no table takes", "dynamodb:List*", doc("Deny", `"Action":"dynamodb:ListTables"`), "", authz.Allowed},
		{"a part of a service nobody knows", "unheard:*", doc("Deny", `"Action":"unheard:Of"`), "", authz.Unknown},
		{"a part of all services", "*", doc("Deny", `"Action":"dynamodb:DeleteTable"`), "", authz.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := world()
			reader := inv.Accounts[away].Roles["reader"]
			reader.Inline["p"] = allow("*")
			if test.scp != "" {
				inv.Organization.Policies["p-2"] = &inventory.OrgPolicy{ID: "p-2", Name: "Guard", Document: test.scp}
				inv.Organization.Root.SCPs = append(inv.Organization.Root.SCPs, "p-2")
			}
			if test.boundary != "" {
				reader.Boundary = "arn:aws:iam::222222222222:policy/limit"
				inv.Accounts[away].Managed = map[string]*inventory.Managed{reader.Boundary: {ARN: reader.Boundary, Document: test.boundary}}
			}
			r := route()
			r.Allow[0].Actions = []string{test.declared}
			d := effective.New(inv).Walk(r, time.Time{}).Uses[0].Decision
			if d.Outcome != test.want {
				t.Errorf("%s is %v, want %v:\n%s", test.declared, d.Outcome, test.want, d.Text())
			}
			if named := strings.Contains(d.Summary(), "in statement 1 (Limit) of"); test.want == authz.Unknown && !named && !strings.Contains(test.boundary, "??") {
				t.Errorf("the answer does not name the statement: %s", d.Summary())
			}
		})
	}
}

func TestWalkEndsWithTheRoute(t *testing.T) {
	inv := world()
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts("dynamodb:GetItem"), Resources: policy.Texts("*"), Conditions: []policy.Condition{policy.Cond("DateLessThan", "aws:CurrentTime", "2027-01-01T00:00:00Z")}}
	inv.Accounts[away].Roles["reader"].Inline["p"] = policy.NewDocument(st).String()
	r := route()
	r.Expires = end
	if w := effective.New(inv).Walk(r, time.Time{}); !w.Allowed() {
		t.Errorf("Walk just before the end is refused:\n%s", w.Uses[0].Decision.Text())
	}
	r.Expires = time.Time{}
	if w := effective.New(inv).Walk(r, end); w.Allowed() {
		t.Error("Walk at the end is allowed")
	}
}

func TestAfterLeavesItsInputAlone(t *testing.T) {
	inv, pristine := world(), world()
	inv.Accounts[home].Keys = map[string]*inventory.Key{"k": {ARN: "k", Policy: allow("kms:*")}}
	pristine.Accounts[home].Keys = map[string]*inventory.Key{"k": {ARN: "k", Policy: allow("kms:*")}}
	w := &compile.Wanted{
		Scope:     "s",
		Providers: []compile.Provider{{Account: away, URL: "oidc.example", ClientIDs: []string{"sts.amazonaws.com"}}},
		Roles: []compile.Role{{
			Account: away, Name: "Reader", Path: "/stile/", Trust: policy.NewDocument(), Inline: map[string]*policy.Document{"n": policy.NewDocument()}, MaxSession: time.Hour,
		}},
		Callers:    []compile.CallerPolicy{{Account: home, Kind: "user", Name: "bob", PolicyName: "stile-s", Document: policy.NewDocument()}},
		Statements: []compile.Statement{{Account: home, Kind: compile.KeyPolicy, Target: "k", Statement: policy.Statement{Sid: "StileX", Effect: policy.Allow, Principal: policy.AWS("111111111111"), Actions: policy.Texts("kms:Decrypt"), Resources: policy.Texts("*")}}},
	}
	after := effective.After(inv, w, ledger.Entry{Account: home, Kind: ledger.RolePolicy, ID: "app/p"})
	if diff := cmp.Diff(pristine, inv); diff != "" {
		t.Errorf("After changed its input (-want +got):\n%s", diff)
	}
	if after.Accounts[away].Providers["oidc.example"] == nil || after.Accounts[away].Roles["reader"].Tags[compile.TagScope] != "s" {
		t.Error("After lacks the provider or the role's tag")
	}
	if after.Accounts[home].Users["bob"].Inline["stile-s"] == "" || !strings.Contains(after.Accounts[home].Keys["k"].Policy, "StileX") {
		t.Error("After lacks the caller's policy or the key's statement")
	}
	if _, still := after.Accounts[home].Roles["app"].Inline["p"]; still {
		t.Error("After still has what the ledger entry took away")
	}
	back := effective.After(after, &compile.Wanted{Scope: "s"},
		ledger.Entry{Account: away, Kind: ledger.Role, ID: "arn:aws:iam::222222222222:role/stile/Reader"},
		ledger.Entry{Account: away, Kind: ledger.Provider, ID: "arn:aws:iam::222222222222:oidc-provider/oidc.example"},
		ledger.Entry{Account: home, Kind: ledger.UserPolicy, ID: "bob/stile-s"}, ledger.Entry{Account: home, Kind: ledger.KeySid, ID: "k#StileX"})
	if back.Accounts[away].Roles["reader"] != nil || back.Accounts[away].Providers["oidc.example"] != nil ||
		back.Accounts[home].Users["bob"].Inline["stile-s"] != "" || strings.Contains(back.Accounts[home].Keys["k"].Policy, "StileX") {
		t.Error("After with everything gone still has some of it")
	}
}
