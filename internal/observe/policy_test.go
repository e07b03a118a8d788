package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/observe"
	"github.com/stile-aws/stile/internal/scope/scopetest"
	"github.com/stile-aws/stile/policy"
)

// observers is a source of users that may do what a policy says, one in each
// account, made behind the API's back.
type observers struct {
	world *scopetest.World
	door  http.RoundTripper
	keys  map[arn.AccountID]*store.AccessKey
}

func newObservers(w *scopetest.World, door http.RoundTripper, name, policy string) *observers {
	o := &observers{world: w, door: door, keys: map[arn.AccountID]*store.AccessKey{}}
	world := w.Server.World()
	world.Lock()
	defer world.Unlock()
	for _, account := range world.AccountIDs() {
		id := world.NewPrincipal(account, "user", name)
		user := &store.User{Entity: store.Entity{Name: name, Path: "/", ID: id, Created: world.Now(), Inline: map[string]string{"observe": policy}}}
		world.Accounts[account].IAM.Users[name] = store.NewVersioned(time.Time{}, user)
		key := &store.AccessKey{ID: world.IDs().AccessKey(store.PrefixAccessKey, account), Secret: world.IDs().Secret(), Account: account, User: id, Active: true, Created: world.Now()}
		world.AccessKeys[key.ID] = store.NewVersioned(time.Time{}, key)
		o.keys[account] = key
	}
	return o
}

// Config implements observe.Source.
func (o *observers) Config(_ context.Context, account arn.AccountID, region string) (aws.Config, error) {
	cfg := o.world.Admin(account, o.door)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(o.keys[account].ID, o.keys[account].Secret, "")
	if region != "" {
		cfg.Region = region
	}
	return cfg, nil
}

// hiding leaves the managed policies out of an account's details, as IAM does
// with AWS's own that are boundaries only.
type hiding struct{ door http.RoundTripper }

var policiesElement = regexp.MustCompile(`(?s)<Policies>.*</Policies>`)

