package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
)

func parse(t *testing.T, list ...string) []arn.ARN {
	t.Helper()
	var out []arn.ARN
	for _, s := range list {
		a, err := arn.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// A bundle whose table is wrong grants too much or nothing at all, so every
// row is held to the same rules.
func TestBundlesAreConsistent(t *testing.T) {
	names := catalog.BundleNames()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) || len(names) != len(catalog.Bundles()) {
		t.Fatalf("names are not sorted and unique: %v", names)
	}
	for _, b := range catalog.Bundles() {
		t.Run(b.Name, func(t *testing.T) {
			if found, ok := catalog.LookUp(b.Name); !ok || found.Name != b.Name {
				t.Errorf("LookUp(%q) = %v, %v", b.Name, found.Name, ok)
			}
			if b.Summary == "" || b.Source == "" || !strings.HasPrefix(b.Name, b.Service+"/") {
				t.Errorf("summary %q, source %q, service %q", b.Summary, b.Source, b.Service)
			}
			if b.NeedsResources() != (b.Type != "") {
				t.Errorf("type %q, NeedsResources %v", b.Type, b.NeedsResources())
			}
			for _, p := range b.Parts {
				if !slices.IsSorted(p.Actions) || len(p.Actions) == 0 {
					t.Errorf("actions of part %q are not sorted: %v", p.Type, p.Actions)
				}
				for _, a := range p.Actions {
					if !slices.Contains(b.Actions(), a) {
						t.Errorf("Actions leaves out %s", a)
					}
					if catalog.ServiceOf(a) != b.Service || strings.ContainsAny(a, "*?") {
						t.Errorf("action %q", a)
					}
					if catalog.WildcardOnly(a) != (p.Type == catalog.Everything) {
						t.Errorf("%s: wildcard-only %v in a part for %q", a, catalog.WildcardOnly(a), p.Type)
					}
				}
			}
		})
	}
	if _, ok := catalog.LookUp("dynamodb/admin"); ok {
		t.Error("LookUp finds what is not there")
	}
}

func TestStatementsDeriveResourcesFromWhatIsGiven(t *testing.T) {
	const (
		table = "arn:aws:dynamodb:us-east-1:${account}:table/Orders"
		all   = "arn:aws:dynamodb:us-east-1:${account}:*"
		fn    = "arn:aws:lambda:us-east-1:${account}:function:f"
		group = "arn:aws:logs:us-east-1:${account}:log-group:/a/b"
		queue = "arn:aws:sqs:us-east-1:${account}:q"
		repo  = "arn:aws:ecr:us-east-1:${account}:repository/r"
	)
	tests := []struct {
		bundle string
		given  []string
		want   []string // each statement's first action, and its resources
	}{
		{"dynamodb/read", []string{table}, []string{
			"dynamodb:BatchGetItem " + table, "dynamodb:PartiQLSelect " + table + "/index/*", "dynamodb:DescribeStream " + table + "/stream/*",
		}},
		{"dynamodb/read", []string{table + "/index/ByDay"}, []string{"dynamodb:PartiQLSelect " + table + "/index/ByDay"}},
		{"dynamodb/read", []string{table + "/stream/*"}, []string{"dynamodb:DescribeStream " + table + "/stream/*"}},
		{"dynamodb/read", []string{all}, []string{"dynamodb:BatchGetItem " + all, "dynamodb:PartiQLSelect " + all, "dynamodb:DescribeStream " + all}},
		{"dynamodb/read", []string{"arn:aws:s3:::b"}, nil},
		{"dynamodb/write", []string{table}, []string{"dynamodb:BatchWriteItem " + table}},
		{"s3/read", []string{"arn:aws:s3:::b"}, []string{"s3:GetBucketLocation arn:aws:s3:::b", "s3:GetObject arn:aws:s3:::b/*"}},
		{"s3/read", []string{"arn:aws:s3:::b/reports/*"}, []string{"s3:GetObject arn:aws:s3:::b/reports/*"}},
		{"s3/list", []string{"arn:aws:s3:::b/reports/*"}, nil},
		{"s3/write", []string{"arn:aws:s3:us-east-1:1:accesspoint/p"}, []string{"s3:GetBucketLocation arn:aws:s3:us-east-1:1:accesspoint/p", "s3:AbortMultipartUpload arn:aws:s3:us-east-1:1:accesspoint/p"}},
		{"lambda/invoke", []string{fn}, []string{"lambda:InvokeFunction " + fn, "lambda:InvokeFunction " + fn + ":*"}},
		{"lambda/invoke", []string{fn + ":live"}, []string{"lambda:InvokeFunction " + fn + ":live"}},
		{"logs/write", []string{group}, []string{"logs:CreateLogStream " + group + ":*"}},
		{"logs/write", []string{group + ":*"}, []string{"logs:CreateLogStream " + group + ":*"}},
		{"ecr/pull", []string{repo}, []string{"ecr:BatchCheckLayerAvailability " + repo, "ecr:GetAuthorizationToken *"}},
		{"eks/list", nil, []string{"eks:ListClusters *"}},
		{"sqs/send", []string{queue, queue + "2", queue}, []string{"sqs:GetQueueAttributes " + queue + " " + queue + "2"}},
	}
	for _, test := range tests {
		t.Run(test.bundle+" on "+strings.Join(test.given, " "), func(t *testing.T) {
			b, ok := catalog.LookUp(test.bundle)
			if !ok {
				t.Fatal("no such bundle")
			}
			given := parse(t, test.given...)
			var got []string
			for _, s := range b.Statements(given) {
				got = append(got, s.Actions[0]+" "+strings.Join(s.Resources, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
			if fits, want := slices.ContainsFunc(given, b.Fits), test.want != nil && b.NeedsResources(); fits != want {
				t.Errorf("Fits = %v, want %v", fits, want)
			}
		})
	}
}

func TestStatementsDoNotShareTheTable(t *testing.T) {
	b, _ := catalog.LookUp("eks/list")
	b.Statements(nil)[0].Actions[0] = "eks:DeleteCluster"
	if got := b.Statements(nil)[0].Actions[0]; got != "eks:ListClusters" {
		t.Errorf("writing to a statement changed the catalog: %s", got)
	}
}

func TestWildcardOnlyIgnoresLetterCase(t *testing.T) {
	for action, want := range map[string]bool{
		"eks:ListClusters": true, "EKS:listclusters": true, "s3:ListAllMyBuckets": true,
		"s3:ListBucket": false, "s3:List*": false, "unknown:Thing": false, "": false,
	} {
		if got := catalog.WildcardOnly(action); got != want {
			t.Errorf("WildcardOnly(%q) = %v, want %v", action, got, want)
		}
	}
}

func TestPolicyCallFor(t *testing.T) {
	tests := []struct{ resource, set, param string }{
		{"arn:aws:secretsmanager:us-east-1:1:secret:a-*", "PutResourcePolicy", "ResourcePolicy"},
		{"arn:aws:kms:us-east-1:1:key/x", "PutKeyPolicy", "Policy"},
		{"arn:aws:dynamodb:us-east-1:1:table/t", "PutResourcePolicy", "Policy"},
		{"arn:aws:s3:::b/key", "PutBucketPolicy", "Policy"},
		{"arn:aws:sqs:us-east-1:1:q", "SetQueueAttributes", "Policy"},
		{"arn:aws:sns:us-east-1:1:t", "SetTopicAttributes", "Policy"},
		{"arn:aws:ecr:us-east-1:1:repository/r", "SetRepositoryPolicy", "policyText"},
		{"arn:aws:lambda:us-east-1:1:function:f", "AddPermission", ""},
		{"arn:aws:dynamodb:us-east-1:1:table/t/index/i", "", ""},
		{"arn:aws:ssm:us-east-1:1:parameter/p", "", ""},
		{"arn:aws:eks:us-east-1:1:cluster/c", "", ""},
		{"arn:aws:kms:us-east-1:1:alias/a", "", ""},
	}
	for _, test := range tests {
		call, ok := catalog.PolicyCallFor(parse(t, test.resource)[0])
		if ok != (test.set != "") || call.Set != test.set || call.Param != test.param {
			t.Errorf("PolicyCallFor(%s) = %s by %q, %v; want %s by %q", test.resource, call.Set, call.Param, ok, test.set, test.param)
		}
	}
	for _, kind := range catalog.PolicyTypes() {
		service, _, _ := strings.Cut(kind, "/")
		if len(catalog.PolicyCalls(service)) == 0 {
			t.Errorf("%s has no call", kind)
		}
	}
	if calls := catalog.PolicyCalls("secretsmanager"); len(calls) != 1 || calls[0].MaxChars != 20480 || calls[0].Guards[0] != "BlockPublicPolicy" {
		t.Errorf("calls of secretsmanager: %+v", calls)
	}
	if calls := catalog.PolicyCalls("eks"); calls != nil {
		t.Errorf("calls of eks: %+v", calls)
	}
}

func TestKeyUseOf(t *testing.T) {
	use, ok := catalog.KeyUseOf("SecretsManager:getSecretValue")
	if !ok || !slices.Equal(use.Actions, []string{"kms:Decrypt"}) || use.ContextKey != "SecretARN" || use.ViaServiceValue("eu-west-1") != "secretsmanager.eu-west-1.amazonaws.com" {
		t.Errorf("KeyUseOf(GetSecretValue) = %+v, %v", use, ok)
	}
	if _, ok := catalog.KeyUseOf("secretsmanager:DescribeSecret"); ok {
		t.Error("describing a secret uses no key")
	}
	for _, action := range []string{"dynamodb:GetItem", "s3:PutObject", "sqs:SendMessage", "ssm:GetParameter", "sns:Publish"} {
		use, ok := catalog.KeyUseOf(action)
		if !ok || !slices.Contains(use.Actions, "kms:Decrypt") || use.ViaService != catalog.ServiceOf(action) || use.Source == "" {
			t.Errorf("KeyUseOf(%s) = %+v, %v", action, use, ok)
		}
	}
}

func TestProbesAreReadOnly(t *testing.T) {
	probes := catalog.Probes()
	if !slices.IsSortedFunc(probes, func(a, b catalog.Probe) int { return strings.Compare(a.Action, b.Action) }) {
		t.Error("probes are not sorted")
	}
	for _, p := range probes {
		_, operation, _ := strings.Cut(string(p.Kind), ":")
		if !slices.ContainsFunc([]string{"Get", "List", "Describe", "Query"}, func(verb string) bool { return strings.HasPrefix(operation, verb) }) {
			t.Errorf("%s would call %s", p.Action, p.Kind)
		}
		if p.Action != string(p.Kind) || p.Source == "" || p.Resource == catalog.WildcardOnly(p.Action) {
			t.Errorf("probe %+v", p)
		}
	}
	if p, ok := catalog.ProbeFor("dynamodb:getitem"); !ok || p.Kind != catalog.ProbeGetMissingItem {
		t.Errorf("ProbeFor(dynamodb:getitem) = %+v, %v", p, ok)
	}
	if p, ok := catalog.ProbeFor("dynamodb:PutItem"); ok {
		t.Errorf("ProbeFor(dynamodb:PutItem) = %+v", p)
	}
}

func TestKnownOperator(t *testing.T) {
	for op, want := range map[string]bool{
		"StringEquals": true, "stringequals": true, "ForAnyValue:StringLike": true, "ForAllValues:ArnLikeIfExists": true, "BoolIfExists": true, "Null": true,
		"SringEquals": false, "NullIfExists": false, "ForSome:Bool": false, "IfExists": false, "ForAnyValue:": false, "": false, "StringEquals ": false,
	} {
		if got := catalog.KnownOperator(op); got != want {
			t.Errorf("KnownOperator(%q) = %v, want %v", op, got, want)
		}
	}
	if ops := catalog.ConditionOperators(); len(ops) != 27 || !slices.IsSorted(ops) {
		t.Errorf("%d operators: %v", len(ops), ops)
	}
}

func TestRegions(t *testing.T) {
	for _, r := range catalog.Regions() {
		if !catalog.RegionShaped(r) {
			t.Errorf("%s is not shaped like a Region", r)
		}
	}
	for _, bad := range []string{"", "us", "useast1", "us-east", "us-east1", "US-east-1", "us-east-1a", "us--1", "us-east-*", strings.Repeat("a-", 20) + "1"} {
		if catalog.RegionShaped(bad) {
			t.Errorf("%q is shaped like a Region", bad)
		}
	}
	for region, want := range map[string]string{
		"us-east-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "eusc-de-east-1": "aws-eusc", "us-iso-east-1": "aws-iso", "us-isob-east-1": "aws-iso-b",
	} {
		if got := catalog.Partition(region); got != want {
			t.Errorf("Partition(%s) = %s, want %s", region, got, want)
		}
	}
}

func TestARNService(t *testing.T) {
	for action, want := range map[string]string{"sts:AssumeRole": "iam", "dynamodb:GetItem": "dynamodb", "polly:SynthesizeSpeech": "", "x": ""} {
		if got, ok := catalog.ARNService(action); got != want || ok != (want != "") {
			t.Errorf("ARNService(%q) = %q, %v; want %q", action, got, ok, want)
		}
	}
}

func TestQuotasCanBeRaised(t *testing.T) {
	for _, q := range catalog.Quotas() {
		if q.Name == "" || q.Default <= 0 || q.Max <= q.Default {
			t.Errorf("quota %+v", q)
		}
	}
	if policies := catalog.AccessPolicies(); !slices.IsSorted(policies) || !slices.Contains(policies, "AmazonEKSViewPolicy") {
		t.Errorf("access policies: %v", policies)
	}
}
