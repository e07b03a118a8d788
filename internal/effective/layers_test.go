package effective_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
)

const (
	reader = "arn:aws:iam::222222222222:role/reader"
	app    = "arn:aws:iam::111111111111:role/x/app"
	key    = "arn:aws:kms:us-east-1:222222222222:key/k-1"
)

func statement(effect, principal, action string) string {
	who := ""
	if principal != "" {
		who = `"Principal":` + principal + `,`
	}
	return `{"Version":"2012-10-17","Statement":{"Effect":"` + effect + `",` + who + `"Action":"` + action + `","Resource":"*"}}`
}

// full is world with a bucket, a queue, a topic, a function, a key, a
// repository and a VPC endpoint in away, where reader may do everything.
func full() *inventory.Inventory {
	inv := world()
	a := inv.Accounts[away]
	a.Roles["reader"].Inline["p"] = allow("*")
	resource := func(kind, text string) *inventory.Resource {
		return &inventory.Resource{ARN: text, Type: kind, PolicyState: inventory.Exists}
	}
	a.Resources = map[string]*inventory.Resource{}
	for kind, text := range map[string]string{
		"s3:bucket": "arn:aws:s3:::reports", "sqs:queue": "arn:aws:sqs:us-east-1:222222222222:jobs", "sns:topic": "arn:aws:sns:us-east-1:222222222222:news",
		"lambda:function": "arn:aws:lambda:us-east-1:222222222222:function:run", "ecr:repository": "arn:aws:ecr:us-east-1:222222222222:repository/app",
		"dynamodb:table": table,
	} {
		a.Resources[text] = resource(kind, text)
	}
	a.Keys = map[string]*inventory.Key{key: {
		ARN: key, Enabled: true, GrantState: inventory.Exists, Aliases: []string{"alias/orders"},
		Policy: statement("Allow", `{"AWS":"arn:aws:iam::222222222222:root"}`, "kms:*"),
	}}
	a.Endpoints = map[string]*inventory.Endpoint{"arn:aws:ec2:us-east-1:222222222222:vpc-endpoint/vpce-1": {
		ID: "vpce-1", VPC: "vpc-1", Service: "com.amazonaws.us-east-1.sqs", Policy: statement("Allow", `"*"`, "sqs:SendMessage"),
	}}
	return inv
}

