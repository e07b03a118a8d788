package eks

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// maxEntries is the quota "Access entries per cluster" (EKS user guide).
const maxEntries = 2000

// standard is the type of entries for people and workloads; the others are for nodes.
const standard = "STANDARD"

func registerEntries(s *service.Service) {
	service.Register(s, "CreateAccessEntry", service.Op[eks.CreateAccessEntryInput, eks.CreateAccessEntryOutput]{
		Access: createEntryAccess, Handle: createEntry,
	})
	service.Register(s, "DescribeAccessEntry", service.Op[eks.DescribeAccessEntryInput, eks.DescribeAccessEntryOutput]{
		ReadOnly: true, Handle: describeEntry,
		Access: withEntry("DescribeAccessEntry", func(in *eks.DescribeAccessEntryInput) (_, _ *string, _ map[string][]string) {
			return in.ClusterName, in.PrincipalArn, nil
		}),
	})
	service.Register(s, "ListAccessEntries", service.Op[eks.ListAccessEntriesInput, eks.ListAccessEntriesOutput]{
		ReadOnly: true, Handle: listEntries,
		Access: withCluster("ListAccessEntries", func(in *eks.ListAccessEntriesInput) *string { return in.ClusterName }),
	})
	service.Register(s, "UpdateAccessEntry", service.Op[eks.UpdateAccessEntryInput, eks.UpdateAccessEntryOutput]{
		Handle: updateEntry,
		Access: withEntry("UpdateAccessEntry", func(in *eks.UpdateAccessEntryInput) (_, _ *string, _ map[string][]string) {
			return in.ClusterName, in.PrincipalArn, entryKeys(in.KubernetesGroups, in.Username)
		}),
	})
	service.Register(s, "DeleteAccessEntry", service.Op[eks.DeleteAccessEntryInput, eks.DeleteAccessEntryOutput]{
		Handle: deleteEntry,
		Access: withEntry("DeleteAccessEntry", func(in *eks.DeleteAccessEntryInput) (_, _ *string, _ map[string][]string) {
			return in.ClusterName, in.PrincipalArn, nil
		}),
	})
}

// createEntryAccess asks about the cluster, which is the resource of
// eks:CreateAccessEntry.
func createEntryAccess(c *service.Call, in *eks.CreateAccessEntryInput) ([]gate.Access, *wire.Error) {
	a := onCluster(c, "CreateAccessEntry", in.ClusterName)
	a.RequestTags = in.Tags
	a.Context = entryKeys(in.KubernetesGroups, in.Username)
	a.Context["eks:clusterName"] = []string{aws.ToString(in.ClusterName)}
	a.Context["eks:principalArn"] = []string{aws.ToString(in.PrincipalArn)}
	a.Context["eks:accessEntryType"] = []string{entryType(in.Type)}
	all := []gate.Access{a}
	if len(in.Tags) > 0 {
		ref := entryPattern(c, in.ClusterName, in.PrincipalArn)
		all = append(all, gate.Access{Action: "eks:TagResource", Resource: ref, RequestTags: in.Tags})
	}
	return all, nil
}

func entryKeys(groups []string, username *string) map[string][]string {
	keys := map[string][]string{}
	if len(groups) > 0 {
		keys["eks:kubernetesGroups"] = groups
	}
	if username != nil {
		keys["eks:username"] = []string{*username}
	}
	return keys
}

func entryType(kind *string) string {
	if aws.ToString(kind) == "" {
		return standard
	}
	return *kind
}

// withEntry is the Access of operations on one access entry.
func withEntry[I any](action string, parts func(*I) (name, principal *string, keys map[string][]string)) func(*service.Call, *I) ([]gate.Access, *wire.Error) {
	return func(c *service.Call, in *I) ([]gate.Access, *wire.Error) {
		name, ref, keys := parts(in)
		a := gate.Access{Action: "eks:" + action, Resource: entryPattern(c, name, ref), Context: map[string][]string{}}
		maps.Copy(a.Context, keys)
		a.Context["eks:clusterName"] = []string{aws.ToString(name)}
		a.Context["eks:principalArn"] = []string{aws.ToString(ref)}
		if k := find(c, name); k != nil && k.Entries[aws.ToString(ref)] != nil {
			entry := k.Entries[aws.ToString(ref)]
			a.ResourceTags = entry.Tags
			a.Context["eks:accessEntryType"] = []string{entry.Type}
		}
		return []gate.Access{a}, nil
	}
}