func (h hiding) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := h.door.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Host, "iam.") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if bytes.Contains(body, []byte("GetAccountAuthorizationDetailsResult")) {
		body = policiesElement.ReplaceAll(body, nil)
		resp.ContentLength = int64(len(body))
		resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// states tells of an inventory what was read and what was not, by account and
// kind. Everything read is "read".
func states(inv *inventory.Inventory, members error) map[string]string {
	out := map[string]string{}
	said := func(what string, read bool) {
		out[what] = "unread"
		if read {
			out[what] = "read"
		}
	}
	said("organization", inv.OrgState == inventory.Exists)
	said("rcps", inv.Organization != nil && inv.Organization.RCPState == inventory.Exists)
	said("members", members == nil)
	for id, a := range inv.Accounts {
		at := string(id) + " "
		said(at+"iam", a.Complete)
		said(at+"quotas", a.Quotas.Read)
		said(at+"membership", a.Member.State == inventory.Exists)
		said(at+"regions", !a.Failed("which Regions are enabled"))
		sessions, managed := true, true
		for _, role := range a.Roles {
			sessions = sessions && role.MaxSession > 0
			for _, id := range role.Attached {
				managed = managed && a.Managed[id] != nil
			}
		}
		said(at+"sessions", sessions)
		said(at+"managed", managed)
		for key, state := range a.Listed {
			kind := key[strings.IndexByte(key, ' ')+1:]
			if state != inventory.Exists {
				out[at+kind] = "unread"
			} else if out[at+kind] == "" {
				out[at+kind] = "read"
			}
		}
	}
	return out
}

// changed are the kinds whose state differs, without the account.
func changed(before, after map[string]string) []string {
	kinds := map[string]bool{}
	for key, state := range before {
		if after[key] != state {
			kinds[key[strings.IndexByte(key, ' ')+1:]] = true
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// without is the policy less one action.
func without(t *testing.T, action string) string {
	t.Helper()
	text := observe.Policy()
	out := strings.Replace(text, `"`+action+`"`, `"none:`+strings.ReplaceAll(action, ":", "")+`"`, 1)
	if action != "" && out == text {
		t.Fatalf("the policy has no action %s", action)
	}
	return out
}

// TestThePolicyIsEnoughAndNothingOfItTooMuch takes each action out of the
// policy: exactly what it is for cannot be read then. Actions of services that
// the local AWS does not have are refused by the fakes.
func TestThePolicyIsEnoughAndNothingOfItTooMuch(t *testing.T) {
	needs := map[string][]string{
		"iam:GetAccountAuthorizationDetails": {"iam"}, "iam:GetAccountSummary": {"quotas"}, "iam:ListRoles": {"sessions"},
		"iam:GetPolicy": {"managed"}, "iam:GetPolicyVersion": {"managed"},
		"iam:ListOpenIDConnectProviders": {"providers"}, "iam:GetOpenIDConnectProvider": {"providers"},
		"iam:ListSAMLProviders": {"saml"}, "iam:ListSAMLProviderTags": {"saml"},
		"kms:ListKeys": {"keys"}, "kms:ListAliases": {"keys"}, "kms:DescribeKey": {"keys"}, "kms:GetKeyPolicy": {"keys"}, "kms:ListGrants": {"keys"},
		"secretsmanager:ListSecrets": {"secrets"}, "secretsmanager:GetResourcePolicy": {"secrets"},
		"eks:ListClusters": {"clusters"}, "eks:DescribeCluster": {"clusters"},
		"eks:ListPodIdentityAssociations": {"clusters"}, "eks:DescribePodIdentityAssociation": {"clusters"},
		"eks:ListAccessEntries": {"clusters"}, "eks:DescribeAccessEntry": {"clusters"}, "eks:ListAssociatedAccessPolicies": {"clusters"},
		"dynamodb:ListTables": {"dynamodb:table"}, "dynamodb:DescribeTable": {"dynamodb:table"},
		"dynamodb:GetResourcePolicy": {"dynamodb:table"}, "dynamodb:ListTagsOfResource": {"dynamodb:table"},
		"s3:ListAllMyBuckets": {"s3:bucket"}, "s3:GetBucketPolicy": {"s3:bucket"}, "s3:GetEncryptionConfiguration": {"s3:bucket"}, "s3:GetBucketTagging": {"s3:bucket"},
		"sqs:ListQueues": {"sqs:queue"}, "sqs:GetQueueAttributes": {"sqs:queue"}, "sqs:ListQueueTags": {"sqs:queue"},
		"sns:ListTopics": {"sns:topic"}, "sns:GetTopicAttributes": {"sns:topic"}, "sns:ListTagsForResource": {"sns:topic"},
		"lambda:ListFunctions": {"lambda:function"}, "lambda:GetPolicy": {"lambda:function"}, "lambda:ListTags": {"lambda:function"},
		"ecr:DescribeRepositories": {"ecr:repository"}, "ecr:GetRepositoryPolicy": {"ecr:repository"}, "ecr:ListTagsForResource": {"ecr:repository"},
		"ec2:DescribeVpcEndpoints": {"endpoints"}, "ec2:DescribeRegions": {"regions"},
		"organizations:DescribeOrganization":             {"membership", "organization", "rcps"},
		"organizations:ListRoots":                        {"organization", "rcps"},
		"organizations:ListAccountsForParent":            {"organization", "rcps"},
		"organizations:ListOrganizationalUnitsForParent": {"organization", "rcps"},
		"organizations:ListPolicies":                     {"organization", "rcps"},
		"organizations:ListTargetsForPolicy":             {"organization", "rcps"},
		"organizations:DescribePolicy":                   {"organization", "rcps"},
		"organizations:ListAccounts":                     {"members"},
	}
	if diff := cmp.Diff(observe.Actions(), slices.Sorted(maps.Keys(needs))); diff != "" {
		t.Fatalf("actions of the policy (-policy +test):\n%s", diff)
	}
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		read := func(name, action string) (map[string]string, *inventory.Inventory) {
			f.fakes.deny = map[string]bool{action: true}
			source := newObservers(f.World, hiding{f.fakes}, name, without(t, action))
			inv := &inventory.Inventory{}
			if err := observe.Fill(t.Context(), source, whole("us-east-1", "eu-south-1"), inv, observe.Options{}); err != nil {
				t.Fatal(err)
			}
			cfg, _ := source.Config(t.Context(), scopetest.Tooling, "") // never fails
			_, err := observe.Members(t.Context(), cfg)
			return states(inv, err), inv
		}
		all, inv := read("observer", "")
		for what, state := range all {
			if state != "read" {
				t.Errorf("with the whole policy %s is %s", what, state)
			}
		}
		for id, a := range inv.Accounts {
			if len(a.Problems) > 0 {
				t.Errorf("with the whole policy account %s has problems: %v", id, a.Problems)
			}
		}
		for i, action := range observe.Actions() {
			got, inv := read(fmt.Sprintf("observer%d", i), action)
			if diff := cmp.Diff(needs[action], changed(all, got)); diff != "" {
				t.Errorf("without %s these cannot be read (-want +got):\n%s", action, diff)
			}
			if problems := len(inv.Accounts[scopetest.Orders].Problems) + len(inv.Accounts[scopetest.Tooling].Problems); problems == 0 && !slices.Contains(needs[action], "members") {
				t.Errorf("without %s there is no problem", action)
			}
		}
	})
}

func TestThePolicyIsAManagedPolicy(t *testing.T) {
	text := observe.Policy()
	doc, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if problems := policy.Validate(doc, policy.Identity); len(problems) > 0 {
		t.Errorf("the policy is refused: %v", problems)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil || compact.Len() > catalog.ManagedPolicySize {
		t.Errorf("the policy has %d characters, %v; a managed policy may have %d", compact.Len(), err, catalog.ManagedPolicySize)
	}
	for _, action := range observe.Actions() {
		_, verb, _ := strings.Cut(action, ":")
		if !strings.HasPrefix(verb, "List") && !strings.HasPrefix(verb, "Get") && !strings.HasPrefix(verb, "Describe") {
			t.Errorf("%s does more than read", action)
		}
	}
}
