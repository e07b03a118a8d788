package eks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"

func mustEnter(t *testing.T, client *eks.Client, principal string) *types.AccessEntry {
	t.Helper()
	out, err := client.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &principal})
	if err != nil {
		t.Fatal(err)
	}
	return out.AccessEntry
}

func TestAccessEntryFromBeginningToEnd(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	role := c.role("deploy", trusting("ec2.amazonaws.com"))
	entry := mustEnter(t, client, role)
	if *entry.Type != "STANDARD" || *entry.Username != "arn:aws:sts::111111111111:assumed-role/deploy/{{SessionName}}" || len(entry.KubernetesGroups) != 0 {
		t.Errorf("entry is %s %s %v", *entry.Type, *entry.Username, entry.KubernetesGroups)
	}
	if !strings.HasPrefix(*entry.AccessEntryArn, "arn:aws:eks:us-east-1:111111111111:access-entry/ci/role/111111111111/deploy/") {
		t.Errorf("ARN is %s", *entry.AccessEntryArn)
	}
	_, err := client.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &role})
	worldtest.WantError(t, err, "ResourceInUseException", "The specified access entry resource is already in use on this cluster.")

	updated, err := client.UpdateAccessEntry(t.Context(), &eks.UpdateAccessEntryInput{
		ClusterName: aws.String("ci"), PrincipalArn: &role, Username: aws.String("deployer"), KubernetesGroups: []string{"viewers"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := updated.AccessEntry; *got.Username != "deployer" || !slices.Equal(got.KubernetesGroups, []string{"viewers"}) || *got.AccessEntryArn != *entry.AccessEntryArn {
		t.Errorf("updated entry is %+v", got)
	}
	scope := &types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: []string{"dev-*"}}
	if _, err := client.AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{
		ClusterName: aws.String("ci"), PrincipalArn: &role, PolicyArn: aws.String(view), AccessScope: scope,
	}); err != nil {
		t.Fatal(err)
	}
	policies, err := client.ListAssociatedAccessPolicies(t.Context(), &eks.ListAssociatedAccessPoliciesInput{ClusterName: aws.String("ci"), PrincipalArn: &role})
	if err != nil {
		t.Fatal(err)
	}
	if p := policies.AssociatedAccessPolicies; len(p) != 1 || *p[0].PolicyArn != view || p[0].AccessScope.Type != scope.Type || !slices.Equal(p[0].AccessScope.Namespaces, scope.Namespaces) {
		t.Errorf("policies are %+v", p)
	}
	for policy, want := range map[string]int{view: 1, strings.Replace(view, "View", "Edit", 1): 0} {
		listed, err := client.ListAccessEntries(t.Context(), &eks.ListAccessEntriesInput{ClusterName: aws.String("ci"), AssociatedPolicyArn: &policy})
		if err != nil || len(listed.AccessEntries) != want {
			t.Errorf("entries with %s: %v, %v, want %d", policy, listed, err, want)
		}
	}
	if _, err := client.DisassociateAccessPolicy(t.Context(), &eks.DisassociateAccessPolicyInput{ClusterName: aws.String("ci"), PrincipalArn: &role, PolicyArn: aws.String(view)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteAccessEntry(t.Context(), &eks.DeleteAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &role}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribeAccessEntry(t.Context(), &eks.DescribeAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &role})
	worldtest.WantError(t, err, "ResourceNotFoundException", "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
}

func TestAccessEntriesAreRefused(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	role := c.role("deploy", trusting("ec2.amazonaws.com"))
	c.World.Lock()
	linked := &store.Role{Entity: store.Entity{Name: "Linked", Path: "/aws-service-role/x.amazonaws.com/", ID: c.World.NewPrincipal(a, "role", "Linked")}, ServiceLinked: true}
	c.World.Accounts[a].IAM.Roles["linked"] = store.NewVersioned(c.Clock.Now(), linked)
	c.World.Unlock()
	for _, test := range []struct {
		name, principal, code, text string
		change                      func(*eks.CreateAccessEntryInput)
	}{
		{"role that does not exist", "arn:aws:iam::111111111111:role/none", "InvalidParameterException", "The specified principalArn is invalid: invalid principal.", nil},
		{"account that does not exist", "arn:aws:iam::444444444444:role/deploy", "InvalidParameterException", "The specified principalArn is invalid: invalid principal.", nil},
		{"role without its path", "arn:aws:iam::111111111111:role/path/deploy", "InvalidParameterException", "The specified principalArn is invalid: invalid principal.", nil},
		{"session", "arn:aws:sts::111111111111:assumed-role/deploy/s", "InvalidParameterException", "The specified principalArn is invalid", nil},
		{"root", "arn:aws:iam::111111111111:root", "InvalidParameterException", "The specified principalArn is invalid", nil},
		{"service-linked role", linked.RoleARN(a).String(), "InvalidParameterException", "Service Linked Role", nil},
		{"system group", role, "InvalidParameterException", "The kubernetes group name system:masters is invalid, it cannot start with system:",
			func(in *eks.CreateAccessEntryInput) { in.KubernetesGroups = []string{"ok", "system:masters"} }},
		{"system user", role, "InvalidParameterException", "The username must not begin with system:",
			func(in *eks.CreateAccessEntryInput) { in.Username = aws.String("system:admin") }},
		{"session name without a colon", role, "InvalidParameterException", "colon",
			func(in *eks.CreateAccessEntryInput) { in.Username = aws.String("x-{{SessionName}}") }},
		{"groups of a node", role, "InvalidParameterException", "STANDARD", func(in *eks.CreateAccessEntryInput) {
			in.Type, in.KubernetesGroups = aws.String("EC2_LINUX"), []string{"g"}
		}},
		{"unknown type", role, "InvalidParameterException", "MARTIAN", func(in *eks.CreateAccessEntryInput) { in.Type = aws.String("MARTIAN") }},
		{"unknown cluster", role, "ResourceNotFoundException", "No cluster found for name: none.", func(in *eks.CreateAccessEntryInput) { in.ClusterName = aws.String("none") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &eks.CreateAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &test.principal}
			if test.change != nil {
				test.change(in)
			}
			_, err := client.CreateAccessEntry(t.Context(), in)
			worldtest.WantError(t, err, test.code, test.text)
		})
	}
}

func TestAccessEntryOfARoleThatIsNotVisibleYet(t *testing.T) {
	c := newCloud(t)
	c.World.SetDelay("", 10)
	client := c.admin(t, a)
	role := c.role("late", trusting("ec2.amazonaws.com"))
	_, err := client.CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &role})
	worldtest.WantError(t, err, "InvalidParameterException", "invalid principal")
	c.Clock.Advance(10)
	mustEnter(t, client, role)
}

