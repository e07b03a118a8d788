package inventorytest

import (
	"fmt"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

const (
	adminPolicy     = "arn:aws:iam::aws:policy/AdministratorAccess"
	eksPolicy       = "arn:aws:iam::aws:policy/aws-service-role/AmazonEKSServiceRolePolicy"
	githubIssuer    = "token.actions.githubusercontent.com"
	managedPolicies = 10 // customer managed policies of each account
)

func lower(s string) string { return strings.ToLower(s) }

func managedARN(id arn.AccountID, i int) string {
	return arn.IAM(partition, id, "policy", "/", fmt.Sprintf("shared-%02d", i)).String()
}

func boundaryARN(id arn.AccountID) string {
	return arn.IAM(partition, id, "policy", "/", "boundary").String()
}

func samlARN(id arn.AccountID) string {
	return arn.IAM(partition, id, "saml-provider", "/", "AWSSSO_DO_NOT_DELETE").String()
}

func bucketName(id arn.AccountID, i int) string { return fmt.Sprintf("data-%s-%02d", id, i) }

// issuerOf is the issuer of the account's cluster, without "https://".
func issuerOf(a *inventory.Account) string {
	return "oidc.eks." + HomeRegion + ".amazonaws.com/id/" + fmt.Sprintf("%020X%s", 0xABCDEF, a.ID)
}

func secretName(i int) string { return fmt.Sprintf("app/secret-%02d", i) }

func (g *generator) secretPattern(id arn.AccountID) string {
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-*", HomeRegion, id, secretName(g.rand.IntN(g.Resources)))
}

func (g *generator) managed(id arn.AccountID) map[string]*inventory.Managed {
	out := map[string]*inventory.Managed{
		adminPolicy: {ARN: adminPolicy, Document: allowAll},
		eksPolicy: {ARN: eksPolicy, Document: policy.NewDocument(policy.Statement{
			Effect: policy.Allow, Actions: policy.Texts("ec2:CreateNetworkInterface", "ec2:DescribeInstances"), Resources: policy.Texts("*"),
		}).String()},
	}
	add := func(name string, statements ...policy.Statement) {
		out[name] = &inventory.Managed{ARN: name, Document: policy.NewDocument(statements...).String()}
	}
	add(boundaryARN(id), policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("s3:*", "secretsmanager:*", "kms:*", "sqs:*", "dynamodb:*", "sts:*"), Resources: policy.Texts("*"),
	})
	services := []string{"s3:Get*", "s3:List*", "sqs:SendMessage", "sns:Publish", "dynamodb:Query", "dynamodb:GetItem", "logs:PutLogEvents", "kms:Decrypt", "ecr:BatchGetImage", "lambda:InvokeFunction"}
	for i := range managedPolicies {
		st := policy.Statement{Effect: policy.Allow, Actions: policy.Texts(services[i], services[(i+3)%len(services)]), Resources: policy.Texts("*")}
		if i%3 == 0 {
			st.Conditions = []policy.Condition{policy.Cond("StringEquals", "aws:ResourceAccount", string(id))}
		}
		add(managedARN(id, i), st)
	}
	return out
}

