package observe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/inventory"
)

// sweep lists one kind of things, with all that decides about them.
type sweep struct {
	kind     string   // as Account.Listed knows it
	global   bool     // once an account, not once a Region
	actions  []string // the IAM actions it needs
	requires string   // another kind of the same Region that has to be listed before, "" for none
	read     func(ctx context.Context, l *listing) error
}

// sweeps are all of them. An error of read means that the kind could not be
// listed; what cannot be read of one thing is for listing.fail.
func sweeps() []sweep {
	return []sweep{
		{kind: inventory.KindProviders, global: true, read: providers, actions: []string{"iam:ListOpenIDConnectProviders", "iam:GetOpenIDConnectProvider"}},
		{kind: inventory.KindSAML, global: true, read: samlProviders, actions: []string{"iam:ListSAMLProviders", "iam:ListSAMLProviderTags"}},
		{kind: inventory.KindKeys, read: keys, actions: []string{"kms:ListKeys", "kms:ListAliases", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"}},
		{kind: inventory.KindSecrets, requires: inventory.KindKeys, read: secrets, actions: []string{"secretsmanager:ListSecrets", "secretsmanager:GetResourcePolicy"}},
		{kind: inventory.KindClusters, read: clusters, actions: []string{
			"eks:ListClusters", "eks:DescribeCluster", "eks:ListPodIdentityAssociations", "eks:DescribePodIdentityAssociation",
			"eks:ListAccessEntries", "eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies",
		}},
		{kind: inventory.KindEndpoints, read: endpoints, actions: []string{"ec2:DescribeVpcEndpoints"}},
		{kind: "s3:bucket", global: true, read: buckets, actions: []string{"s3:ListAllMyBuckets", "s3:GetBucketPolicy", "s3:GetEncryptionConfiguration", "s3:GetBucketTagging"}},
		{kind: "dynamodb:table", read: tables, actions: []string{"dynamodb:ListTables", "dynamodb:DescribeTable", "dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource"}},
		{kind: "sqs:queue", read: queues, actions: []string{"sqs:ListQueues", "sqs:GetQueueAttributes", "sqs:ListQueueTags"}},
		{kind: "sns:topic", read: topics, actions: []string{"sns:ListTopics", "sns:GetTopicAttributes", "sns:ListTagsForResource"}},
		{kind: "lambda:function", read: functions, actions: []string{"lambda:ListFunctions", "lambda:GetPolicy", "lambda:ListTags"}},
		{kind: "ecr:repository", read: repositories, actions: []string{"ecr:DescribeRepositories", "ecr:GetRepositoryPolicy", "ecr:ListTagsForResource"}},
	}
}

// sweep lists every kind in every one of the Regions that is enabled.
func (r *reader) sweep(ctx context.Context, regions []string) {
	closed := r.closed(ctx, regions)
	var g errgroup.Group
	for _, region := range slices.Compact(slices.Sorted(slices.Values(regions))) {
		if closed[region] {
			r.close(region)
			continue
		}
		g.Go(func() error {
			r.lists(ctx, region, func(s sweep) bool { return !s.global })
			return nil
		})
	}
	g.Go(func() error {
		r.lists(ctx, "", func(s sweep) bool { return s.global })
		return nil
	})
	_ = g.Wait() // every listing has its own errors
}

// close records that a Region is not enabled.
func (r *reader) close(region string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range sweeps() {
		if !s.global {
			r.account.Listed[inventory.ListKey(s.kind, region)] = inventory.Absent
		}
	}
}

// lists lists the kinds that are wanted in one Region side by side.
func (r *reader) lists(ctx context.Context, region string, wanted func(sweep) bool) {
	done := map[string]chan struct{}{}
	for _, s := range sweeps() {
		done[s.kind] = make(chan struct{})
	}
	var g errgroup.Group
	for _, s := range sweeps() {
		if !wanted(s) {
			continue
		}
		g.Go(func() error {
			defer close(done[s.kind])
			if s.requires != "" {
				<-done[s.requires]
			}
			r.list(ctx, s, region)
			return nil
		})
	}
	_ = g.Wait()
}

// list runs one sweep and records how it went.
func (r *reader) list(ctx context.Context, s sweep, region string) {
	l := &listing{reader: r, kind: s.kind, region: region}
	var err error
	if l.cfg, err = r.src.Config(ctx, r.account.ID, region); err == nil {
		err = s.read(ctx, l)
	}
	state := inventory.Exists
	switch {
	case unserved(err):
		state = inventory.NotAsked
	case err != nil:
		state = inventory.Unread
		r.problem(l.what(), err)
	case l.failures > 0:
		state = inventory.Unread
	}
	if more := l.failures - toldFailures; more > 0 {
		r.problem(l.what(), fmt.Errorf("%d more of them could not be read", more))
	}
	r.put(func(a *inventory.Account) { a.Listed[inventory.ListKey(s.kind, region)] = state })
}

// listing is a sweep of one kind in one Region that is under way.
type listing struct {
	*reader
	kind, region string
	cfg          aws.Config

	mu       sync.Mutex // guards failures
	failures int
}

// toldFailures is how many single things of a listing get a problem of their own.
const toldFailures = 50

// what is what problems call the listing.
func (l *listing) what() string {
	if l.region == "" {
		return l.kind
	}
	return l.kind + " in " + l.region
}

// fail records that something of the listing could not be read.
func (l *listing) fail(what string, err error) {
	l.mu.Lock()
	l.failures++
	told := l.failures <= toldFailures
	l.mu.Unlock()
	if told {
		l.problem(what, err)
	}
}

// each calls f for every one of the things listed, some at once.
func each[T any](l *listing, things []T, f func(T)) {
	var g errgroup.Group
	g.SetLimit(l.opt.calls())
	for _, thing := range things {
		g.Go(func() error { f(thing); return nil })
	}
	_ = g.Wait() // f records its errors
}

// paginator is what the SDK has for every listing.
type paginator[O, F any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*F)) (*O, error)
}