func TestNodesHaveNamesAndGroupsOfTheirOwn(t *testing.T) {
	c := newCloud(t)
	role := c.role("node", trusting("ec2.amazonaws.com"))
	out, err := c.admin(t, a).CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{ClusterName: aws.String("ci"), PrincipalArn: &role, Type: aws.String("EC2_LINUX")})
	if err != nil {
		t.Fatal(err)
	}
	if e := out.AccessEntry; *e.Username != "system:node:{{EC2PrivateDNSName}}" || !slices.Equal(e.KubernetesGroups, []string{"system:nodes"}) {
		t.Errorf("entry is %s %v", *e.Username, e.KubernetesGroups)
	}
	_, err = c.admin(t, a).AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{
		ClusterName: aws.String("ci"), PrincipalArn: &role, PolicyArn: aws.String(view), AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
	})
	worldtest.WantError(t, err, "InvalidRequestException", "EC2_LINUX")
}

func TestAccessPoliciesAreRefused(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	role := c.role("deploy", trusting("ec2.amazonaws.com"))
	mustEnter(t, client, role)
	for _, test := range []struct {
		name, policy string
		scope        types.AccessScope
	}{
		{"unknown policy", "arn:aws:eks::aws:cluster-access-policy/None", types.AccessScope{Type: types.AccessScopeTypeCluster}},
		{"IAM policy", "arn:aws:iam::aws:policy/AdministratorAccess", types.AccessScope{Type: types.AccessScopeTypeCluster}},
		{"no namespace", view, types.AccessScope{Type: types.AccessScopeTypeNamespace}},
		{"namespace of the cluster scope", view, types.AccessScope{Type: types.AccessScopeTypeCluster, Namespaces: []string{"x"}}},
		{"bad namespace", view, types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: []string{"A B"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{ClusterName: aws.String("ci"), PrincipalArn: &role, PolicyArn: &test.policy, AccessScope: &test.scope})
			worldtest.WantError(t, err, "InvalidParameterException", "")
		})
	}
	_, err := client.DisassociateAccessPolicy(t.Context(), &eks.DisassociateAccessPolicyInput{ClusterName: aws.String("ci"), PrincipalArn: &role, PolicyArn: aws.String(view)})
	worldtest.WantError(t, err, "ResourceNotFoundException", "")
}