// resources gives the account its resources, its cluster and its providers.
func (g *generator) resources(a *inventory.Account, i int) {
	a.Secrets, a.Keys = map[string]*inventory.Secret{}, map[string]*inventory.Key{}
	a.Resources, a.Endpoints = map[string]*inventory.Resource{}, map[string]*inventory.Endpoint{}
	a.Clusters, a.SAML = map[string]*inventory.Cluster{}, map[string]*inventory.SAMLProvider{}
	for n := range g.Resources {
		key := g.key(a.ID, n)
		a.Keys[key.ARN] = key
		secret := g.secret(a.ID, n, key.ARN)
		a.Secrets[secret.ARN] = secret
		for _, r := range g.others(a.ID, n, key.ARN) {
			a.Resources[r.ARN] = r
		}
	}
	a.SAML[samlARN(a.ID)] = &inventory.SAMLProvider{ARN: samlARN(a.ID), Name: "AWSSSO_DO_NOT_DELETE"}
	for _, url := range []string{githubIssuer, issuerOf(a)} {
		a.Providers[url] = &inventory.OIDCProvider{ARN: arn.OIDCProvider(partition, a.ID, url).String(), URL: url, ClientIDs: []string{"sts.amazonaws.com"}}
	}
	cluster := g.cluster(a, i)
	a.Clusters[cluster.Region+"/"+cluster.Name] = cluster
	endpoint := g.endpoint(a.ID)
	a.Endpoints[endpoint.ARN] = endpoint
	for _, kind := range []string{inventory.KindSAML, inventory.KindProviders, "s3:bucket"} {
		a.Listed[kind] = inventory.Exists
	}
	for _, region := range []string{HomeRegion, OtherRegion} {
		for _, kind := range []string{inventory.KindSecrets, inventory.KindKeys, inventory.KindClusters, inventory.KindEndpoints, "sqs:queue", "sns:topic", "dynamodb:table"} {
			a.Listed[inventory.ListKey(kind, region)] = inventory.Exists
		}
	}
}

// someRoles are ARNs of up to n roles of any account.
func (g *generator) someRoles(n int) []string {
	var out []string
	for range 1 + g.rand.IntN(n) {
		out = append(out, g.roles[g.rand.IntN(len(g.roles))].arn.String())
	}
	return out
}

func (g *generator) key(id arn.AccountID, n int) *inventory.Key {
	name := fmt.Sprintf("%s-%s-%s-%s-%s", g.hex(8), g.hex(4), g.hex(4), g.hex(4), g.hex(12))
	k := &inventory.Key{
		ARN: "arn:aws:kms:" + HomeRegion + ":" + string(id) + ":key/" + name, Enabled: true, GrantState: inventory.Exists,
		Aliases: []string{fmt.Sprintf("alias/app-%02d", n)},
	}
	k.Policy = policy.NewDocument(
		policy.Statement{Sid: "Account", Effect: policy.Allow, Principal: policy.AWS(arn.Root(partition, id).String()), Actions: policy.Texts("kms:*"), Resources: policy.Texts("*")},
		policy.Statement{Sid: "Use", Effect: policy.Allow, Principal: policy.AWS(g.someRoles(3)...), Actions: policy.Texts("kms:Decrypt", "kms:DescribeKey"), Resources: policy.Texts("*")},
	).String()
	if g.chance(30) {
		k.Grants = []inventory.Grant{{ID: g.hex(64), Grantee: g.someRoles(1)[0], Operations: []string{"Decrypt", "GenerateDataKey"}, EncryptionContext: map[string]string{"app": "orders"}}}
	}
	return k
}

func (g *generator) secret(id arn.AccountID, n int, key string) *inventory.Secret {
	s := &inventory.Secret{Name: secretName(n), Tags: map[string]string{"env": "prod"}}
	s.ARN = "arn:aws:secretsmanager:" + HomeRegion + ":" + string(id) + ":secret:" + s.Name + "-" + g.suffix(6)
	if g.chance(70) {
		s.KMSKey, s.KeyARN = key, key
	}
	if g.chance(60) {
		s.Policy = policy.NewDocument(policy.Statement{
			Sid: "Readers", Effect: policy.Allow, Principal: policy.AWS(g.someRoles(4)...), Actions: policy.Texts("secretsmanager:GetSecretValue"), Resources: policy.Texts("*"),
		}).String()
	}
	return s
}

