package observe_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// whole asks for everything of the accounts orders-prod and tooling, and for
// the organization.
func whole(regions ...string) inventory.Request {
	if len(regions) == 0 {
		regions = []string{scopetest.Region}
	}
	req := asking(scopetest.Orders, inventory.AccountRequest{Everything: true, Quotas: true, Regions: regions})
	*req.Account(scopetest.Tooling) = inventory.AccountRequest{Everything: true, Quotas: true, Regions: regions}
	req.Organization = true
	return req
}

// must fails the test on an error.
func must[T any](t *testing.T) func(out T, err error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

const tablePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/legacy-app"},"Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:us-east-1:222222222222:table/Orders"}]}`

// furnished is a world with one of everything that can be read of the local AWS.
type furnished struct {
	*scopetest.World
	fakes          *fakes
	grant, pending string
	association    *ekstypes.PodIdentityAssociation
}

func furnish(t *testing.T, cfg localaws.Config) *furnished {
	t.Helper()
	cfg.Organization = true
	f := &furnished{World: scopetest.New(t, cfg)}
	f.fakes = &fakes{door: f.Door}
	orders := f.Admin(scopetest.Orders, nil)
	f.identity(t, iam.NewFromConfig(orders))
	f.keysAndSecrets(t, kms.NewFromConfig(orders), secretsmanager.NewFromConfig(orders))
	f.tables(t, dynamodb.NewFromConfig(orders))
	f.cluster(t, eks.NewFromConfig(f.Admin(scopetest.Tooling, nil)))
	return f
}

func (f *furnished) identity(t *testing.T, c *iam.Client) {
	t.Helper()
	must[*iam.CreateOpenIDConnectProviderOutput](t)(c.CreateOpenIDConnectProvider(t.Context(), &iam.CreateOpenIDConnectProviderInput{
		Url: aws.String("https://gitlab.example.com/ci"), ClientIDList: []string{"sts.amazonaws.com"},
	}))
	must[*iam.CreateSAMLProviderOutput](t)(c.CreateSAMLProvider(t.Context(), &iam.CreateSAMLProviderInput{
		Name: aws.String("corp"), SAMLMetadataDocument: aws.String(must[*samltest.IdP](t)(samltest.New("corp")).Metadata()),
	}))
	must[*iam.UpdateRoleOutput](t)(c.UpdateRole(t.Context(), &iam.UpdateRoleInput{RoleName: aws.String("legacy-app"), MaxSessionDuration: aws.Int32(7200)}))
}

func (f *furnished) keysAndSecrets(t *testing.T, keys *kms.Client, secrets *secretsmanager.Client) {
	t.Helper()
	must[*kms.CreateAliasOutput](t)(keys.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/orders"), TargetKeyId: &f.Key}))
	f.grant = aws.ToString(must[*kms.CreateGrantOutput](t)(keys.CreateGrant(t.Context(), &kms.CreateGrantInput{
		KeyId: &f.Key, Name: aws.String("replica"), GranteePrincipal: aws.String("arn:aws:iam::222222222222:role/legacy-app"), Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
		Constraints: &kmstypes.GrantConstraints{EncryptionContextEquals: map[string]string{"SecretARN": f.Secret}},
	})).GrantId)
	must[*secretsmanager.CreateSecretOutput](t)(secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("plain"), SecretString: aws.String("x")}))
	must[*secretsmanager.CreateSecretOutput](t)(secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("by-alias"), SecretString: aws.String("x"), KmsKeyId: aws.String("alias/orders")}))
	f.pending = aws.ToString(must[*secretsmanager.CreateSecretOutput](t)(secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("pending"), SecretString: aws.String("x")})).ARN)
	must[*secretsmanager.DeleteSecretOutput](t)(secrets.DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: &f.pending}))
}

func (f *furnished) tables(t *testing.T, c *dynamodb.Client) {
	t.Helper()
	must[*dynamodb.CreateTableOutput](t)(c.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("Orders"), BillingMode: dynamotypes.BillingModePayPerRequest, ResourcePolicy: aws.String(tablePolicy),
		AttributeDefinitions: []dynamotypes.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: dynamotypes.ScalarAttributeTypeS}},
		KeySchema:            []dynamotypes.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: dynamotypes.KeyTypeHash}},
		Tags:                 []dynamotypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}},
	}))
}

