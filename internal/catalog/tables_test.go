package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
)

// Whatever a hand-made table says of an action, AWS must have that action,
// spelled so.
func TestTablesNameActionsThatExist(t *testing.T) {
	var named []string
	for _, b := range catalog.Bundles() {
		named = append(named, b.Actions()...)
	}
	for _, p := range catalog.Probes() {
		named = append(named, p.Action)
	}
	for _, p := range catalog.AllRolePasses() {
		named = append(named, p.Action)
	}
	for _, c := range catalog.AllCompanions() {
		named = append(named, c.Action)
		named = append(named, c.Of...)
	}
	for action, use := range catalog.KeyUses() {
		named = append(named, action)
		named = append(named, use.Actions...)
	}
	for _, name := range named {
		if a, ok := catalog.ActionOf(name); !ok || a.Name != name {
			t.Errorf("a table names %s; AWS has %q, and near it %q", name, a.Name, catalog.SuggestAction(name))
		}
	}
	f := catalog.Facts()
	for _, set := range []map[string]bool{f.NoPermission, f.RootForbidden, f.CrossAccount["kms"], f.CrossAccount["secretsmanager"], f.CrossAccount["sqs"]} {
		for name := range set {
			if _, ok := catalog.ActionOf(name); !ok || name != strings.ToLower(name) {
				t.Errorf("the facts name %s", name)
			}
		}
	}
}

// A part of a bundle is granted on resources of its type, so AWS must
// authorize each action on that type.
func TestBundlesGrantOnTypesThatTheActionsTake(t *testing.T) {
	names := map[string]string{"qualified function": "function", "secret": "Secret", "log-stream": "log-stream", "stateMachine": "statemachine"}
	for _, b := range catalog.Bundles() {
		for _, p := range b.Parts {
			if p.Type == catalog.Everything {
				continue
			}
			want := p.Type
			if n, ok := names[p.Type]; ok {
				want = n
			}
			for _, name := range p.Actions {
				a, _ := catalog.ActionOf(name)
				// A log group's ARN with ":*" covers its streams, and the other way round.
				if !slices.Contains(a.ResourceTypes, want) && !(b.Service == "logs" && slices.Contains(a.ResourceTypes, "log-group")) {
					t.Errorf("%s grants %s on %s; AWS authorizes it on %q", b.Name, name, p.Type, a.ResourceTypes)
				}
			}
		}
	}
}

func TestFacts(t *testing.T) {
	f := catalog.Facts()
	if f != catalog.Facts() {
		t.Error("the facts are built more than once")
	}
	for service, want := range map[string]bool{"s3": true, "sts": true, "kms": true, "xray": true, "cognito-idp": true, "lambda": false, "sns": false, "iam": false, "ec2": false, "eks": false} {
		if got, known := f.RCPServices[service]; got != want || !known {
			t.Errorf("RCPs on %s: %v, known %v; want %v", service, got, known, want)
		}
	}
	if _, known := f.RCPServices["nosuchservice"]; known {
		t.Error("an unknown service is known")
	}
	for key, want := range map[string]bool{"aws:tagkeys": true, "aws:principalorgpaths": true, "dynamodb:leadingkeys": true, "aws:principalorgid": false, "sts:externalid": false, "aws:principaltag/team": false} {
		if f.Multivalued[key] != want {
			t.Errorf("multivalued %s: %v, want %v", key, f.Multivalued[key], want)
		}
	}
	// What authz knows by itself must not be lost.
	for key := range authz.DefaultFacts().Multivalued {
		if !f.Multivalued[key] {
			t.Errorf("%s is no longer multivalued", key)
		}
	}
	for service, affected := range authz.DefaultFacts().RCPServices {
		if f.RCPServices[service] != affected {
			t.Errorf("authz and the data disagree on RCPs for %s", service)
		}
	}
}