// entryPattern is the ARN of an access entry, with "*" for the id that an
// entry gets when it is made.
func entryPattern(c *service.Call, name, ref *string) string {
	entry := &store.EKSAccessEntry{ID: "*", Principal: aws.ToString(ref)}
	k := find(c, name)
	if k == nil {
		k = &store.EKSCluster{Account: c.Account, Region: c.Region, Name: aws.ToString(name)}
	}
	if have := k.Entries[aws.ToString(ref)]; have != nil {
		entry = have
	}
	return k.EntryARN(entry).String()
}

// withEntries is cluster for operations that need access entries to be in use.
func withEntries(c *service.Call, name *string) (*store.EKSCluster, *wire.Error) {
	k, e := cluster(c, name)
	if e != nil {
		return nil, e
	}
	if k.AuthMode == store.AuthConfigMap {
		return nil, c.Errorf("InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	}
	return k, nil
}

func findEntry(c *service.Call, name, ref *string) (*store.EKSCluster, *store.EKSAccessEntry, *wire.Error) {
	k, e := withEntries(c, name)
	if e != nil {
		return nil, nil, e
	}
	entry := k.Entries[aws.ToString(ref)]
	if entry == nil {
		return nil, nil, c.Errorf("ResourceNotFoundException", "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
	}
	return k, entry, nil
}

func createEntry(c *service.Call, in *eks.CreateAccessEntryInput) (*eks.CreateAccessEntryOutput, *wire.Error) {
	k, e := withEntries(c, in.ClusterName)
	if e != nil {
		return nil, e
	}
	entry, e := newEntry(c, aws.ToString(in.PrincipalArn), entryType(in.Type))
	if e != nil {
		return nil, e
	}
	if entry.Type != standard && (in.Username != nil || len(in.KubernetesGroups) > 0) {
		return nil, invalid(c, "The username and kubernetesGroups can only be specified for access entries of type STANDARD.")
	}
	if entry.Type == standard {
		if e := setNames(c, entry, in.Username, in.KubernetesGroups); e != nil {
			return nil, e
		}
	}
	if entry.Tags, e = merged(c, nil, in.Tags, "InvalidParameterException"); e != nil {
		return nil, e
	}
	if k.Entries[entry.Principal] != nil {
		return nil, c.Errorf("ResourceInUseException", "The specified access entry resource is already in use on this cluster.")
	}
	if len(k.Entries) >= maxEntries {
		return nil, c.Errorf("ResourceLimitExceededException", "The cluster %s already has %d access entries, which is the limit", k.Name, maxEntries)
	}
	add(k, entry)
	return &eks.CreateAccessEntryOutput{AccessEntry: shownEntry(k, entry)}, nil
}

func add(k *store.EKSCluster, entry *store.EKSAccessEntry) {
	if k.Entries == nil {
		k.Entries = map[string]*store.EKSAccessEntry{}
	}
	k.Entries[entry.Principal] = entry
}

// newEntry makes an entry for a role or user that exists; it may be another
// account's ("Authenticate an IAM principal from a separate account", containers-roadmap#185).
func newEntry(c *service.Call, ref, kind string) (*store.EKSAccessEntry, *wire.Error) {
	a, err := arn.Parse(ref)
	if err != nil || a.Service != "iam" || a.Partition != store.Partition || a.Type() != "role" && a.Type() != "user" {
		return nil, invalid(c, "The specified principalArn is invalid: invalid format.")
	}
	unknown := invalid(c, "The specified principalArn is invalid: invalid principal.")
	entry := &store.EKSAccessEntry{ID: c.World.IDs().UUID(), Principal: ref, Type: kind, Created: c.Now, Modified: c.Now}
	if a.Type() == "user" {
		user := c.World.UserByARN(a)
		if user == nil {
			return nil, unknown
		}
		entry.PrincipalID, entry.Username = user.ID, ref
	} else {
		role := c.World.RoleByARN(a)
		if role == nil {
			return nil, unknown
		}
		if role.ServiceLinked {
			return nil, invalid(c, "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role.")
		}
		entry.PrincipalID, entry.Username = role.ID, arn.SessionARN(store.Partition, a.Account, role.Name, "{{SessionName}}").String()
	}
	return entry, setNode(c, entry, a.Type())
}

// setNode gives entries of the types for nodes their user names and groups
// (EKS user guide, "Create access entries").
func setNode(c *service.Call, entry *store.EKSAccessEntry, principalType string) *wire.Error {
	switch entry.Type {
	case standard:
		return nil
	case "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX", "EC2":
	default:
		return invalid(c, "The specified access entry type %s is invalid.", entry.Type)
	}
	if principalType != "role" {
		return invalid(c, "The specified principalArn is invalid: access entries of type %s need a role.", entry.Type)
	}
	name := "{{EC2PrivateDNSName}}"
	if entry.Type != "EC2_LINUX" && entry.Type != "EC2_WINDOWS" && entry.Type != "EC2" {
		name = "{{SessionName}}"
	}
	entry.Username, entry.Groups = "system:node:"+name, []string{"system:nodes"}
	if entry.Type == "EC2_WINDOWS" {
		entry.Groups = append(entry.Groups, "eks:kube-proxy-windows")
	}
	return nil
}

// setNames sets the user name and the groups of a STANDARD entry.
func setNames(c *service.Call, entry *store.EKSAccessEntry, username *string, groups []string) *wire.Error {
	for _, group := range groups {
		if prefix, ok := reserved(group, "system:", "eks:", "aws:", "amazon:", "iam:"); ok {
			return invalid(c, "The kubernetes group name %s is invalid, it cannot start with %s", group, prefix)
		}
	}
	if name := aws.ToString(username); name != "" {
		if prefix, ok := reserved(name, "system:", "eks:", "aws:", "amazon:", "iam:"); ok {
			return invalid(c, "The username must not begin with %s", prefix)
		}
		if before, _, found := strings.Cut(name, "{{SessionName}}"); found && !strings.Contains(before, ":") {
			return invalid(c, "The username must have a colon before {{SessionName}}.")
		}
		entry.Username = name
	}
	if groups != nil {
		entry.Groups = groups
	}
	return nil
}

// admitCreator gives the creator of a cluster an access entry with
// administration of everything, unless there is one or the principal is gone.
func admitCreator(c *service.Call, k *store.EKSCluster) {
	if k.Creator == "" || k.Entries[k.Creator] != nil {
		return
	}
	entry, e := newEntry(c, k.Creator, standard)
	if e != nil {
		return
	}
	entry.Policies = map[string]*store.EKSAccessPolicy{
		policyPrefix + "AmazonEKSClusterAdminPolicy": {Scope: string(types.AccessScopeTypeCluster), Associated: c.Now, Modified: c.Now},
	}
	add(k, entry)
}

func describeEntry(c *service.Call, in *eks.DescribeAccessEntryInput) (*eks.DescribeAccessEntryOutput, *wire.Error) {
	k, entry, e := findEntry(c, in.ClusterName, in.PrincipalArn)
	if e != nil {
		return nil, e
	}
	return &eks.DescribeAccessEntryOutput{AccessEntry: shownEntry(k, entry)}, nil
}

func shownEntry(k *store.EKSCluster, entry *store.EKSAccessEntry) *types.AccessEntry {
	out := &types.AccessEntry{
		ClusterName: &k.Name, PrincipalArn: &entry.Principal, AccessEntryArn: aws.String(k.EntryARN(entry).String()),
		Type: &entry.Type, Username: &entry.Username, KubernetesGroups: list(entry.Groups), Tags: maps.Clone(entry.Tags),
		CreatedAt: aws.Time(entry.Created), ModifiedAt: aws.Time(entry.Modified),
	}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out
}

func listEntries(c *service.Call, in *eks.ListAccessEntriesInput) (*eks.ListAccessEntriesOutput, *wire.Error) {
	k, e := withEntries(c, in.ClusterName)
	if e != nil {
		return nil, e
	}
	var refs []string
	for ref, entry := range k.Entries {
		if in.AssociatedPolicyArn == nil || entry.Policies[*in.AssociatedPolicyArn] != nil {
			refs = append(refs, ref)
		}
	}
	shown, next, e := page(c, refs, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &eks.ListAccessEntriesOutput{AccessEntries: shown, NextToken: next}, nil
}

func updateEntry(c *service.Call, in *eks.UpdateAccessEntryInput) (*eks.UpdateAccessEntryOutput, *wire.Error) {
	k, entry, e := findEntry(c, in.ClusterName, in.PrincipalArn)
	if e != nil {
		return nil, e
	}
	if entry.Type != standard {
		return nil, c.Errorf("InvalidRequestException", "Access entries of type %s cannot be updated.", entry.Type)
	}
	changed := *entry
	changed.Groups = slices.Clone(entry.Groups)
	if e := setNames(c, &changed, in.Username, in.KubernetesGroups); e != nil {
		return nil, e
	}
	changed.Modified = c.Now
	k.Entries[entry.Principal] = &changed
	return &eks.UpdateAccessEntryOutput{AccessEntry: shownEntry(k, &changed)}, nil
}

func deleteEntry(c *service.Call, in *eks.DeleteAccessEntryInput) (*eks.DeleteAccessEntryOutput, *wire.Error) {
	k, entry, e := findEntry(c, in.ClusterName, in.PrincipalArn)
	if e != nil {
		return nil, e
	}
	delete(k.Entries, entry.Principal)
	return nil, nil
}