func (f *furnished) cluster(t *testing.T, c *eks.Client) {
	t.Helper()
	f.association = must[*eks.CreatePodIdentityAssociationOutput](t)(c.CreatePodIdentityAssociation(t.Context(), &eks.CreatePodIdentityAssociationInput{
		ClusterName: aws.String("ci"), Namespace: aws.String("payroll"), ServiceAccount: aws.String("api"),
		RoleArn: aws.String("arn:aws:iam::111111111111:role/AppRole"), TargetRoleArn: aws.String("arn:aws:iam::222222222222:role/legacy-app"),
	})).Association
	entry := aws.String("arn:aws:iam::111111111111:role/ci-deployer")
	must[*eks.CreateAccessEntryOutput](t)(c.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: entry, KubernetesGroups: []string{"deployers"}}))
	must[*eks.AssociateAccessPolicyOutput](t)(c.AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{
		ClusterName: aws.String("ci"), PrincipalArn: entry, PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"),
		AccessScope: &ekstypes.AccessScope{Type: ekstypes.AccessScopeTypeNamespace, Namespaces: []string{"payroll"}},
	}))
}

// read reads everything, the services that the local AWS lacks from fakes.
func (f *furnished) read(t *testing.T, regions ...string) *inventory.Inventory {
	t.Helper()
	return fill(t, f.World, f.fakes, whole(regions...))
}

func TestEverythingOfAnAccountIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		inv := f.read(t)
		for id, a := range inv.Accounts {
			if len(a.Problems) > 0 || !a.Complete {
				t.Errorf("account %s: complete %v, problems %v", id, a.Complete, a.Problems)
			}
			for key, state := range a.Listed {
				if state != inventory.Exists {
					t.Errorf("account %s: %s is %v, want it listed", id, key, state)
				}
			}
			if len(a.Listed) != 12 {
				t.Errorf("account %s: %d kinds were listed, want 12: %v", id, len(a.Listed), slices.Sorted(maps.Keys(a.Listed)))
			}
		}
		a := inv.Accounts[scopetest.Orders]
		if a.Name != "orders-prod" {
			t.Errorf("the account is called %q", a.Name)
		}
		if role := a.Roles["legacy-app"]; role == nil || role.MaxSession != 7200 || role.LastUsed == nil || !role.LastUsed.At.IsZero() {
			t.Errorf("role legacy-app = %+v, want its longest session and that it was never used", role)
		}
		if p := a.Providers["gitlab.example.com/ci"]; p == nil || !slices.Equal(p.ClientIDs, []string{"sts.amazonaws.com"}) {
			t.Errorf("OIDC provider = %+v of %v", p, a.Providers)
		}
		want := map[string]*inventory.SAMLProvider{"arn:aws:iam::222222222222:saml-provider/corp": {ARN: "arn:aws:iam::222222222222:saml-provider/corp", Name: "corp", Tags: map[string]string{}}}
		if diff := cmp.Diff(want, a.SAML); diff != "" {
			t.Errorf("SAML providers (-want +got):\n%s", diff)
		}
	})
}

func TestKeysAreReadWithGrantsAndAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		a := f.read(t).Accounts[scopetest.Orders]
		want := &inventory.Key{
			ARN: f.Key, Enabled: true, GrantState: inventory.Exists, Aliases: []string{"alias/orders"},
			Grants: []inventory.Grant{{
				ID: f.grant, Name: "replica", Grantee: "arn:aws:iam::222222222222:role/legacy-app", Operations: []string{"Decrypt"},
				EncryptionContext: map[string]string{"SecretARN": f.Secret}, Equals: true,
			}},
		}
		if diff := cmp.Diff(want, a.Keys[f.Key], cmpopts.IgnoreFields(inventory.Key{}, "Policy")); diff != "" {
			t.Errorf("key (-want +got):\n%s", diff)
		}
		var own *inventory.Key // AWS's own, made with the first secret that has no other
		for _, key := range a.Keys {
			if key.AWSManaged {
				own = key
			}
		}
		if own == nil || !slices.Equal(own.Aliases, []string{"alias/aws/secretsmanager"}) || own.Policy == "" {
			t.Fatalf("AWS's own key = %+v", own)
		}
		byName := map[string]*inventory.Secret{}
		for _, s := range a.Secrets {
			byName[s.Name] = s
		}
		for name, key := range map[string]string{"AppDemoSecret": f.Key, "by-alias": f.Key, "plain": own.ARN} {
			if s := byName[name]; s == nil || s.KeyARN != key || s.Deleting {
				t.Errorf("secret %s = %+v, want it under %s", name, s, key)
			}
		}
		if s := byName["AppDemoSecret"]; !strings.Contains(s.Policy, "Legacy") {
			t.Errorf("policy of the secret = %q", s.Policy)
		}
		if s := a.Secrets[f.pending]; s == nil || !s.Deleting {
			t.Errorf("the secret that is going = %+v", s)
		}
	})
}

