package eks_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const (
	a = worldtest.A
	b = worldtest.B
)

// cloud is a local AWS of the accounts A and B with the cluster ci in A.
type cloud struct {
	*worldtest.Cloud
	server *localaws.Server
	file   string
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := start(t, filepath.Join(t.TempDir(), "state.json"), store.NewManualClock(time.Now().Truncate(time.Second)))
	c.role("cluster", trusting("eks.amazonaws.com"))
	return c
}

func start(t *testing.T, file string, clock *store.ManualClock) *cloud {
	t.Helper()
	server, err := localaws.New(localaws.Config{
		Accounts:  []localaws.Account{{ID: a, Name: "tooling"}, {ID: b, Name: "orders"}},
		Clusters:  []localaws.Cluster{{Account: a, Name: "ci"}},
		Clock:     clock,
		StateFile: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server)
	t.Cleanup(func() {
		h.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cloud{Cloud: &worldtest.Cloud{World: server.World(), Clock: clock, URL: h.URL}, server: server, file: file}
}

func trusting(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
}

// role makes a role in A and returns its ARN.
func (c *cloud) role(name, trust string) string {
	c.World.Lock()
	defer c.World.Unlock()
	id := c.World.NewPrincipal(a, "role", name)
	role := &store.Role{Entity: store.Entity{Name: name, Path: "/", ID: id, Created: c.Clock.Now()}, Trust: trust, MaxSession: time.Hour}
	c.World.Accounts[a].IAM.Roles[strings.ToLower(name)] = store.NewVersioned(c.Clock.Now(), role)
	return role.RoleARN(a).String()
}

// admin is a client of account that may do everything.
func (c *cloud) admin(t *testing.T, account arn.AccountID) *eks.Client {
	t.Helper()
	id, secret, ok := c.server.Administrator(account)
	if !ok {
		t.Fatal("there is no administrator")
	}
	return eks.NewFromConfig(c.Config(id, secret, ""))
}

func request(name string) *eks.CreateClusterInput {
	return &eks.CreateClusterInput{
		Name: aws.String(name), RoleArn: aws.String("arn:aws:iam::" + string(a) + ":role/cluster"),
		ResourcesVpcConfig: &types.VpcConfigRequest{SubnetIds: []string{"subnet-1", "subnet-2"}},
	}
}

func mustCreate(t *testing.T, client *eks.Client, in *eks.CreateClusterInput) *types.Cluster {
	t.Helper()
	out, err := client.CreateCluster(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Cluster
}

func TestClusterOfTheConfigurationIsActive(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	listed, err := client.ListClusters(t.Context(), &eks.ListClustersInput{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ci"}, listed.Clusters); diff != "" {
		t.Error(diff)
	}
	out, err := client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("ci")})
	if err != nil {
		t.Fatal(err)
	}
	k := out.Cluster
	issuer, ok := c.server.Issuer(a, "ci")
	if !ok || aws.ToString(k.Identity.Oidc.Issuer) != issuer {
		t.Errorf("issuer is %q, the server says %q", aws.ToString(k.Identity.Oidc.Issuer), issuer)
	}
	if k.Status != types.ClusterStatusActive || aws.ToString(k.Arn) != "arn:aws:eks:us-east-1:111111111111:cluster/ci" {
		t.Errorf("cluster %s is %s", aws.ToString(k.Arn), k.Status)
	}
	others, err := c.admin(t, b).ListClusters(t.Context(), &eks.ListClustersInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(others.Clusters) != 0 {
		t.Errorf("another account sees %q", others.Clusters)
	}
}

func TestCreatedClusterHasWhatClientsLookFor(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	in := request("blue")
	in.Version, in.Tags = aws.String("1.33"), map[string]string{"team": "payroll"}
	in.AccessConfig = &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApi}
	mustCreate(t, client, in)
	waiter := eks.NewClusterActiveWaiter(client)
	out, err := waiter.WaitForOutput(t.Context(), &eks.DescribeClusterInput{Name: aws.String("blue")}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	k := out.Cluster
	if !regexp.MustCompile(`^https://oidc\.eks\.us-east-1\.amazonaws\.com/id/[0-9A-F]{32}$`).MatchString(*k.Identity.Oidc.Issuer) {
		t.Errorf("issuer is %s", *k.Identity.Oidc.Issuer)
	}
	if !regexp.MustCompile(`^https://[0-9A-F]{32}\.gr7\.us-east-1\.eks\.amazonaws\.com$`).MatchString(*k.Endpoint) {
		t.Errorf("endpoint is %s", *k.Endpoint)
	}
	text, err := base64.StdEncoding.DecodeString(*k.CertificateAuthority.Data)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("certificate authority is %q", text)
	}
	if ca, err := x509.ParseCertificate(block.Bytes); err != nil || !ca.IsCA {
		t.Errorf("certificate authority: %v, a CA: %v", err, ca != nil && ca.IsCA)
	}
	if *k.Version != "1.33" || k.Tags["team"] != "payroll" || *k.RoleArn != *in.RoleArn || k.AccessConfig.AuthenticationMode != types.AuthenticationModeApi {
		t.Errorf("version %s, tags %v, role %s, access %v", *k.Version, k.Tags, *k.RoleArn, k.AccessConfig)
	}
	v := k.ResourcesVpcConfig
	if !slices.Equal(v.SubnetIds, in.ResourcesVpcConfig.SubnetIds) || !v.EndpointPublicAccess || v.EndpointPrivateAccess ||
		!slices.Equal(v.PublicAccessCidrs, []string{"0.0.0.0/0"}) || !strings.HasPrefix(*v.VpcId, "vpc-") {
		t.Errorf("network is %+v", v)
	}
	if *k.KubernetesNetworkConfig.ServiceIpv4Cidr != "10.100.0.0/16" {
		t.Errorf("service CIDR is %s", *k.KubernetesNetworkConfig.ServiceIpv4Cidr)
	}
}

func TestIssuerIsServed(t *testing.T) {
	c := newCloud(t)
	issuer := *mustCreate(t, c.admin(t, a), request("blue")).Identity.Oidc.Issuer
	path := strings.TrimPrefix(issuer, "https://oidc.eks.us-east-1.amazonaws.com")
	for _, host := range []string{"", "oidc.eks.us-east-1.amazonaws.com"} {
		var discovery struct {
			Issuer string `json:"issuer"`
			JWKS   string `json:"jwks_uri"`
		}
		c.get(t, host, path+"/.well-known/openid-configuration", &discovery)
		if discovery.Issuer != issuer || !strings.HasPrefix(discovery.JWKS, issuer+"/") {
			t.Errorf("host %q: discovery is %+v, want issuer %s", host, discovery, issuer)
		}
		var keys struct {
			Keys []struct {
				ID string `json:"kid"`
			} `json:"keys"`
		}
		c.get(t, host, strings.TrimPrefix(discovery.JWKS, "https://oidc.eks.us-east-1.amazonaws.com"), &keys)
		if len(keys.Keys) != 1 || keys.Keys[0].ID == "" {
			t.Errorf("host %q: keys are %+v", host, keys)
		}
	}
	token, ok, err := c.server.ServiceAccountToken(a, "blue", oidc.TokenRequest{Namespace: "n", ServiceAccount: "s", Audiences: []string{"sts.amazonaws.com"}})
	if !ok || err != nil || strings.Count(token, ".") != 2 {
		t.Errorf("token is %q, %v, %v", token, ok, err)
	}
}

func (c *cloud) get(t *testing.T, host, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s %v", path, resp.Status, body, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

func TestDeletedClusterTakesItsIssuerAlong(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	mustCreate(t, client, request("blue"))
	out, err := client.DeleteCluster(t.Context(), &eks.DeleteClusterInput{Name: aws.String("blue")})
	if err != nil || out.Cluster.Status != types.ClusterStatusDeleting {
		t.Fatal(out, err)
	}
	if err := eks.NewClusterDeletedWaiter(client).Wait(t.Context(), &eks.DescribeClusterInput{Name: aws.String("blue")}, time.Minute); err != nil {
		t.Error(err)
	}
	if issuer, ok := c.server.Issuer(a, "blue"); ok {
		t.Errorf("issuer %s is still there", issuer)
	}
	_, err = client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("blue")})
	worldtest.WantError(t, err, "ResourceNotFoundException", "No cluster found for name: blue.")
}

func TestListClustersInPages(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	for _, name := range []string{"d", "b", "e", "a"} {
		mustCreate(t, client, request(name))
	}
	var got []string
	pages := 0
	for p := eks.NewListClustersPaginator(client, &eks.ListClustersInput{MaxResults: aws.Int32(2)}); p.HasMorePages(); pages++ {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, out.Clusters...)
	}
	if diff := cmp.Diff([]string{"a", "b", "ci", "d", "e"}, got); diff != "" || pages != 3 {
		t.Errorf("in %d pages: %s", pages, diff)
	}
	elsewhere, err := client.ListClusters(t.Context(), &eks.ListClustersInput{}, func(o *eks.Options) { o.Region = "eu-west-1" })
	if err != nil || len(elsewhere.Clusters) != 0 {
		t.Errorf("another Region has %v, %v", elsewhere, err)
	}
	_, err = client.ListClusters(t.Context(), &eks.ListClustersInput{NextToken: aws.String("?")})
	worldtest.WantError(t, err, "InvalidParameterException", "nextToken")
}

func TestCreateClusterIsRefused(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	c.role("lambda", trusting("lambda.amazonaws.com"))
	for _, test := range []struct {
		name, code, text string
		change           func(*eks.CreateClusterInput)
	}{
		{"name taken", "ResourceInUseException", "Cluster already exists with name: ci", func(in *eks.CreateClusterInput) { in.Name = aws.String("ci") }},
		{"bad name", "InvalidParameterException", "", func(in *eks.CreateClusterInput) { in.Name = aws.String("-x") }},
		{"no such role", "InvalidParameterException", "could not be assumed because it does not exist or the trusted entity is not correct",
			func(in *eks.CreateClusterInput) { in.RoleArn = aws.String("arn:aws:iam::111111111111:role/none") }},
		{"role of another service", "InvalidParameterException", "could not be assumed",
			func(in *eks.CreateClusterInput) { in.RoleArn = aws.String("arn:aws:iam::111111111111:role/lambda") }},
		{"one subnet", "InvalidParameterException", "two different AZs", func(in *eks.CreateClusterInput) {
			in.ResourcesVpcConfig.SubnetIds = []string{"subnet-1", "subnet-1"}
		}},
		{"no endpoint", "InvalidParameterException", "cannot be false", func(in *eks.CreateClusterInput) {
			in.ResourcesVpcConfig.EndpointPublicAccess = aws.Bool(false)
		}},
		{"bad version", "InvalidParameterException", "unsupported Kubernetes version", func(in *eks.CreateClusterInput) { in.Version = aws.String("2.0") }},
		{"public service CIDR", "InvalidParameterException", "8.8.0.0/16", func(in *eks.CreateClusterInput) {
			in.KubernetesNetworkConfig = &types.KubernetesNetworkConfigRequest{ServiceIpv4Cidr: aws.String("8.8.0.0/16")}
		}},
		{"Auto Mode", "InvalidParameterException", "does not implement EKS Auto Mode", func(in *eks.CreateClusterInput) {
			in.ComputeConfig = &types.ComputeConfigRequest{Enabled: aws.Bool(true)}
		}},
		{"reserved tag", "InvalidParameterException", "aws:", func(in *eks.CreateClusterInput) { in.Tags = map[string]string{"aws:x": "y"} }},
		{"creator without access entries", "InvalidParameterException", "CONFIG_MAP", func(in *eks.CreateClusterInput) {
			in.AccessConfig = &types.CreateAccessConfigRequest{BootstrapClusterCreatorAdminPermissions: aws.Bool(false)}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := request("new")
			test.change(in)
			_, err := client.CreateCluster(t.Context(), in)
			worldtest.WantError(t, err, test.code, test.text)
		})
	}
	out, err := client.ListClusters(t.Context(), &eks.ListClustersInput{})
	if err != nil || !slices.Equal(out.Clusters, []string{"ci"}) {
		t.Errorf("clusters are %v, %v", out, err)
	}
}

func TestCreateClusterTwiceWithOneToken(t *testing.T) {
	c := newCloud(t)
	in := request("blue")
	in.ClientRequestToken = aws.String("once")
	first := mustCreate(t, c.admin(t, a), in)
	second := mustCreate(t, c.admin(t, a), in)
	if *first.Identity.Oidc.Issuer != *second.Identity.Oidc.Issuer {
		t.Error("the second call made another cluster")
	}
}

func TestPermissions(t *testing.T) {
	c := newCloud(t)
	tagged := request("tagged")
	tagged.Tags = map[string]string{"team": "payroll"}
	mustCreate(t, c.admin(t, a), tagged)
	statement := func(actions, resource, condition string) string {
		if condition != "" {
			condition = `,"Condition":` + condition
		}
		return `{"Effect":"Allow","Action":[` + actions + `],"Resource":"` + resource + `"` + condition + `}`
	}
	const ci = "arn:aws:eks:us-east-1:111111111111:cluster/ci"
	for _, test := range []struct {
		name, policy string
		call         func(*eks.Client) error
		allowed      bool
	}{
		{"describe by ARN", statement(`"eks:DescribeCluster"`, ci, ""), describe(t, "ci"), true},
		{"describe another", statement(`"eks:DescribeCluster"`, ci, ""), describe(t, "tagged"), false},
		{"describe by tag", statement(`"eks:DescribeCluster"`, "*", `{"StringEquals":{"aws:ResourceTag/team":"payroll"}}`), describe(t, "tagged"), true},
		{"describe without the tag", statement(`"eks:DescribeCluster"`, "*", `{"StringEquals":{"aws:ResourceTag/team":"payroll"}}`), describe(t, "ci"), false},
		{"list on anything", statement(`"eks:ListClusters"`, "*", ""), list(t), true},
		{"list on all clusters of the account", statement(`"eks:ListClusters"`, "arn:aws:eks:us-east-1:111111111111:cluster/*", ""), list(t), true},
		{"list on a cluster", statement(`"eks:ListClusters"`, ci, ""), list(t), false},
		{"create with the tag asked for", statement(`"eks:CreateCluster","eks:TagResource"`, "*", `{"StringEquals":{"aws:RequestTag/team":"payroll"}}`) + "," +
			statement(`"iam:PassRole"`, "*", `{"StringEquals":{"iam:PassedToService":"eks.amazonaws.com"}}`), create(t, "one", "payroll"), true},
		{"create with another tag", statement(`"eks:CreateCluster","eks:TagResource"`, "*", `{"StringEquals":{"aws:RequestTag/team":"payroll"}}`) + "," +
			statement(`"iam:PassRole"`, "*", ""), create(t, "two", "other"), false},
		{"create without passing the role", statement(`"eks:*"`, "*", ""), create(t, "three", "payroll"), false},
		{"create without tagging", statement(`"eks:CreateCluster","iam:PassRole"`, "*", ""), create(t, "four", "payroll"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := eks.NewFromConfig(c.User(a, strings.ReplaceAll(test.name, " ", "-"), `{"Version":"2012-10-17","Statement":[`+test.policy+`]}`))
			err := test.call(client)
			if test.allowed {
				if err != nil {
					t.Error(err)
				}
				return
			}
			worldtest.WantError(t, err, "AccessDeniedException", "is not authorized to perform: ")
		})
	}
}

func describe(t *testing.T, name string) func(*eks.Client) error {
	return func(client *eks.Client) error {
		_, err := client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: &name})
		return err
	}
}

