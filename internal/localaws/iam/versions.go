package iam

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

func registerVersions(s *service.Service) {
	service.Register(s, "CreatePolicyVersion", writer(named(func(in *iam.CreatePolicyVersionInput) *string { return in.PolicyArn }),
		"CreatePolicyVersion", createPolicyVersion))
	service.Register(s, "GetPolicyVersion", reader(named(func(in *iam.GetPolicyVersionInput) *string { return in.PolicyArn }),
		"GetPolicyVersion", getPolicyVersion))
	service.Register(s, "ListPolicyVersions", reader(named(func(in *iam.ListPolicyVersionsInput) *string { return in.PolicyArn }),
		"ListPolicyVersions", listPolicyVersions))
	service.Register(s, "SetDefaultPolicyVersion", writer(named(func(in *iam.SetDefaultPolicyVersionInput) *string { return in.PolicyArn }),
		"SetDefaultPolicyVersion", setDefaultPolicyVersion))
	service.Register(s, "DeletePolicyVersion", writer(named(func(in *iam.DeletePolicyVersionInput) *string { return in.PolicyArn }),
		"DeletePolicyVersion", deletePolicyVersion))
}

func createPolicyVersion(c *service.Call, in *iam.CreatePolicyVersionInput) (*iam.CreatePolicyVersionOutput, *wire.Error) {
	m, e := customer(c, in.PolicyArn)
	if e != nil {
		return nil, e
	}
	if limit := quotaVersions.of(c); len(m.Versions) >= limit {
		return nil, c.Errorf("LimitExceededException", "A managed policy can have up to %d versions. "+
			"Before you create a new version, you must delete an existing version.", limit)
	}
	if e := checkManagedDocument(c, aws.ToString(in.PolicyDocument)); e != nil {
		return nil, e
	}
	version := store.PolicyVersion{ID: "v" + strconv.Itoa(m.Next), Document: aws.ToString(in.PolicyDocument), Created: c.Now}
	c.Own().IAM.Policy(m.Name).Edit(c.Now, func(p *store.Policy) {
		p.Versions = append(p.Versions, version)
		p.Next++
		p.Updated = c.Now
		if in.SetAsDefault {
			p.Default = version.ID
		}
	})
	return &iam.CreatePolicyVersionOutput{PolicyVersion: &types.PolicyVersion{
		VersionId: aws.String(version.ID), IsDefaultVersion: in.SetAsDefault, CreateDate: at(c.Now),
	}}, nil
}

func findVersion(c *service.Call, m managed, id *string) (*store.PolicyVersion, *wire.Error) {
	v := m.Version(aws.ToString(id))
	if v == nil {
		return nil, noSuchEntity(c, "Policy %s version %s does not exist or is not attachable.", m.arn, aws.ToString(id))
	}
	return v, nil
}

func getPolicyVersion(c *service.Call, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, *wire.Error) {
	m, e := findManaged(c, aws.ToString(in.PolicyArn))
	if e != nil {
		return nil, e
	}
	v, e := findVersion(c, m, in.VersionId)
	if e != nil {
		return nil, e
	}
	shown := listedVersion(m, v)
	shown.Document = encodeDocument(m.document(v))
	return &iam.GetPolicyVersionOutput{PolicyVersion: &shown}, nil
}

func listedVersion(m managed, v *store.PolicyVersion) types.PolicyVersion {
	return types.PolicyVersion{VersionId: aws.String(v.ID), IsDefaultVersion: v.ID == m.Default, CreateDate: at(v.Created)}
}

func listPolicyVersions(c *service.Call, in *iam.ListPolicyVersionsInput) (*iam.ListPolicyVersionsOutput, *wire.Error) {
	m, e := findManaged(c, aws.ToString(in.PolicyArn))
	if e != nil {
		return nil, e
	}
	// Newest first, as IAM lists them: versions of one policy are few enough
	// for one page unless a smaller one is asked for.
	newest := slices.Clone(m.Versions)
	slices.Reverse(newest)
	rank := map[string]string{}
	for i, v := range newest {
		rank[v.ID] = fmt.Sprintf("%04d", i)
	}
	p, e := page(c, in.Marker, in.MaxItems, newest, func(v store.PolicyVersion) string { return rank[v.ID] })
	if e != nil {
		return nil, e
	}
	out := &iam.ListPolicyVersionsOutput{Versions: []types.PolicyVersion{}, IsTruncated: p.truncated, Marker: p.marker}
	for i := range p.items {
		out.Versions = append(out.Versions, listedVersion(m, &p.items[i]))
	}
	return out, nil
}

func setDefaultPolicyVersion(c *service.Call, in *iam.SetDefaultPolicyVersionInput) (*iam.SetDefaultPolicyVersionOutput, *wire.Error) {
	m, e := customer(c, in.PolicyArn)
	if e != nil {
		return nil, e
	}
	v, e := findVersion(c, m, in.VersionId)
	if e != nil {
		return nil, e
	}
	c.Own().IAM.Policy(m.Name).Edit(c.Now, func(p *store.Policy) {
		p.Default = v.ID
		p.Updated = c.Now
	})
	return nil, nil
}

func deletePolicyVersion(c *service.Call, in *iam.DeletePolicyVersionInput) (*iam.DeletePolicyVersionOutput, *wire.Error) {
	m, e := customer(c, in.PolicyArn)
	if e != nil {
		return nil, e
	}
	v, e := findVersion(c, m, in.VersionId)
	if e != nil {
		return nil, e
	}
	if v.ID == m.Default {
		return nil, deleteConflict(c, "Cannot delete the default version of a policy.")
	}
	c.Own().IAM.Policy(m.Name).Edit(c.Now, func(p *store.Policy) {
		p.Versions = slices.DeleteFunc(p.Versions, func(have store.PolicyVersion) bool { return have.ID == v.ID })
	})
	return nil, nil
}