func TestClustersAreReadWithWhoMayEnter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		got := f.read(t).Accounts[scopetest.Tooling].Clusters["us-east-1/ci"]
		want := &inventory.Cluster{
			Name: "ci", Region: "us-east-1", Status: "ACTIVE", AssociationState: inventory.Exists, AccessEntryState: inventory.Exists,
			Associations: []inventory.Association{{
				ID: *f.association.AssociationId, ARN: *f.association.AssociationArn, Namespace: "payroll", ServiceAccount: "api",
				Role: "arn:aws:iam::111111111111:role/AppRole", TargetRole: "arn:aws:iam::222222222222:role/legacy-app", ExternalID: "us-east-1/111111111111/ci/payroll/api",
			}},
			AccessEntries: []inventory.AccessEntry{{
				Principal: "arn:aws:iam::111111111111:role/ci-deployer", Type: "STANDARD", Username: "arn:aws:sts::111111111111:assumed-role/ci-deployer/{{SessionName}}",
				Groups: []string{"deployers"}, Policies: []inventory.ScopedEKSPolicy{{ARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", Namespaces: []string{"payroll"}}},
			}},
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(inventory.Cluster{}, "ARN", "Issuer")); diff != "" {
			t.Errorf("cluster (-want +got):\n%s", diff)
		}
	})
}

func TestAClusterWithoutAccessEntriesHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		world := f.Server.World()
		world.Lock()
		world.Accounts[scopetest.Tooling].EKS.In(scopetest.Region).Clusters["ci"].AuthMode = "CONFIG_MAP"
		world.Unlock()
		a := f.read(t).Accounts[scopetest.Tooling]
		if k := a.Clusters["us-east-1/ci"]; k == nil || k.AccessEntryState != inventory.Absent || len(a.Problems) > 0 {
			t.Errorf("cluster = %+v, problems %v; want access entries that are not in use", k, a.Problems)
		}
	})
}

func TestWhatCarriesPoliciesIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		a := f.read(t).Accounts[scopetest.Orders]
		full := func(arn, kind, key string) *inventory.Resource {
			on := arn
			switch kind {
			case "s3:bucket":
				on += "/*"
			case "ecr:repository":
				on = "*"
			}
			return &inventory.Resource{ARN: arn, Type: kind, KMSKey: key, Policy: policyOf(on), PolicyState: inventory.Exists, Tags: map[string]string{"team": "pay"}}
		}
		bare := func(arn, kind string) *inventory.Resource {
			return &inventory.Resource{ARN: arn, Type: kind, PolicyState: inventory.Absent, Tags: map[string]string{}}
		}
		const at = ":us-east-1:222222222222:"
		table := &inventory.Resource{ARN: "arn:aws:dynamodb" + at + "table/Orders", Type: "dynamodb:table", Policy: tablePolicy, PolicyState: inventory.Exists, Tags: map[string]string{"team": "orders"}}
		want := map[string]*inventory.Resource{}
		for _, r := range []*inventory.Resource{
			full("arn:aws:s3:::reports", "s3:bucket", fakeKey), bare("arn:aws:s3:::bare", "s3:bucket"),
			full("arn:aws:sqs"+at+"orders", "sqs:queue", "alias/orders"), bare("arn:aws:sqs"+at+"bare", "sqs:queue"),
			full("arn:aws:sns"+at+"orders", "sns:topic", fakeKey), bare("arn:aws:sns"+at+"bare", "sns:topic"),
			full("arn:aws:lambda"+at+"function:orders", "lambda:function", fakeKey), bare("arn:aws:lambda"+at+"function:bare", "lambda:function"),
			full("arn:aws:ecr"+at+"repository/team/orders", "ecr:repository", fakeKey), bare("arn:aws:ecr"+at+"repository/bare", "ecr:repository"),
			table,
		} {
			want[r.ARN] = r
		}
		if diff := cmp.Diff(want, a.Resources); diff != "" {
			t.Errorf("resources (-want +got):\n%s", diff)
		}
		endpoint := "arn:aws:ec2" + at + "vpc-endpoint/vpce-0a1b"
		wantEndpoints := map[string]*inventory.Endpoint{endpoint: {ARN: endpoint, ID: "vpce-0a1b", VPC: "vpc-1", Service: "com.amazonaws.us-east-1.secretsmanager", Policy: policyOf("*")}}
		if diff := cmp.Diff(wantEndpoints, a.Endpoints); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
	})
}