func TestAskSeesWhatGuardsTheResource(t *testing.T) {
	deny := statement("Deny", `"*"`, "*")
	for _, test := range []struct {
		name, who, action, resource string
		change                      func(inv *inventory.Inventory)
		want                        authz.Outcome
	}{
		{"a bucket without a policy", reader, "s3:GetObject", "arn:aws:s3:::reports/a", nil, authz.Allowed},
		{"a bucket's policy denies its objects", reader, "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources["arn:aws:s3:::reports"].Policy = deny
		}, authz.ExplicitDeny},
		{"a bucket is its account's, wherever the caller is", app, "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) {
			inv.Accounts[home].Roles["app"].Inline["p"] = allow("*")
		}, authz.ImplicitDeny},
		{"a bucket's policy lets another account in", app, "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) {
			inv.Accounts[home].Roles["app"].Inline["p"] = allow("*")
			inv.Accounts[away].Resources["arn:aws:s3:::reports"].Policy = statement("Allow", `{"AWS":"111111111111"}`, "s3:GetObject")
		}, authz.Allowed},
		{"a bucket nobody looked for", reader, "s3:GetObject", "arn:aws:s3:::other/a", nil, authz.Unknown},
		{"a bucket that is in no account read may be anybody's", reader, "s3:GetObject", "arn:aws:s3:::other/a", func(inv *inventory.Inventory) {
			inv.Accounts[away].Listed["s3:bucket"] = inventory.Exists
		}, authz.Unknown},
		{"a bucket whose policy could not be read", reader, "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources["arn:aws:s3:::reports"].PolicyState = inventory.Unread
		}, authz.Unknown},
		{"a queue's policy", reader, "sqs:SendMessage", "arn:aws:sqs:us-east-1:222222222222:jobs", func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources["arn:aws:sqs:us-east-1:222222222222:jobs"].Policy = deny
		}, authz.ExplicitDeny},
		{"a subscription is under its topic's policy", reader, "sns:GetSubscriptionAttributes", "arn:aws:sns:us-east-1:222222222222:news:6b0e71bd", func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources["arn:aws:sns:us-east-1:222222222222:news"].Policy = deny
		}, authz.ExplicitDeny},
		{"an index is under its table's policy", reader, "dynamodb:Query", table + "/index/i", func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources[table].Policy = deny
		}, authz.ExplicitDeny},
		{"a repository's policy", reader, "ecr:BatchGetImage", "arn:aws:ecr:us-east-1:222222222222:repository/app", func(inv *inventory.Inventory) {
			inv.Accounts[away].Resources["arn:aws:ecr:us-east-1:222222222222:repository/app"].Policy = deny
		}, authz.ExplicitDeny},
		{"a function's policy says nothing of its alias", reader, "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:222222222222:function:run:live", nil, authz.Unknown},
		{"a type that takes no policy", reader, "eks:DescribeCluster", "arn:aws:eks:us-east-1:222222222222:cluster/c", nil, authz.Allowed},
		{"a service none of whose resources take policies", reader, "ec2:StartInstances", "arn:aws:ec2:us-east-1:222222222222:instance/i-1", nil, authz.Allowed},
		{"an unknown type of a service with policies", reader, "backup:DeleteBackupVault", "arn:aws:backup:us-east-1:222222222222:backup-vault:v", nil, authz.Unknown},
		{"no resource at all", reader, "s3:ListAllMyBuckets", "*", nil, authz.Allowed},
		{"a key by its alias", reader, "kms:Decrypt", "arn:aws:kms:us-east-1:222222222222:alias/orders", nil, authz.Allowed},
		{"a key by its alias, whose policy denies", reader, "kms:Decrypt", "arn:aws:kms:us-east-1:222222222222:alias/orders", func(inv *inventory.Inventory) {
			inv.Accounts[away].Keys[key].Policy = deny
		}, authz.ExplicitDeny},
		{"an alias nobody looked for", reader, "kms:Decrypt", "arn:aws:kms:us-east-1:222222222222:alias/else", nil, authz.Unknown},
		{"what an alias may be asked itself", reader, "kms:DeleteAlias", "arn:aws:kms:us-east-1:222222222222:alias/orders", nil, authz.Allowed},
		{"a condition on the key's aliases", reader, "kms:Decrypt", key, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = strings.Replace(allow("kms:*"), `"Resource"`, `"Condition":{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/orders"}},"Resource"`, 1)
		}, authz.Allowed},
		{"a grant on a key", reader, "kms:Decrypt", key, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = allow("s3:*")
			inv.Accounts[away].Keys[key].Grants = []inventory.Grant{{ID: "g", Grantee: reader, Operations: []string{"Decrypt"}}}
		}, authz.Allowed},
		{"grants nobody looked for may give what nothing else does", reader, "kms:Decrypt", key, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = allow("s3:*")
			inv.Accounts[away].Keys[key].GrantState = inventory.NotAsked
		}, authz.Unknown},
		{"grants nobody looked for take nothing away", reader, "kms:Decrypt", key, func(inv *inventory.Inventory) {
			inv.Accounts[away].Keys[key].GrantState = inventory.NotAsked
		}, authz.Allowed},
		{"grants that were listed give nothing more", reader, "kms:Decrypt", key, func(inv *inventory.Inventory) {
			inv.Accounts[away].Roles["reader"].Inline["p"] = allow("s3:*")
		}, authz.ImplicitDeny},
		{"RCPs that deny", reader, "s3:GetObject", "arn:aws:s3:::reports/a", rcp(deny), authz.ExplicitDeny},
		{"RCPs of a service that has none", reader, "sns:Publish", "arn:aws:sns:us-east-1:222222222222:news", rcp(deny), authz.Allowed},
		{"RCPs bind callers of other accounts", app, "sts:AssumeRole", reader, rcp(deny), authz.ExplicitDeny},
		{"RCPs that were not read", reader, "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) {
			inv.Organization.RCPState, inv.Organization.RCPWhy = inventory.Unread, "AccessDenied"
		}, authz.Unknown},
		{"an RCP whose document was not read", reader, "s3:GetObject", "arn:aws:s3:::reports/a", func(inv *inventory.Inventory) {
			rcp(deny)(inv)
			inv.Organization.RCPs = nil
		}, authz.Unknown},
		{"RCPs do not bind what they are not about", reader, "s3:ListAllMyBuckets", "*", rcp(deny), authz.Allowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := full()
			if test.change != nil {
				test.change(inv)
			}
			v := effective.New(inv)
			p, err := v.Principal(test.who)
			if err != nil {
				t.Fatal(err)
			}
			q := effective.Question{Principal: p, Action: test.action, Resource: test.resource}
			d := v.Ask(q)
			if d.Outcome != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
			if o := v.Outcome(q); o != d.Outcome {
				t.Errorf("Outcome = %v, Ask = %v", o, d.Outcome)
			}
			req, pols := v.Prepare(q)
			if again := authz.Decide(req, pols, v.Facts()); again != d.Outcome {
				t.Errorf("what Prepare gives is decided as %v, Ask = %v", again, d.Outcome)
			}
		})
	}
}