func list(t *testing.T) func(*eks.Client) error {
	return func(client *eks.Client) error {
		_, err := client.ListClusters(t.Context(), &eks.ListClustersInput{})
		return err
	}
}

func create(t *testing.T, name, team string) func(*eks.Client) error {
	return func(client *eks.Client) error {
		in := request(name)
		in.Tags = map[string]string{"team": team}
		_, err := client.CreateCluster(t.Context(), in)
		return err
	}
}

func TestUpdates(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	in := request("blue")
	in.Version = aws.String("1.32")
	mustCreate(t, client, in)
	update := func(in eks.UpdateClusterConfigInput) (*eks.UpdateClusterConfigOutput, error) {
		in.Name = aws.String("blue")
		return client.UpdateClusterConfig(t.Context(), &in)
	}
	mode := func(m types.AuthenticationMode) eks.UpdateClusterConfigInput {
		return eks.UpdateClusterConfigInput{AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: m}}
	}
	_, err := update(mode(types.AuthenticationModeApi))
	worldtest.WantError(t, err, "InvalidParameterException", "Unsupported authentication mode update from CONFIG_MAP to API")
	out, err := update(mode(types.AuthenticationModeApiAndConfigMap))
	if err != nil {
		t.Fatal(err)
	}
	described, err := client.DescribeUpdate(t.Context(), &eks.DescribeUpdateInput{Name: aws.String("blue"), UpdateId: out.Update.Id})
	if err != nil {
		t.Fatal(err)
	}
	if u := described.Update; u.Status != types.UpdateStatusSuccessful || u.Type != types.UpdateTypeAccessConfigUpdate || *u.Params[0].Value != "API_AND_CONFIG_MAP" {
		t.Errorf("update is %+v", u)
	}
	_, err = update(eks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{EndpointPublicAccess: aws.Bool(true)}})
	worldtest.WantError(t, err, "InvalidParameterException", "Cluster is already at the desired configuration with endpointPrivateAccess: false , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]")
	if _, err := update(eks.UpdateClusterConfigInput{ResourcesVpcConfig: &types.VpcConfigRequest{EndpointPrivateAccess: aws.Bool(true), EndpointPublicAccess: aws.Bool(false)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := update(eks.UpdateClusterConfigInput{Logging: &types.Logging{ClusterLogging: []types.LogSetup{{Enabled: aws.Bool(true), Types: []types.LogType{types.LogTypeAudit}}}}}); err != nil {
		t.Fatal(err)
	}
	both := mode(types.AuthenticationModeApi)
	both.DeletionProtection = aws.Bool(true)
	_, err = update(both)
	worldtest.WantError(t, err, "InvalidParameterException", "Only one type of update can be allowed.")
	_, err = update(eks.UpdateClusterConfigInput{})
	worldtest.WantError(t, err, "InvalidParameterException", "The type for cluster update was not provided.")
	if _, err := update(eks.UpdateClusterConfigInput{DeletionProtection: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DeleteCluster(t.Context(), &eks.DeleteClusterInput{Name: aws.String("blue")})
	worldtest.WantError(t, err, "InvalidRequestException", "deletion protection")
	_, err = client.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: aws.String("blue"), Version: aws.String("1.34")})
	worldtest.WantError(t, err, "InvalidParameterException", "Unsupported Kubernetes minor version update from 1.32 to 1.34")
	if _, err := client.UpdateClusterVersion(t.Context(), &eks.UpdateClusterVersionInput{Name: aws.String("blue"), Version: aws.String("1.33")}); err != nil {
		t.Fatal(err)
	}
	all, err := client.ListUpdates(t.Context(), &eks.ListUpdatesInput{Name: aws.String("blue")})
	if err != nil || len(all.UpdateIds) != 5 {
		t.Errorf("updates are %v, %v", all, err)
	}
	after, err := client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("blue")})
	if err != nil {
		t.Fatal(err)
	}
	k := after.Cluster
	if k.ResourcesVpcConfig.EndpointPublicAccess || !k.ResourcesVpcConfig.EndpointPrivateAccess || *k.Version != "1.33" ||
		!*k.Logging.ClusterLogging[0].Enabled || k.Logging.ClusterLogging[0].Types[0] != types.LogTypeAudit || !*k.DeletionProtection {
		t.Errorf("cluster is %+v %+v", k, k.ResourcesVpcConfig)
	}
}

