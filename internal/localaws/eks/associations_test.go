package eks_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

func TestPodIdentityAssociationFromBeginningToEnd(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	role := c.role("payroll", trusting("pods.eks.amazonaws.com"))
	other := c.role("other", trusting("pods.eks.amazonaws.com"))
	const target = "arn:aws:iam::222222222222:role/target"
	made, err := client.CreatePodIdentityAssociation(t.Context(), &eks.CreatePodIdentityAssociationInput{
		ClusterName: aws.String("ci"), Namespace: aws.String("payroll"), ServiceAccount: aws.String("api"), RoleArn: &role, TargetRoleArn: aws.String(target),
		Tags: map[string]string{"team": "pay"},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Association.AssociationId
	if got, want := aws.ToString(made.Association.ExternalId), "us-east-1/111111111111/ci/payroll/api"; got != want {
		t.Errorf("external id is %q, want %q", got, want)
	}
	if got, want := aws.ToString(made.Association.AssociationArn), "arn:aws:eks:us-east-1:111111111111:podidentityassociation/ci/"+*id; got != want {
		t.Errorf("ARN is %q, want %q", got, want)
	}
	tags, err := client.ListTagsForResource(t.Context(), &eks.ListTagsForResourceInput{ResourceArn: made.Association.AssociationArn})
	if err != nil || tags.Tags["team"] != "pay" {
		t.Errorf("tags are %v, %v", tags, err)
	}
	for namespace, want := range map[string]int{"payroll": 1, "default": 0} {
		listed, err := client.ListPodIdentityAssociations(t.Context(), &eks.ListPodIdentityAssociationsInput{ClusterName: aws.String("ci"), Namespace: &namespace})
		if err != nil || len(listed.Associations) != want {
			t.Errorf("associations of namespace %s: %v, %v, want %d", namespace, listed, err, want)
		}
	}
	if _, err := client.UpdatePodIdentityAssociation(t.Context(), &eks.UpdatePodIdentityAssociationInput{
		ClusterName: aws.String("ci"), AssociationId: id, RoleArn: &other, TargetRoleArn: aws.String(""),
	}); err != nil {
		t.Fatal(err)
	}
	now, err := client.DescribePodIdentityAssociation(t.Context(), &eks.DescribePodIdentityAssociationInput{ClusterName: aws.String("ci"), AssociationId: id})
	if err != nil || *now.Association.RoleArn != other || now.Association.TargetRoleArn != nil || now.Association.ExternalId != nil {
		t.Errorf("after the update: %+v, %v", now, err)
	}
	if _, err := client.DeletePodIdentityAssociation(t.Context(), &eks.DeletePodIdentityAssociationInput{ClusterName: aws.String("ci"), AssociationId: id}); err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribePodIdentityAssociation(t.Context(), &eks.DescribePodIdentityAssociationInput{ClusterName: aws.String("ci"), AssociationId: id})
	worldtest.WantError(t, err, "ResourceNotFoundException", *id)
}

func TestPodIdentityAssociationsAreRefused(t *testing.T) {
	c := newCloud(t)
	client := c.admin(t, a)
	role := c.role("payroll", trusting("pods.eks.amazonaws.com"))
	in := func(change func(*eks.CreatePodIdentityAssociationInput)) *eks.CreatePodIdentityAssociationInput {
		in := &eks.CreatePodIdentityAssociationInput{ClusterName: aws.String("ci"), Namespace: aws.String("payroll"), ServiceAccount: aws.String("api"), RoleArn: &role}
		change(in)
		return in
	}
	first := in(func(in *eks.CreatePodIdentityAssociationInput) { in.ClientRequestToken = aws.String("once") })
	made, err := client.CreatePodIdentityAssociation(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.CreatePodIdentityAssociation(t.Context(), first)
	if err != nil || cmp.Diff(*made.Association.AssociationId, *again.Association.AssociationId) != "" {
		t.Errorf("the same request twice: %v, %v, want the same association", again, err)
	}
	for _, test := range []struct {
		name, code, text string
		change           func(*eks.CreatePodIdentityAssociationInput)
	}{
		{"the service account has one", "ResourceInUseException", *made.Association.AssociationId, func(*eks.CreatePodIdentityAssociationInput) {}},
		{"no such cluster", "ResourceNotFoundException", "none", func(in *eks.CreatePodIdentityAssociationInput) { in.ClusterName = aws.String("none") }},
		{"no such role", "InvalidParameterException", "does not exist", func(in *eks.CreatePodIdentityAssociationInput) {
			in.ServiceAccount, in.RoleArn = aws.String("x"), aws.String("arn:aws:iam::111111111111:role/none")
		}},
		{"a role of another account", "AccessDeniedException", "iam:PassRole", func(in *eks.CreatePodIdentityAssociationInput) {
			in.ServiceAccount, in.RoleArn = aws.String("x"), aws.String("arn:aws:iam::222222222222:role/payroll")
		}},
		{"a policy with session tags", "InvalidParameterException", "Session tags", func(in *eks.CreatePodIdentityAssociationInput) {
			in.ServiceAccount, in.Policy = aws.String("x"), aws.String(`{"Version":"2012-10-17","Statement":[]}`)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.CreatePodIdentityAssociation(t.Context(), in(test.change))
			worldtest.WantError(t, err, test.code, test.text)
		})
	}
}

func TestPodIdentityAssociationsNeedPassRole(t *testing.T) {
	c := newCloud(t)
	role := c.role("payroll", trusting("pods.eks.amazonaws.com"))
	create := func(policy string) error {
		client := eks.NewFromConfig(c.User(a, "u", policy))
		_, err := client.CreatePodIdentityAssociation(t.Context(), &eks.CreatePodIdentityAssociationInput{
			ClusterName: aws.String("ci"), Namespace: aws.String("payroll"), ServiceAccount: aws.String("api"), RoleArn: &role,
		})
		return err
	}
	const allowed = `{"Version":"2012-10-17","Statement":[
	 {"Effect":"Allow","Action":"eks:CreatePodIdentityAssociation","Resource":"arn:aws:eks:us-east-1:111111111111:cluster/ci"},
	 {"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"pods.eks.amazonaws.com"}}}]}`
	worldtest.WantError(t, create(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:*","Resource":"*"}]}`), "AccessDeniedException", "iam:PassRole")
	if err := create(allowed); err != nil {
		t.Error(err)
	}
}