func TestCrossAccountCapable(t *testing.T) {
	for action, want := range map[string][2]bool{
		"kms:Decrypt": {true, true}, "kms:PutKeyPolicy": {false, true}, "kms:ScheduleKeyDeletion": {false, true},
		"secretsmanager:GetSecretValue": {true, true}, "SecretsManager:PutResourcePolicy": {true, true}, "secretsmanager:ListSecrets": {false, true},
		"sqs:SendMessage": {true, true}, "sqs:SetQueueAttributes": {false, true}, "s3:GetObject": {false, false},
	} {
		capable, known := catalog.CrossAccountCapable(action)
		if capable != want[0] || known != want[1] {
			t.Errorf("CrossAccountCapable(%s) = %v, %v; want %v", action, capable, known, want)
		}
	}
	// SQS's page lists those that do not work; the two lists are all there is.
	var not []string
	for _, a := range catalog.ActionsOf("sqs") {
		if ok, _ := catalog.CrossAccountCapable(a.Name); !ok {
			not = append(not, strings.TrimPrefix(a.Name, "sqs:"))
		}
	}
	want := []string{
		"AddPermission", "CancelMessageMoveTask", "CreateQueue", "DeleteQueue", "ListMessageMoveTasks", "ListQueueTags", "ListQueues", "RemovePermission",
		"SetQueueAttributes", "StartMessageMoveTask", "TagQueue", "UntagQueue",
	}
	slices.Sort(not)
	if diff := cmp.Diff(want, not); diff != "" {
		t.Errorf("SQS operations that stay in the account (-page +table):\n%s", diff)
	}
}

func TestRolePasses(t *testing.T) {
	passes := catalog.RolePasses("ecs:registertaskdefinition")
	if len(passes) != 2 || passes[0].Service != "ecs-tasks.amazonaws.com" || !passes[1].Optional {
		t.Errorf("RolePasses(RegisterTaskDefinition) = %+v", passes)
	}
	if p := catalog.RolePasses("eks:CreatePodIdentityAssociation"); len(p) != 1 || p[0].Parameter != "roleArn" || p[0].Optional || p[0].Service != "pods.eks.amazonaws.com" {
		t.Errorf("RolePasses(CreatePodIdentityAssociation) = %+v", p)
	}
	if p := catalog.RolePasses("s3:GetObject"); p != nil {
		t.Errorf("RolePasses(GetObject) = %+v", p)
	}
	if !slices.IsSortedFunc(catalog.AllRolePasses(), func(a, b catalog.RolePass) int { return strings.Compare(a.Action, b.Action) }) {
		t.Error("the passes are not sorted")
	}
	for action, want := range map[string][]string{
		"lambda:CreateFunction": {"iam:PassRole", "lambda:TagResource"}, "sts:AssumeRole": {"sts:SetSourceIdentity", "sts:TagSession"},
		"secretsmanager:BatchGetSecretValue": {"secretsmanager:GetSecretValue", "secretsmanager:ListSecrets"}, "s3:GetObject": nil,
	} {
		a, _ := catalog.ActionOf(action)
		if diff := cmp.Diff(want, a.DependentActions); diff != "" {
			t.Errorf("dependent actions of %s:\n%s", action, diff)
		}
	}
}

func TestCompanions(t *testing.T) {
	got := catalog.Companions("STS:assumerole")
	if len(got) != 2 || got[0].Action != "sts:TagSession" || got[0].When != "Tags" || got[0].On != catalog.SameResource {
		t.Errorf("Companions(AssumeRole) = %+v", got)
	}
	for _, c := range catalog.AllCompanions() {
		if c.Source == "" || len(c.Of) == 0 || c.On > catalog.WithoutResource {
			t.Errorf("companion %+v", c)
		}
		if (c.On == catalog.WithoutResource) != catalog.WildcardOnly(c.Action) {
			t.Errorf("%s is needed on %v, and is wildcard-only: %v", c.Action, c.On, catalog.WildcardOnly(c.Action))
		}
	}
	if got := catalog.Companions("s3:ListBucket"); got != nil {
		t.Errorf("Companions(ListBucket) = %+v", got)
	}
}