func TestTags(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	ref := aws.String("arn:aws:eks:us-east-1:111111111111:cluster/ci")
	if _, err := client.TagResource(t.Context(), &eks.TagResourceInput{ResourceArn: ref, Tags: map[string]string{"a": "1", "b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagResource(t.Context(), &eks.UntagResourceInput{ResourceArn: ref, TagKeys: []string{"a", "none"}}); err != nil {
		t.Fatal(err)
	}
	out, err := client.ListTagsForResource(t.Context(), &eks.ListTagsForResourceInput{ResourceArn: ref})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"b": "2"}, out.Tags); diff != "" {
		t.Error(diff)
	}
	_, err = client.TagResource(t.Context(), &eks.TagResourceInput{ResourceArn: aws.String(*ref + "x"), Tags: map[string]string{"a": "1"}})
	worldtest.WantError(t, err, "NotFoundException", "")
	_, err = client.ListTagsForResource(t.Context(), &eks.ListTagsForResourceInput{ResourceArn: aws.String("ci")})
	worldtest.WantError(t, err, "BadRequestException", "")
	// Only the owner's account sees the cluster.
	_, err = c.admin(t, b).ListTagsForResource(t.Context(), &eks.ListTagsForResourceInput{ResourceArn: ref})
	if err == nil {
		t.Error("another account reads the tags")
	}
}