func TestCreatorGetsInWhenAccessEntriesAreInUse(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	mustCreate(t, client, request("blue")) // CONFIG_MAP is the API's default
	_, err := client.ListAccessEntries(t.Context(), &eks.ListAccessEntriesInput{ClusterName: aws.String("blue")})
	worldtest.WantError(t, err, "InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	if _, err := client.UpdateClusterConfig(t.Context(), &eks.UpdateClusterConfigInput{
		Name: aws.String("blue"), AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApiAndConfigMap},
	}); err != nil {
		t.Fatal(err)
	}
	out, err := client.ListAccessEntries(t.Context(), &eks.ListAccessEntriesInput{ClusterName: aws.String("blue")})
	if err != nil {
		t.Fatal(err)
	}
	const admin = "arn:aws:iam::111111111111:user/Administrator"
	if diff := cmp.Diff([]string{admin}, out.AccessEntries); diff != "" {
		t.Fatal(diff)
	}
	policies, err := client.ListAssociatedAccessPolicies(t.Context(), &eks.ListAssociatedAccessPoliciesInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(admin)})
	if err != nil || len(policies.AssociatedAccessPolicies) != 1 || !strings.HasSuffix(*policies.AssociatedAccessPolicies[0].PolicyArn, "/AmazonEKSClusterAdminPolicy") {
		t.Errorf("policies are %+v, %v", policies, err)
	}
}

func TestEntriesOfOtherAccountsAndPages(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	mustEnter(t, client, "arn:aws:iam::222222222222:user/Administrator")
	for i := range 4 {
		mustEnter(t, client, c.role(fmt.Sprint("r", i), trusting("ec2.amazonaws.com")))
	}
	var all []string
	for p := eks.NewListAccessEntriesPaginator(client, &eks.ListAccessEntriesInput{ClusterName: aws.String("ci"), MaxResults: aws.Int32(3)}); p.HasMorePages(); {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, out.AccessEntries...)
	}
	if len(all) != 5 || !slices.IsSorted(all) {
		t.Errorf("entries are %q", all)
	}
	policies, err := client.ListAccessPolicies(t.Context(), &eks.ListAccessPoliciesInput{})
	if err != nil || !slices.ContainsFunc(policies.AccessPolicies, func(p types.AccessPolicy) bool { return *p.Arn == view }) {
		t.Errorf("policies are %v, %v", policies, err)
	}
}

func TestAccessEntryPermissions(t *testing.T) {
	c := newCloud(t)
	deploy, other := c.role("deploy", trusting("ec2.amazonaws.com")), c.role("other", trusting("ec2.amazonaws.com"))
	mustEnter(t, c.admin(t, a), deploy)
	mustEnter(t, c.admin(t, a), other)
	client := eks.NewFromConfig(c.User(a, "limited", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"eks:AssociateAccessPolicy","Resource":"arn:aws:eks:us-east-1:111111111111:access-entry/ci/role/111111111111/deploy/*",
		 "Condition":{"StringEquals":{"eks:policyArn":"`+view+`"},"ForAllValues:StringLike":{"eks:namespaces":"dev-*"},"Null":{"eks:namespaces":"false"}}}]}`))
	associate := func(principal, policy string, scope types.AccessScope) error {
		_, err := client.AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{ClusterName: aws.String("ci"), PrincipalArn: &principal, PolicyArn: &policy, AccessScope: &scope})
		return err
	}
	dev := types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: []string{"dev-a"}}
	if err := associate(deploy, view, dev); err != nil {
		t.Error(err)
	}
	worldtest.WantError(t, associate(other, view, dev), "AccessDeniedException", "eks:AssociateAccessPolicy")
	worldtest.WantError(t, associate(deploy, strings.Replace(view, "View", "Admin", 1), dev), "AccessDeniedException", "eks:AssociateAccessPolicy")
	worldtest.WantError(t, associate(deploy, view, types.AccessScope{Type: types.AccessScopeTypeCluster}), "AccessDeniedException", "eks:AssociateAccessPolicy")
}