func TestServicePrincipalOf(t *testing.T) {
	for name, want := range map[string]string{
		"s3.amazonaws.com": "s3.amazonaws.com", "logs.eu-west-1.amazonaws.com": "logs.amazonaws.com", "EC2.amazonaws.com.cn": "ec2.amazonaws.com",
		"delivery.logs.amazonaws.com": "delivery.logs.amazonaws.com", "nosuch.amazonaws.com": "", "s3": "", "": "", "pods.eks.amazonaws.com": "pods.eks.amazonaws.com",
	} {
		p, ok := catalog.ServicePrincipalOf(name)
		if p.Name != want || ok != (want != "") {
			t.Errorf("ServicePrincipalOf(%q) = %q, %v; want %q", name, p.Name, ok, want)
		}
		if ok && (p.Source == "" || !p.Exempt && !p.SourceArn && !p.SourceAccount) {
			t.Errorf("%+v", p)
		}
	}
	if p, _ := catalog.ServicePrincipalOf("lambda.amazonaws.com"); !p.Exempt || p.SourceArn {
		t.Errorf("lambda: %+v", p)
	}
	if p, _ := catalog.ServicePrincipalOf("sns.amazonaws.com"); p.Exempt || !p.SourceArn {
		t.Errorf("sns: %+v", p)
	}
}

func TestIssuerFor(t *testing.T) {
	tests := []struct {
		host, name, pin string
		shared          bool
	}{
		{"token.actions.githubusercontent.com", "GitHub Actions", "token.actions.githubusercontent.com:sub", true},
		{"https://token.actions.githubusercontent.com/", "GitHub Actions", "token.actions.githubusercontent.com:sub", true},
		{"token.actions.githubusercontent.com/octo-inc", "GitHub Actions of one enterprise", "token.actions.githubusercontent.com/octo-inc:sub", false},
		{"oidc.eks.eu-west-1.amazonaws.com/id/AB12", "Amazon EKS", "oidc.eks.eu-west-1.amazonaws.com/id/AB12:sub", false},
		{"oidc.circleci.com/org/11-22", "CircleCI", "oidc.circleci.com/org/11-22:sub", false},
		{"api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc", "Bitbucket Pipelines", "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc:sub", false},
		{"cognito-identity.amazonaws.com", "Amazon Cognito identity pools", "cognito-identity.amazonaws.com:aud", true},
		{"oidc.vercel.com", "Vercel", "oidc.vercel.com:aud", true},
		{"oidc.vercel.com/acme", "Vercel, one team", "oidc.vercel.com/acme:sub", false},
		{"sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d", "Azure Sentinel", "sts:RoleSessionName", true},
		{"GitLab.com", "GitLab", "GitLab.com:sub", true},
		{"gitlab.com.example", "", "", false},
		{"oidc.eks.eu-west-1.amazonaws.com/id/", "", "", false},
		{"oidc.eks.eu-west-1.amazonaws.com/id/AB/12", "", "", false},
		{"oidc.eks..amazonaws.com/id/AB", "", "", false},
		{"login.example.com", "", "", false},
		{"", "", "", false},
	}
	for _, test := range tests {
		iss, ok := catalog.IssuerFor(test.host)
		if ok != (test.name != "") || iss.Name != test.name || iss.PinKey != test.pin || iss.Shared != test.shared {
			t.Errorf("IssuerFor(%q) = %q, pin %q, shared %v, %v", test.host, iss.Name, iss.PinKey, iss.Shared, ok)
		}
	}
	for _, iss := range catalog.Issuers() {
		if iss.Host == "" || iss.Name == "" || iss.Source == "" || (iss.Claim == "") == (iss.PinKey == "") {
			t.Errorf("issuer %+v", iss)
		}
	}
}