func TestStateSurvives(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	in := request("blue")
	in.Tags = map[string]string{"team": "payroll"}
	in.AccessConfig = &types.CreateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApi}
	mustCreate(t, client, in)
	look := func(client *eks.Client) (*types.Cluster, []string) {
		k, err := client.DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("blue")})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := client.ListAccessEntries(t.Context(), &eks.ListAccessEntriesInput{ClusterName: aws.String("blue")})
		if err != nil {
			t.Fatal(err)
		}
		return k.Cluster, entries.AccessEntries
	}
	before, entriesBefore := look(client)
	if err := c.server.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c.file, c.Clock)
	after, entriesAfter := look(again.admin(t, a))
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".noSmithyDocumentSerde" }, cmp.Ignore())
	if diff := cmp.Diff(before, after, ignore); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(entriesBefore, entriesAfter); diff != "" {
		t.Error(diff)
	}
	_, ok, err := again.server.ServiceAccountToken(a, "blue", oidc.TokenRequest{Namespace: "n", ServiceAccount: "s", Audiences: []string{"x"}})
	if !ok || err != nil {
		t.Errorf("the issuer did not survive: %v, %v", ok, err)
	}
}

func TestErrorsNameTheirStatus(t *testing.T) {
	c := newCloud(t)
	_, err := c.admin(t, a).DescribeCluster(t.Context(), &eks.DescribeClusterInput{Name: aws.String("none")})
	missing, ok := errors.AsType[*types.ResourceNotFoundException](err)
	if !ok || missing.ErrorMessage() != "No cluster found for name: none." {
		t.Errorf("got %v", err)
	}
}
