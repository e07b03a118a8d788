package compile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/compile/compiletest"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

const (
	tooling = arn.AccountID("111111111111")
	orders  = arn.AccountID("222222222222")
	network = arn.AccountID("333333333333")

	issuer     = "oidc.example/ci"
	secretARN  = "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-a1B2c3"
	secretAny  = "arn:aws:secretsmanager:us-east-1:222222222222:secret:AppDemoSecret-*"
	keyARN     = "arn:aws:kms:us-east-1:222222222222:key/k1"
	networkKey = "arn:aws:kms:us-east-1:333333333333:key/shared"
	rootOnly   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:*","Resource":"*"}]}`
)

// situation is declarations and the world they meet, built in memory so that
// a case can change one fact.
type situation struct {
	set   *access.Set
	world *inventory.Inventory
}

// base is a service account, a role and a user of account tooling, and a
// secret of account orders.
func base() *situation {
	account := func(name string, id arn.AccountID) *access.Account {
		return &access.Account{Metadata: access.Metadata{Name: name}, ID: id, Regions: []string{"us-east-1"}, Path: "/stile/"}
	}
	return &situation{
		set: &access.Set{
			Scope:    access.Scope{Metadata: access.Metadata{Name: "payroll"}, Home: access.Home{Account: "tooling", Region: "us-east-1"}},
			Accounts: []*access.Account{account("tooling", tooling), account("orders", orders), account("network", network)},
			Clusters: []*access.Cluster{{Metadata: access.Metadata{Name: "ci"}, Account: "tooling", Region: "us-east-1", EKSName: "ci", Issuer: "https://" + issuer, Identity: access.IRSA}},
		},
		world: &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{
			tooling: {
				ID:        tooling,
				Roles:     map[string]*inventory.Role{"deploy": {ARN: "arn:aws:iam::111111111111:role/deploy", Name: "deploy", ID: "AROADEPLOY", Path: "/"}},
				Users:     map[string]*inventory.User{"alice": {ARN: "arn:aws:iam::111111111111:user/alice", Name: "alice", ID: "AIDAALICE", Path: "/"}},
				Providers: map[string]*inventory.OIDCProvider{}, Clusters: map[string]*inventory.Cluster{},
			},
			orders: {
				ID: orders, Roles: map[string]*inventory.Role{}, Providers: map[string]*inventory.OIDCProvider{},
				Secrets: map[string]*inventory.Secret{secretAny: {ARN: secretARN, Name: "AppDemoSecret", KMSKey: keyARN, KeyARN: keyARN}},
				Keys:    map[string]*inventory.Key{keyARN: {ARN: keyARN, Enabled: true, Policy: rootOnly}},
			},
			network: {ID: network},
		}},
	}
}

func (s *situation) add(a *access.Access) *access.Access {
	if a.Name == "" {
		a.Name = "a" + string(rune('0'+len(s.set.Accesses)))
	}
	a.Pos = access.Pos{File: "access.yaml", Line: 10 * (len(s.set.Accesses) + 1), Column: 1}
	s.set.Accesses = append(s.set.Accesses, a)
	return a
}

// underNetworkKey puts the secret under a key of account network.
func (s *situation) underNetworkKey() {
	found := *s.world.Accounts[orders].Secrets[secretAny]
	found.KMSKey, found.KeyARN = networkKey, networkKey
	s.world.Accounts[orders].Secrets = map[string]*inventory.Secret{secretAny: &found, secretARN: &found}
	s.world.Accounts[network].Keys = map[string]*inventory.Key{networkKey: {ARN: networkKey, Enabled: true, Policy: rootOnly}}
}

func (s *situation) compile(tb testing.TB) (*compile.Wanted, *inventory.Inventory, diag.List) {
	tb.Helper()
	return (&compiletest.Case{Set: s.set, World: s.world}).Compile(tb)
}

var (
	pod    = access.Caller{ServiceAccount: &access.ServiceAccount{Cluster: "ci", Namespace: "payroll", Name: "api"}}
	deploy = access.Caller{Role: &access.IAMName{Account: "tooling", Name: "deploy", Path: "/"}}
	alice  = access.Caller{User: &access.IAMName{Account: "tooling", Name: "alice", Path: "/"}}
	lists  = access.Allow{Grant: "eks/list"}
	shared = access.Allow{Actions: []string{"secretsmanager:GetSecretValue"}, Resources: []string{secretAny}, Via: access.ResourcePolicy}
)