// others makes one bucket, queue, topic and table.
func (g *generator) others(id arn.AccountID, n int, key string) []*inventory.Resource {
	at := func(service string) string { return "arn:aws:" + service + ":" + HomeRegion + ":" + string(id) + ":" }
	name := fmt.Sprintf("app-%02d", n)
	grant := func(resource string, actions ...string) string {
		return policy.NewDocument(policy.Statement{Effect: policy.Allow, Principal: policy.AWS(g.someRoles(3)...), Actions: policy.Texts(actions...), Resources: policy.Texts(resource)}).String()
	}
	bucket := "arn:aws:s3:::" + bucketName(id, n)
	tlsOnly := policy.Statement{
		Sid: "TLSOnly", Effect: policy.Deny, Principal: policy.Everyone(), Actions: policy.Texts("s3:*"), Resources: policy.Texts(bucket, bucket+"/*"),
		Conditions: []policy.Condition{policy.Cond("Bool", "aws:SecureTransport", "false")},
	}
	readers := policy.Statement{Sid: "Readers", Effect: policy.Allow, Principal: policy.AWS(g.someRoles(3)...), Actions: policy.Texts("s3:GetObject"), Resources: policy.Texts(bucket + "/*")}
	out := []*inventory.Resource{
		{ARN: bucket, Type: "s3:bucket", KMSKey: key, Policy: policy.NewDocument(tlsOnly, readers).String()},
		{ARN: at("sqs") + name, Type: "sqs:queue", Policy: grant(at("sqs")+name, "sqs:SendMessage")},
		{ARN: at("sns") + name, Type: "sns:topic", Policy: grant(at("sns")+name, "sns:Publish", "sns:Subscribe")},
		{ARN: at("dynamodb") + "table/" + name, Type: "dynamodb:table"},
	}
	for i, r := range out {
		r.Tags = map[string]string{"team": team(i), "env": "prod"}
		r.PolicyState = inventory.Exists
		if r.Policy == "" {
			r.PolicyState = inventory.Absent
		}
	}
	return out
}

func (g *generator) endpoint(id arn.AccountID) *inventory.Endpoint {
	name := "vpce-" + g.hex(17)
	return &inventory.Endpoint{
		ARN: "arn:aws:ec2:" + HomeRegion + ":" + string(id) + ":vpc-endpoint/" + name, ID: name, VPC: "vpc-" + g.hex(17),
		Service: "com.amazonaws." + HomeRegion + ".secretsmanager",
		Policy: policy.NewDocument(policy.Statement{
			Effect: policy.Allow, Principal: policy.Everyone(), Actions: policy.Texts("*"), Resources: policy.Texts("*"),
			Conditions: []policy.Condition{policy.Cond("StringEquals", "aws:PrincipalOrgID", OrganizationID)},
		}).String(),
	}
}

func (g *generator) cluster(a *inventory.Account, i int) *inventory.Cluster {
	c := &inventory.Cluster{
		Name: "main", Region: HomeRegion, Issuer: "https://" + issuerOf(a), Status: "ACTIVE", ARN: "arn:aws:eks:" + HomeRegion + ":" + string(a.ID) + ":cluster/main",
		AssociationState: inventory.Exists, AccessEntryState: inventory.Exists, ServiceAcctsState: inventory.Exists,
	}
	for n := range g.Roles {
		p := &g.roles[i*g.Roles+n]
		switch p.kind {
		case "irsa":
			c.ServiceAccounts = append(c.ServiceAccounts, inventory.ServiceAccount{Namespace: "apps", Name: "api", Role: p.arn.String()})
		case "pod":
			as := inventory.Association{ID: "a-" + g.hex(17), Namespace: "apps", ServiceAccount: "worker", Role: p.arn.String()}
			as.ARN = "arn:aws:eks:" + HomeRegion + ":" + string(a.ID) + ":podidentityassociation/main/" + as.ID
			if len(p.targets) > 0 {
				as.TargetRole = g.roles[p.targets[0]].arn.String()
				as.ExternalID = HomeRegion + "/" + string(a.ID) + "/main/apps/worker"
			}
			c.Associations = append(c.Associations, as)
		case "admin", "sso":
			c.AccessEntries = append(c.AccessEntries, inventory.AccessEntry{
				Principal: p.arn.String(), Type: "STANDARD", Groups: []string{"viewers"},
				Policies: []inventory.ScopedEKSPolicy{{ARN: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy", Namespaces: []string{"apps"}}},
			})
		}
	}
	return c
}