// rcp attaches a policy to away's OU.
func rcp(document string) func(*inventory.Inventory) {
	return func(inv *inventory.Inventory) {
		inv.Organization.RCPState = inventory.Exists
		inv.Organization.RCPs = map[string]*inventory.OrgPolicy{"p-r": {ID: "p-r", Name: "Perimeter", Document: document}}
		inv.Organization.Root.Children[1].RCPs = []string{"p-r"}
	}
}

func TestAskGoesThroughTheEndpointNamed(t *testing.T) {
	v := effective.New(full())
	p, _ := v.Principal(reader)
	q := effective.Question{Principal: p, Action: "sqs:SendMessage", Resource: "arn:aws:sqs:us-east-1:222222222222:jobs"}
	for _, test := range []struct {
		name, action, endpoint string
		want                   authz.Outcome
	}{
		{"what its policy allows", "sqs:SendMessage", "vpce-1", authz.Allowed},
		{"what its policy does not allow", "sqs:ReceiveMessage", "vpce-1", authz.ImplicitDeny},
		{"the same past it", "sqs:ReceiveMessage", "", authz.Allowed},
		{"one by its ARN", "sqs:ReceiveMessage", "arn:aws:ec2:us-east-1:222222222222:vpc-endpoint/vpce-1", authz.ImplicitDeny},
		{"one that is not known", "sqs:SendMessage", "vpce-2", authz.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := q
			q.Action, q.Endpoint = test.action, test.endpoint
			if d := v.Ask(q); d.Outcome != test.want {
				t.Errorf("Ask = %v, want %v:\n%s", d.Outcome, test.want, d.Text())
			}
		})
	}
	inv := full()
	inv.Accounts[away].Roles["reader"].Inline["p"] = strings.Replace(allow("*"), `"Resource"`, `"Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}},"Resource"`, 1)
	v = effective.New(inv)
	if o := v.Outcome(q); o != authz.Unknown {
		t.Errorf("without an endpoint named, a condition on it is %v, want Unknown", o)
	}
	q.Endpoint = "vpce-1"
	if o := v.Outcome(q); o != authz.Allowed {
		t.Errorf("with the endpoint named, a condition on it is %v, want Allowed", o)
	}
}

func TestAssumeTakesWhatNobodyLookedForToBeNone(t *testing.T) {
	inv := full()
	inv.Organization.RCPState = inventory.NotAsked
	inv.Accounts[away].Keys[key].GrantState = inventory.NotAsked
	inv.Accounts[away].Resources = nil
	inv.Accounts[away].Listed = nil
	strict, lenient := effective.New(inv), effective.Options{Assume: true}.New(inv)
	mine, _ := strict.Principal(reader)
	theirs, _ := strict.Principal(app)
	for _, test := range []struct {
		name      string
		principal authz.Principal
		resource  string
		want      authz.Outcome
		assumed   string
	}{
		{"a table of the caller's account", mine, table, authz.Allowed, "policy of table Orders"},
		{"a table of another account", theirs, table, authz.Unknown, ""},
		{"a role", mine, "arn:aws:iam::222222222222:role/other", authz.Unknown, ""},
	} {
		action := "dynamodb:GetItem"
		if strings.Contains(test.resource, ":role/") {
			action = "sts:AssumeRole"
		}
		q := effective.Question{Principal: test.principal, Action: action, Resource: test.resource}
		if o := strict.Outcome(q); o != authz.Unknown && test.principal.Account() == away {
			t.Errorf("%s: strictly %v, want Unknown", test.name, o)
		}
		q.Principal.Entity.Resource = test.principal.Entity.Resource
		o := lenient.Outcome(q)
		if test.principal.Account() == away && o != test.want {
			t.Errorf("%s: assuming %v, want %v", test.name, o, test.want)
		}
		if test.assumed != "" && !slices.ContainsFunc(lenient.Assumed(), func(s string) bool { return strings.Contains(s, test.assumed) }) {
			t.Errorf("%s: %q is not among what was assumed: %q", test.name, test.assumed, lenient.Assumed())
		}
	}
	if o := lenient.Outcome(effective.Question{Principal: mine, Action: "kms:Decrypt", Resource: key}); o != authz.Allowed {
		t.Errorf("a key whose grants were not looked for is %v, want Allowed", o)
	}
	if len(strict.Assumed()) > 0 {
		t.Errorf("a strict view assumed %q", strict.Assumed())
	}
	inv.Organization.RCPState = inventory.Unread
	if o := (effective.Options{Assume: true}).New(inv).Outcome(effective.Question{Principal: mine, Action: "kms:Decrypt", Resource: key}); o != authz.Unknown {
		t.Errorf("RCPs that could not be read are assumed away: %v", o)
	}
}