// Something that is gone between the listing and its own reading is neither
// there nor a failure.
func TestWhatGoesWhileItIsReadIsAbsent(t *testing.T) {
	for operation, kind := range map[string]string{
		"s3:GetBucketPolicy": "s3:bucket", "sqs:GetQueueAttributes": "sqs:queue", "sns:GetTopicAttributes": "sns:topic", "ecr:GetRepositoryPolicy": "ecr:repository",
	} {
		t.Run(operation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := furnish(t, localaws.Config{})
				f.fakes.gone = map[string]bool{operation: true}
				a := f.read(t).Accounts[scopetest.Orders]
				for arn, r := range a.Resources {
					if r.Type == kind {
						t.Errorf("%s is still there", arn)
					}
				}
				region := scopetest.Region
				if kind == "s3:bucket" {
					region = ""
				}
				if state := a.Kind(kind, region); state != inventory.Exists || len(a.Problems) > 0 {
					t.Errorf("%s are %v, problems %v", kind, state, a.Problems)
				}
			})
		})
	}
}

func TestRegionsThatAreNotEnabledAreNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		a := f.read(t, "us-east-1", "ap-east-1", "eu-south-1").Accounts[scopetest.Orders]
		if len(a.Problems) > 0 {
			t.Errorf("problems: %v", a.Problems)
		}
		for region, want := range map[string]inventory.Lookup{"us-east-1": inventory.Exists, "eu-south-1": inventory.Exists, "ap-east-1": inventory.Absent} {
			if got := a.Kind("sqs:queue", region); got != want {
				t.Errorf("queues in %s are %v, want %v", region, got, want)
			}
		}
	})
}

func TestWithoutTheListOfRegionsEachIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		f.fakes.deny = map[string]bool{"ec2:DescribeRegions": true}
		a := f.read(t, "ap-east-1").Accounts[scopetest.Orders]
		if got := a.Kind("sqs:queue", "ap-east-1"); got != inventory.Exists {
			t.Errorf("queues in ap-east-1 are %v, want them tried", got)
		}
		if len(a.Problems) != 1 || a.Problems[0].What != "which Regions are enabled" {
			t.Errorf("problems = %v", a.Problems)
		}
	})
}

// The local AWS itself has none of these services: that is told apart from
// failing and from being empty.
func TestWhatTheEndpointDoesNotServeIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{Organization: true})
		a := fill(t, w, nil, whole("us-east-1", "ap-east-1")).Accounts[scopetest.Orders]
		if len(a.Problems) > 0 {
			t.Errorf("problems: %v", a.Problems)
		}
		for _, key := range []string{"s3:bucket", "us-east-1 sqs:queue", "us-east-1 sns:topic", "us-east-1 lambda:function", "us-east-1 ecr:repository", "us-east-1 endpoints", "ap-east-1 endpoints"} {
			if state, told := a.Listed[key]; state != inventory.NotAsked || !told {
				t.Errorf("%s is %v, told %v, want not asked for", key, state, told)
			}
		}
		if a.Kind(inventory.KindKeys, "us-east-1") != inventory.Exists {
			t.Error("keys were not listed")
		}
	})
}