func decrypts(keys ...string) access.Allow {
	return access.Allow{Grant: "kms/decrypt", Resources: keys}
}

func to(names ...string) access.Targets { return access.Targets{Accounts: names} }

func one(c access.Caller, allow ...access.Allow) *access.Access {
	return &access.Access{From: []access.Caller{c}, To: to("orders"), As: "app", Allow: allow}
}

func TestEachFaultHasOneDiagnostic(t *testing.T) {
	for _, test := range []struct {
		name  string
		given func(s *situation)
		code  string
		text  string
	}{
		{"a cluster that EKS does not have", func(s *situation) {
			s.set.Clusters[0].Issuer = ""
			s.add(one(pod, lists))
			s.add(one(pod, lists)) // the fault is the cluster's, and told once
		}, compile.CodeNoCluster, "EKS has no cluster ci in us-east-1 of account tooling"},
		{"a cluster without issuer", func(s *situation) {
			s.set.Clusters[0].Issuer = ""
			s.world.Accounts[tooling].Clusters["us-east-1/ci"] = &inventory.Cluster{Name: "ci", Region: "us-east-1"}
			s.add(one(pod, lists))
		}, compile.CodeNoIssuer, "has no OIDC issuer"},
		{"a cluster that could not be read", func(s *situation) {
			s.set.Clusters[0].Issuer = ""
			s.world.Accounts[tooling].Problems = []inventory.Problem{{What: "cluster us-east-1/ci", Why: "AccessDeniedException"}}
			s.add(one(pod, lists))
		}, compile.CodeUnread, "could not be read: AccessDeniedException"},
		{"a caller that does not exist", func(s *situation) {
			s.add(one(access.Caller{Role: &access.IAMName{Account: "tooling", Name: "gone"}}, lists))
		}, compile.CodeNoCaller, "there is no role gone in account tooling"},
		{"a role of another path", func(s *situation) {
			s.add(one(access.Caller{Role: &access.IAMName{Account: "tooling", Name: "deploy", Path: "/ci/"}}, lists))
		}, compile.CodeCallerPath, "is declared with the path /ci/, but is arn:aws:iam::111111111111:role/deploy"},
		{"a user of another path", func(s *situation) {
			s.add(one(access.Caller{User: &access.IAMName{Account: "tooling", Name: "alice", Path: "/staff/"}}, lists))
		}, compile.CodeCallerPath, "arn:aws:iam::111111111111:user/alice"},
		{"conditions that leave no room for the end", func(s *situation) {
			var taken []access.Condition
			for _, op := range []string{"DateLessThan", "DateLessThanEquals", "DateLessThanIfExists", "DateLessThanEqualsIfExists"} {
				taken = append(taken, access.Condition{Operator: op, Key: "aws:CurrentTime", Values: []string{"2030-01-01T00:00:00Z"}})
			}
			s.add(one(pod, access.Allow{Grant: "eks/list", Conditions: taken})).Expires = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		}, compile.CodeNoEnd, "every DateLessThan operator"},
		{"a service-linked caller", func(s *situation) {
			s.world.Accounts[tooling].Roles["slr"] = &inventory.Role{ARN: "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/slr", Name: "slr"}
			s.add(one(access.Caller{Role: &access.IAMName{Account: "tooling", Name: "slr"}}, lists))
		}, compile.CodeCallerFixed, "service-linked"},
		{"an account that does not answer", func(s *situation) {
			s.world.Accounts[orders] = &inventory.Account{ID: orders, Problems: []inventory.Problem{{What: "account", Why: "cannot assume arn:aws:iam::222222222222:role/manager"}}}
			s.add(one(pod, lists))
			s.add(one(deploy, lists)).As = "other"
		}, compile.CodeAccountUnread, "account orders (222222222222) could not be read: cannot assume"},
		{"an account that is not declared", func(s *situation) {
			s.add(one(pod, lists)).To = to("nowhere")
		}, compile.CodeUnknownName, `no Account "nowhere"`},
		{"a secret that does not exist, to be shared", func(s *situation) {
			s.world.Accounts[orders].Secrets = nil
			s.add(one(deploy, shared))
		}, compile.CodeNoSecret, "there is no secret " + secretAny},
		{"a secret that does not exist, for a role", func(s *situation) {
			s.add(one(pod, access.Allow{Grant: "secretsmanager/read", Resources: []string{secretARN}}))
		}, compile.CodeNoSecret, "there is no secret " + secretARN},
		{"a secret that waits for its deletion", func(s *situation) {
			s.world.Accounts[orders].Secrets[secretAny].Deleting = true
			s.add(one(deploy, shared))
		}, compile.CodeNoSecret, "scheduled for deletion"},
		{"a secret under the AWS managed key", func(s *situation) {
			s.world.Accounts[orders].Secrets[secretAny].KMSKey = ""
			s.add(one(deploy, shared))
		}, compile.CodeManagedKey, "AppDemoSecret cannot be shared"},
		{"a secret under the AWS managed key by its key's own record", func(s *situation) {
			s.world.Accounts[orders].Keys[keyARN].AWSManaged = true
			s.add(one(deploy, shared))
		}, compile.CodeManagedKey, "AppDemoSecret cannot be shared"},
		{"a key that is disabled", func(s *situation) {
			s.world.Accounts[orders].Keys[keyARN].Enabled = false
			s.add(one(deploy, shared))
		}, compile.CodeNoKey, "is disabled"},
		{"a key in an account that is not declared", func(s *situation) {
			s.world.Accounts[orders].Secrets[secretAny].KeyARN = "arn:aws:kms:us-east-1:444444444444:key/k"
			s.add(one(deploy, shared))
		}, compile.CodeNoKey, "is in an account that is not declared"},
		{"a key of a declared account that is not the secret's", func(s *situation) {
			s.underNetworkKey()
			s.add(one(deploy, shared))
		}, compile.CodeForeignKey, "secret AppDemoSecret of account 222222222222 is encrypted with a key of account 333333333333: " + networkKey},
		{"a key that another item accepts", func(s *situation) {
			s.underNetworkKey()
			s.add(one(deploy, access.Allow{Grant: "sqs/send", Resources: []string{"arn:aws:sqs:us-east-1:222222222222:orders", networkKey}}))
			s.add(one(pod, access.Allow{Grant: "secretsmanager/read", Resources: []string{secretARN}})).As = "reader"
		}, compile.CodeForeignKey, "is encrypted with a key of account 333333333333"},
		{"a key of another account on which something is allowed", func(s *situation) {
			s.add(one(pod, decrypts(networkKey)))
		}, compile.CodeForeignResource, "is not in account orders (222222222222)"},
		{"a declared key that does not exist", func(s *situation) {
			s.add(one(pod, decrypts("arn:aws:kms:us-east-1:222222222222:key/none")))
		}, compile.CodeNoKey, "key arn:aws:kms:us-east-1:222222222222:key/none does not exist"},
		{"a declared key that could not be read", func(s *situation) {
			s.world.Accounts[orders].Problems = []inventory.Problem{{What: "key " + keyARN, Why: "AccessDeniedException"}}
			s.add(one(pod, decrypts(keyARN)))
		}, compile.CodeUnread, "could not be read: AccessDeniedException"},
		{"a declared key that is disabled", func(s *situation) {
			s.world.Accounts[orders].Keys[keyARN].Enabled = false
			s.add(one(pod, decrypts(keyARN)))
		}, compile.CodeNoKey, "key " + keyARN + " is disabled"},
		{"a declared key that AWS manages", func(s *situation) {
			s.world.Accounts[orders].Keys[keyARN].AWSManaged = true
			s.add(one(deploy, decrypts(keyARN)))
		}, compile.CodeManagedKey, "it is managed by AWS"},
		{"a pattern of keys", func(s *situation) {
			s.add(one(pod, decrypts("arn:aws:kms:us-east-1:222222222222:key/*")))
		}, compile.CodeBadResource, "names no single key"},
		{"a multi-Region key without a replica in the declared Regions", func(s *situation) {
			s.add(one(pod, decrypts("arn:aws:kms:*:222222222222:key/mrk-1")))
		}, compile.CodeNoKey, "key arn:aws:kms:us-east-1:222222222222:key/mrk-1 does not exist"},
		{"a multi-Region key in none of several Regions", func(s *situation) {
			s.set.Accounts[1].Regions = []string{"us-east-1", "eu-west-1"}
			s.add(one(pod, decrypts("arn:aws:kms:*:222222222222:key/mrk-1")))
		}, compile.CodeNoKey, "is in none of the account's declared Regions"},
		{"a multi-Region key in another part of the world", func(s *situation) {
			s.add(one(pod, decrypts("arn:aws:kms:eu-*:222222222222:key/mrk-1")))
		}, compile.CodeBadResource, "names no single key"},
		{"a key shared for what its own account alone may do", func(s *situation) {
			s.add(one(deploy, access.Allow{Actions: []string{"kms:PutKeyPolicy"}, Resources: []string{keyARN}, Via: access.ResourcePolicy}))
		}, compile.CodePattern, "KMS takes kms:PutKeyPolicy from the key's own account only"},
		{"a key shared beside a secret", func(s *situation) {
			s.add(one(deploy, access.Allow{Actions: []string{"secretsmanager:GetSecretValue", "kms:Decrypt"}, Resources: []string{secretAny, keyARN}, Via: access.ResourcePolicy}))
		}, compile.CodePattern, "is allowed in one item with other resources"},
		{"a key that could not be found", func(s *situation) {
			s.world.Accounts[orders].Secrets[secretAny].KeyARN = ""
			s.add(one(deploy, shared))
		}, compile.CodeNoKey, "could not be found"},
		{"a secret's short name across accounts", func(s *situation) {
			s.add(one(deploy, access.Allow{Actions: shared.Actions, Resources: []string{"AppDemoSecret"}, Via: access.ResourcePolicy}))
		}, compile.CodeBadResource, `secret "AppDemoSecret" is not named by its ARN`},
		{"a pattern of secrets to be shared", func(s *situation) {
			s.add(one(deploy, access.Allow{Actions: shared.Actions, Resources: []string{"arn:aws:secretsmanager:us-east-1:222222222222:secret:prod/*"}, Via: access.ResourcePolicy}))
		}, compile.CodeBadResource, "names no single secret"},
		{"a resource of another account", func(s *situation) {
			s.add(one(pod, access.Allow{Grant: "dynamodb/read", Resources: []string{"arn:aws:dynamodb:us-east-1:333333333333:table/T"}}))
		}, compile.CodeForeignResource, "is not in account orders (222222222222)"},
		{"a resource of every account", func(s *situation) {
			s.add(one(pod, access.Allow{Actions: []string{"sts:AssumeRole"}, Resources: []string{"arn:aws:iam::*:role/App"}}))
		}, compile.CodeForeignResource, "arn:aws:iam::*:role/App is not in account orders"},
		{"an unknown bundle", func(s *situation) {
			s.add(one(pod, access.Allow{Grant: "dynamodb/reed", Resources: []string{"*"}}))
		}, compile.CodeUnknownGrant, `there is no grant "dynamodb/reed"`},
		{"a bundle on a resource it does not fit", func(s *situation) {
			s.add(one(pod, access.Allow{Grant: "dynamodb/read", Resources: []string{"arn:aws:s3:::bucket"}}))
		}, compile.CodeBadResource, "has no action for arn:aws:s3:::bucket"},
		{"an action that no resource limits", func(s *situation) {
			s.add(one(pod, access.Allow{Actions: []string{"eks:ListClusters"}, Resources: []string{"arn:aws:eks:us-east-1:222222222222:cluster/x"}}))
		}, compile.CodeBadResource, "eks:ListClusters cannot be limited"},
		{"web identity for a role", func(s *situation) { s.add(one(deploy, lists)).Via = access.WebIdentity }, compile.CodePattern, "has no token"},
		{"a chain for a user", func(s *situation) { s.add(one(alice, lists)).Via = access.Chain }, compile.CodePattern, "a hub role would only add a hop"},
		{"AssumeRole for a service account", func(s *situation) { s.add(one(pod, lists)).Via = access.AssumeRole }, compile.CodePattern, "not an IAM principal"},
		{"session tags by web identity", func(s *situation) {
			a := s.add(one(pod, lists))
			a.Via, a.Session.Tags = access.WebIdentity, map[string]string{"team": "x"}
		}, compile.CodePattern, "carries none"},
		{"a resource policy for what takes none", func(s *situation) {
			s.add(one(deploy, access.Allow{Actions: []string{"dynamodb:GetItem"}, Resources: []string{"arn:aws:dynamodb:us-east-1:222222222222:table/T"}, Via: access.ResourcePolicy}))
		}, compile.CodePattern, "only those of secrets"},
		{"Pod Identity by the cluster", func(s *situation) {
			s.set.Clusters[0].Identity = access.PodIdentity
			s.add(one(pod, lists))
		}, compile.CodeUnsupported, "not in this version"},
		{"Pod Identity by the declaration", func(s *situation) { s.add(one(pod, lists)).Via = access.PodIdentityVia }, compile.CodeUnsupported, "not in this version"},
		{"two callers of one role", func(s *situation) {
			s.add(one(pod, lists))
			s.add(one(deploy, lists))
		}, access.CodeRoleClaimed, "role app in account orders (222222222222) is claimed by"},
		{"two callers of which one does not share", func(s *situation) {
			s.add(one(pod, lists)).Shared = true
			s.add(one(deploy, lists))
		}, access.CodeRoleClaimed, "is claimed by"},
		{"two spellings of one role", func(s *situation) {
			s.add(one(pod, lists))
			s.add(one(pod, lists)).As = "APP"
		}, compile.CodeConflict, "is also spelt"},
		{"different external ids for one caller", func(s *situation) {
			s.add(one(deploy, lists))
			other := access.Caller{Role: &access.IAMName{Account: "tooling", Name: "deploy", ExternalID: "x1"}}
			s.add(one(other, lists))
		}, compile.CodeConflict, "different external ids"},
		{"a circle of roles", func(s *situation) {
			role := func(account, name string) access.Caller {
				return access.Caller{Role: &access.IAMName{Account: account, Name: name}}
			}
			s.add(one(role("network", "b"), lists)).As = "a"
			x := s.add(one(role("orders", "a"), lists))
			x.As, x.To = "b", to("network")
		}, access.CodeCycle, "orders/a"},
		{"a role's name that IAM does not allow", func(s *situation) { s.add(one(pod, lists)).As = "a b" }, compile.CodeName, `"a b" cannot be`},
		{"a role's name that is too long", func(s *situation) { s.add(one(pod, lists)).As = strings.Repeat("x", 65) }, compile.CodeName, "65 characters"},
		{"a trust policy over the account's quota", func(s *situation) {
			a := s.add(one(deploy, lists))
			a.Shared = true
			for i := range 60 {
				name := "caller-" + strings.Repeat("y", 20) + string(rune('A'+i))
				s.world.Accounts[tooling].Roles[strings.ToLower(name)] = &inventory.Role{ARN: "arn:aws:iam::111111111111:role/" + name, Name: name}
				a.From = append(a.From, access.Caller{Role: &access.IAMName{Account: "tooling", Name: name}})
			}
		}, compile.CodeQuota, "trust policy of role app in account orders (222222222222) would have"},
		{"a user's inline policies over the quota", func(s *situation) {
			s.world.Accounts[tooling].Users["alice"].Inline = map[string]string{"own": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + strings.Repeat("b", 1900) + `"}]}`}
			s.add(one(alice, lists))
		}, compile.CodeQuota, "inline policies of user alice in account tooling"},
		{"a key policy over the quota", func(s *situation) {
			s.world.Accounts[orders].Keys[keyARN].Policy = strings.Replace(rootOnly, "kms:*", "kms:"+strings.Repeat("D", 32600), 1)
			s.add(one(deploy, shared))
		}, compile.CodeQuota, "policy of key " + keyARN},
		{"no room for one more role", func(s *situation) {
			s.world.Accounts[orders].Quotas = inventory.Quotas{Roles: 10, RolesUsed: 10}
			s.add(one(deploy, lists))
		}, compile.CodeQuota, "roles in account orders (222222222222) would have 11 roles, over the quota of 10"},
		{"no room for a provider anywhere", func(s *situation) {
			for _, id := range []arn.AccountID{tooling, orders} {
				s.world.Accounts[id].Quotas = inventory.Quotas{OIDCProviders: 5, OIDCProvidersUsed: 5}
			}
			s.add(one(pod, lists))
		}, compile.CodeQuota, "account tooling has 5 of 5 OIDC providers"},
		{"no room for a provider where web identity is demanded", func(s *situation) {
			s.world.Accounts[orders].Quotas = inventory.Quotas{OIDCProviders: 5, OIDCProvidersUsed: 5}
			s.add(one(pod, lists)).Via = access.WebIdentity
		}, compile.CodePattern, "account orders has 5 of 5"},
		{"somebody else's provider without our audience", func(s *situation) {
			s.world.Accounts[orders].Providers[issuer] = &inventory.OIDCProvider{ARN: "arn:aws:iam::222222222222:oidc-provider/" + issuer, URL: issuer, ClientIDs: []string{"other"}}
			s.add(one(pod, lists))
		}, compile.CodeForeignProvider, "does not accept the audience sts.amazonaws.com"},
		{"a boundary that does not exist", func(s *situation) {
			s.set.Accounts[1].PermissionsBoundary = "arn:aws:iam::222222222222:policy/limit"
			s.world.Accounts[orders].Managed = map[string]*inventory.Managed{"arn:aws:iam::222222222222:policy/limit": nil}
			s.add(one(pod, lists))
		}, compile.CodeNoBoundary, "policy/limit of account orders does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := base()
			test.given(s)
			w, _, diags := s.compile(t)
			if w != nil {
				t.Errorf("Compile gives a Wanted beside an error")
			}
			var errs diag.List
			for _, d := range diags {
				if d.Severity == diag.Error {
					errs.Add(d)
				}
			}
			if len(errs) != 1 {
				t.Fatalf("Compile reports %d errors, want 1:\n%v", len(errs), errs)
			}
			d := errs[0]
			if d.Code != test.code || !strings.Contains(d.Summary, test.text) {
				t.Errorf("Compile reports %s, want code %s and text %q", d, test.code, test.text)
			}
		})
	}
}