func TestBearersNeedTheirProvider(t *testing.T) {
	inv := world()
	inv.Accounts[away].Roles["reader"].Trust = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:saml-provider/corp"},"Action":"sts:AssumeRoleWithSAML"}}`
	q := effective.Question{Action: "sts:AssumeRoleWithSAML", Resource: reader}
	q.Principal, _ = effective.New(inv).Principal("arn:aws:iam::222222222222:saml-provider/corp")
	if o := effective.New(inv).Outcome(q); o != authz.Allowed {
		t.Errorf("a provider nobody looked for: %v, want Allowed", o)
	}
	inv.Accounts[away].Listed[inventory.KindSAML] = inventory.Exists
	if d := effective.New(inv).Ask(q); d.Outcome != authz.ImplicitDeny || !strings.Contains(d.Summary(), "there is no identity provider") {
		t.Errorf("a provider that is not there: %s", d.Summary())
	}
	inv.Accounts[away].SAML = map[string]*inventory.SAMLProvider{"arn:aws:iam::222222222222:saml-provider/corp": {Name: "corp"}}
	if o := effective.New(inv).Outcome(q); o != authz.Allowed {
		t.Errorf("a provider that is there: %v, want Allowed", o)
	}
}

func TestSCPsThatAreNotEnabledLimitNothing(t *testing.T) {
	inv := full()
	inv.Organization.Policies = nil
	var clear func(n *inventory.Node)
	clear = func(n *inventory.Node) {
		n.SCPs = nil
		for _, c := range n.Children {
			clear(c)
		}
	}
	clear(inv.Organization.Root)
	if d := ask(t, inv, reader, "dynamodb:GetItem", table); !d.Allowed() {
		t.Errorf("an organization without SCPs: %s", d.Text())
	}
}

func TestAViewAnswersManyAtOnce(t *testing.T) {
	v := effective.New(full())
	mine, _ := v.Principal(reader)
	theirs, _ := v.Principal(app)
	questions := []effective.Question{
		{Principal: mine, Action: "s3:GetObject", Resource: "arn:aws:s3:::reports/a"}, {Principal: theirs, Action: "sts:AssumeRole", Resource: reader},
		{Principal: mine, Action: "kms:Decrypt", Resource: key}, {Principal: mine, Action: "dynamodb:GetItem", Resource: table},
	}
	var want []authz.Outcome
	for _, q := range questions {
		want = append(want, effective.New(full()).Outcome(q))
	}
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			i := n % len(questions)
			if o := v.Ask(questions[i]).Outcome; o != want[i] {
				t.Errorf("question %d: %v, alone %v", i, o, want[i])
			}
		})
	}
	wg.Wait()
}

func TestSidesAnswerAsAskDoes(t *testing.T) {
	v := effective.New(full())
	for _, who := range []string{reader, app, "arn:aws:iam::111111111111:user/bob", "arn:aws:iam::222222222222:root"} {
		p, err := v.Principal(who)
		if err != nil {
			t.Fatal(err)
		}
		caller := v.Caller(p)
		for resource, action := range map[string]string{"arn:aws:s3:::reports/a": "s3:GetObject", reader: "sts:AssumeRole", key: "kms:Decrypt", table: "dynamodb:GetItem"} {
			guard := v.Guard(effective.Question{Action: action, Resource: resource})
			q := effective.Question{Principal: p, Action: action, Resource: resource}
			if got, want := v.Decide(q, caller, guard), v.Ask(q).Outcome; got != want {
				t.Errorf("%s %s on %s: Decide = %v, Ask = %v", who, action, resource, got, want)
			}
		}
	}
}

func BenchmarkOutcome(b *testing.B) {
	v := effective.New(full())
	p, _ := v.Principal(app)
	q := effective.Question{Principal: p, Action: "sts:AssumeRole", Resource: reader}
	caller, guard := v.Caller(p), v.Guard(q)
	b.Run("cold sides", func(b *testing.B) {
		for b.Loop() {
			v.Outcome(q)
		}
	})
	b.Run("shared sides", func(b *testing.B) {
		for b.Loop() {
			v.Decide(q, caller, guard)
		}
	})
}