// collect lists everything a paginator has.
func collect[T, O, F any](ctx context.Context, pages paginator[O, F], of func(*O) []T) ([]T, error) {
	var all []T
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, of(page)...)
	}
	return all, nil
}

// closed are those of the Regions that are not enabled in the account. Only
// Regions opened since 2019-03-20 have to be enabled, so it is not asked for
// others; where EC2 does not tell, none counts as closed and is tried.
func (r *reader) closed(ctx context.Context, regions []string) map[string]bool {
	var ask []string
	for _, region := range regions {
		if !slices.Contains(alwaysEnabled(), region) {
			ask = append(ask, region)
		}
	}
	if len(ask) == 0 {
		return nil
	}
	cfg, err := r.src.Config(ctx, r.account.ID, "")
	if err != nil {
		return nil
	}
	got, err := ec2.NewFromConfig(cfg).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)})
	if err != nil {
		if !unserved(err) {
			r.problem("which Regions are enabled", err)
		}
		return nil
	}
	out := map[string]bool{}
	for _, region := range got.Regions {
		if aws.ToString(region.OptInStatus) == "not-opted-in" {
			out[aws.ToString(region.RegionName)] = true
		}
	}
	return out
}

// alwaysEnabled are the Regions that every account of the partition aws has:
// "Regions introduced after March 20, 2019 are disabled by default" (Account
// Management guide, manage-acct-regions). The list does not grow.
func alwaysEnabled() []string {
	return []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1",
		"eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
}

// unserved reports whether the endpoint said that it does not have the service
// at all, which only stile's local AWS does.
func unserved(err error) bool { return code(err) == "UnknownService" }

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// none reports whether err is one of the codes, by which a service says that a
// resource lacks something.
func none(err error, codes ...string) bool { return slices.Contains(codes, code(err)) }

// gone is err, known for absence where it has one of the codes, by which only
// its service says that a resource is not there.
func gone(err error, codes ...string) error {
	if slices.Contains(codes, code(err)) {
		return awserr.As(awserr.NotFound, err)
	}
	return err
}

// Actions are the IAM actions that Fill needs for reading everything of an
// account and, in the management account or a delegated administrator, of the
// organization, sorted.
func Actions() []string {
	all := map[string]bool{}
	add := func(actions ...string) {
		for _, a := range actions {
			all[a] = true
		}
	}
	add("iam:GetAccountAuthorizationDetails", "iam:ListRoles", "iam:GetAccountSummary", "iam:GetPolicy", "iam:GetPolicyVersion", "ec2:DescribeRegions")
	add("organizations:DescribeOrganization", "organizations:ListRoots", "organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent",
		"organizations:ListPolicies", "organizations:ListTargetsForPolicy", "organizations:DescribePolicy", "organizations:ListAccounts")
	for _, s := range sweeps() {
		add(s.actions...)
	}
	return slices.Sorted(maps.Keys(all))
}