func TestTypesOf(t *testing.T) {
	for written, want := range map[string][]string{
		"arn:aws:s3:::b":     {"bucket"},
		"arn:aws:s3:::b/k/l": {"object"},
		"arn:aws:dynamodb:us-east-1:111122223333:table/t":         {"table"},
		"arn:aws:dynamodb:us-east-1:111122223333:table/t/index/i": {"index"},
		"arn:aws:kinesis:us-east-1:111122223333:stream/s":         {"stream"},
		"arn:aws:iam::111122223333:role/path/r":                   {"role"},
		"arn:aws:sqs:us-east-1:111122223333:q":                    {"queue"},
		"arn:aws:sqs:::q":                                         nil,
		"arn:aws:nosuch:us-east-1:111122223333:x":                 nil,
	} {
		var got []string
		for _, ty := range catalog.TypesOf(parse(t, written)[0]) {
			got = append(got, ty.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("TypesOf(%s):\n%s", written, diff)
		}
	}
}

func TestARNServices(t *testing.T) {
	for action, want := range map[string][]string{
		"sts:AssumeRole": {"iam"}, "s3:GetObject": {"s3"}, "kafka-cluster:Connect": {"kafka"}, "sts:GetCallerIdentity": nil, "nosuch:x": nil,
	} {
		if got := catalog.ARNServices(action); !slices.Equal(got, want) {
			t.Errorf("ARNServices(%s) = %q, want %q", action, got, want)
		}
	}
}

func TestPolicyTargets(t *testing.T) {
	has := func(service, typ, set string) bool {
		return slices.ContainsFunc(catalog.PolicyTargets(service), func(p catalog.PolicyTarget) bool {
			return p.Service == service && p.Type == typ && p.Call.Set == set
		})
	}
	for _, want := range [][3]string{
		{"s3", "bucket", "PutBucketPolicy"}, {"s3", "accesspoint", "PutAccessPointPolicy"}, {"kinesis", "stream", "PutResourcePolicy"},
		{"elasticfilesystem", "file-system", "PutFileSystemPolicy"}, {"aps", "workspace", "PutResourcePolicy"}, {"events", "event-bus", "PutPermission"},
		{"es", "domain", "UpdateDomainConfig"}, {"lambda", "layerVersion", "AddLayerVersionPermission"}, {"glacier", "vault", "SetVaultAccessPolicy"},
	} {
		if !has(want[0], want[1], want[2]) {
			t.Errorf("no %v in %+v", want, catalog.PolicyTargets(want[0]))
		}
	}
	if has("ec2", "subnet", "ModifyVpcEndpoint") || catalog.PolicyTargets("eks") != nil {
		t.Error("subnets and clusters take no policy")
	}
	for _, service := range catalog.Services() {
		for _, target := range catalog.PolicyTargets(service) {
			if _, ok := catalog.ResourceTypeOf(target.Service, target.Type); !ok {
				t.Errorf("%s has no resource type %q", target.Service, target.Type)
			}
		}
	}
	// What the shapes of the bundles' services do not cover comes from the data.
	for written, set := range map[string]string{
		"arn:aws:s3:us-east-1:111122223333:accesspoint/p": "PutAccessPointPolicy", "arn:aws:elasticfilesystem:us-east-1:111122223333:file-system/f": "PutFileSystemPolicy",
		"arn:aws:glue:us-east-1:111122223333:job/j": "",
	} {
		if call, ok := catalog.PolicyCallFor(parse(t, written)[0]); call.Set != set || ok != (set != "") {
			t.Errorf("PolicyCallFor(%s) = %s, %v", written, call.Set, ok)
		}
	}
}

func TestKeyPresence(t *testing.T) {
	user, session, service, web, nobody := authz.User, authz.RoleSession, authz.Service, authz.WebIdentity, authz.Anonymous
	const eks = "oidc.eks.eu-west-1.amazonaws.com/id/AB12"
	tests := []struct {
		key  string
		call catalog.Call
		want catalog.Presence
	}{
		{"aws:CurrentTime", catalog.Call{Caller: nobody}, catalog.Always},
		{"aws:PrincipalArn", catalog.Call{Caller: user}, catalog.Always},
		{"aws:PrincipalArn", catalog.Call{Caller: nobody}, catalog.Never},
		{"aws:username", catalog.Call{Caller: user}, catalog.Always},
		{"aws:username", catalog.Call{Caller: session}, catalog.Never},
		{"aws:PrincipalOrgID", catalog.Call{Caller: session}, catalog.Depends},
		{"aws:PrincipalOrgID", catalog.Call{Caller: service}, catalog.Never},
		{"aws:PrincipalTag/team", catalog.Call{Caller: session}, catalog.Depends},
		{"aws:PrincipalTag/team", catalog.Call{Caller: service}, catalog.Never},
		{"aws:MultiFactorAuthPresent", catalog.Call{Caller: session}, catalog.Always},
		{"aws:MultiFactorAuthPresent", catalog.Call{Caller: user}, catalog.Depends},
		{"aws:MultiFactorAuthAge", catalog.Call{Caller: web}, catalog.Never},
		{"aws:SourceVpce", catalog.Call{Caller: session}, catalog.Depends},
		{"aws:SourceArn", catalog.Call{Caller: service}, catalog.Depends},
		{"aws:SourceArn", catalog.Call{Caller: session}, catalog.Never},
		{"aws:CalledVia", catalog.Call{Caller: session}, catalog.Never},
		{"aws:CalledVia", catalog.Call{Caller: session, ViaService: true}, catalog.Depends},
		{"aws:RequestTag/team", catalog.Call{Caller: session, Action: "sts:AssumeRole"}, catalog.WhenGiven},
		{"aws:RequestTag/team", catalog.Call{Caller: session, Action: "s3:GetObject"}, catalog.Never},
		{"aws:ResourceTag/team", catalog.Call{Caller: session, Action: "eks:ListClusters"}, catalog.Never},
		{"aws:ResourceTag/team", catalog.Call{Caller: session, Action: "eks:DescribeCluster"}, catalog.Depends},
		{"sts:ExternalId", catalog.Call{Caller: session, Action: "sts:AssumeRole"}, catalog.WhenGiven},
		{"sts:ExternalId", catalog.Call{Caller: web, Action: "sts:AssumeRoleWithWebIdentity"}, catalog.Never},
		{"sts:ExternalId", catalog.Call{Caller: session, Action: "sts:*"}, catalog.NotKnown},
		{"sts:RoleSessionName", catalog.Call{Caller: session, Action: "sts:AssumeRole"}, catalog.Always},
		{"sts:RoleSessionName", catalog.Call{Caller: session, Action: "s3:GetObject"}, catalog.Never},
		{eks + ":sub", catalog.Call{Caller: web, Issuer: eks}, catalog.Always},
		{eks + ":sub", catalog.Call{Caller: web}, catalog.Depends},
		{eks + ":sub", catalog.Call{Caller: web, Issuer: "gitlab.com"}, catalog.Never},
		{eks + ":sub", catalog.Call{Caller: session}, catalog.Depends},
		{eks + ":sub", catalog.Call{Caller: user}, catalog.Never},
		{"token.actions.githubusercontent.com:repository", catalog.Call{Caller: session}, catalog.Never},
		{"saml:aud", catalog.Call{Caller: authz.SAML}, catalog.Depends},
		{"saml:sub", catalog.Call{Caller: session}, catalog.Depends},
		{"saml:aud", catalog.Call{Caller: session}, catalog.Never},
		{"kms:ViaService", catalog.Call{Caller: session, Action: "kms:Decrypt"}, catalog.Never},
		{"kms:ViaService", catalog.Call{Caller: session, Action: "kms:Decrypt", ViaService: true}, catalog.Always},
		{"kms:EncryptionContext:SecretARN", catalog.Call{Caller: session, Action: "kms:Decrypt"}, catalog.WhenGiven},
		{"s3:prefix", catalog.Call{Caller: session, Action: "s3:ListBucket"}, catalog.Depends},
		{"s3:prefix", catalog.Call{Caller: session, Action: "sqs:SendMessage"}, catalog.Never},
		{"s3:prefix", catalog.Call{Caller: session, Action: "s3:GetObject"}, catalog.NotKnown},
		{"nosuch:key", catalog.Call{Caller: session, Action: "s3:GetObject"}, catalog.NotKnown},
		{"aws:NoSuchKey", catalog.Call{Caller: session}, catalog.NotKnown},
		{"ec2:SourceInstanceArn", catalog.Call{Caller: session, Action: "s3:GetObject"}, catalog.Depends},
		{"ec2:SourceInstanceArn", catalog.Call{Caller: user, Action: "s3:GetObject"}, catalog.Never},
	}
	for _, test := range tests {
		got, when := catalog.KeyPresence(test.key, test.call)
		if got != test.want {
			t.Errorf("KeyPresence(%s, %+v) = %v (%s), want %v", test.key, test.call, got, when, test.want)
		}
		if other, _ := catalog.KeyPresence(strings.ToUpper(test.key), test.call); other != got {
			t.Errorf("KeyPresence(%s): case counts", test.key)
		}
	}
	for _, k := range catalog.GlobalKeys() {
		if got, _ := catalog.KeyPresence(k.Name, catalog.Call{Caller: session, Action: "s3:GetObject"}); got == catalog.NotKnown && !strings.Contains(strings.ToLower(k.Name), "mcp") && k.Name != "aws:SourceOwner" {
			t.Errorf("nothing is known of the global key %s", k.Name)
		}
	}
}