func TestBaseCompiles(t *testing.T) {
	for name, a := range map[string]*access.Access{
		"service account": one(pod, lists), "role": one(deploy, lists), "user": one(alice, lists), "shared": one(deploy, shared),
	} {
		s := base()
		s.add(a)
		if w, _, diags := s.compile(t); w == nil || len(diags) > 0 {
			t.Errorf("%s: Compile = %v, %v; want a Wanted without diagnostics, or the faults above prove nothing", name, w, diags)
		}
	}
}

// TestAKeyOfAnotherAccountIsUsedWhereItIsNamed: and only through the secret.
func TestAKeyOfAnotherAccountIsUsedWhereItIsNamed(t *testing.T) {
	for name, allow := range map[string]access.Allow{
		"a grant":           {Grant: "secretsmanager/read", Resources: []string{secretARN, networkKey}},
		"plain actions":     {Actions: []string{"secretsmanager:GetSecretValue"}, Resources: []string{secretARN, networkKey}},
		"a resource policy": {Actions: shared.Actions, Resources: []string{secretAny, networkKey}, Via: access.ResourcePolicy},
		"in any Region":     {Grant: "secretsmanager/read", Resources: []string{secretARN, "arn:aws:kms:*:333333333333:key/shared"}},
	} {
		s := base()
		s.underNetworkKey()
		s.add(one(deploy, allow))
		w, _, diags := s.compile(t)
		if w == nil || len(diags) > 0 {
			t.Errorf("%s: Compile = %v, %v; want a Wanted without diagnostics", name, w, diags)
			continue
		}
		var written []compile.Statement
		for _, st := range w.Statements {
			if st.Target == networkKey {
				written = append(written, st)
			}
		}
		if len(written) != 1 || written[0].Account != network || len(written[0].Statement.Conditions) < 2 {
			t.Errorf("%s: the key's policy gets %+v, want one statement of account network with conditions", name, written)
		}
		for _, p := range w.Routes[0].Allow {
			if p.Implied == "" && slices.ContainsFunc(p.Resources, func(r string) bool { return strings.Contains(r, ":kms:") }) {
				t.Errorf("%s: %v is allowed on the key itself", name, p.Actions)
			}
		}
	}
}

func TestWithoutNeedsNothingIsGuessed(t *testing.T) {
	s := base()
	s.add(one(pod, lists))
	w, diags := compile.Compile(s.set, &inventory.Inventory{})
	if w != nil || !diags.HasErrors() || diags[0].Code != compile.CodeNotObserved {
		t.Errorf("Compile with an empty inventory = %v, %v; want %s", w, diags, compile.CodeNotObserved)
	}
}

func TestChainedSessionsAreCutWithAWarning(t *testing.T) {
	s := base()
	a := s.add(one(deploy, lists))
	a.Session.MaxDuration = 4 * time.Hour
	w, _, diags := s.compile(t)
	if w == nil || len(diags) != 1 || diags[0].Code != compile.CodeChainDuration || diags[0].Severity != diag.Warning {
		t.Fatalf("Compile = %v, %v; want a warning %s", w, diags, compile.CodeChainDuration)
	}
	if got := w.Routes[0].Hops[0].Duration; got != time.Hour {
		t.Errorf("Hop.Duration = %s, want 1h", got)
	}
	if got := w.Roles[0].MaxSession; got != time.Hour {
		t.Errorf("MaxSession = %s, want 1h: every way in is a chain", got)
	}
}
