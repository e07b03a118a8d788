package observe_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// TestWhatResourcesAreEncryptedUnder: by whatever name a service calls a key, it
// is the ARN of the key or of an alias that is told.
func TestWhatResourcesAreEncryptedUnder(t *testing.T) {
	const (
		at  = ":us-east-1:222222222222:"
		key = "arn:aws:kms" + at
	)
	want := map[string]*inventory.Resource{
		"arn:aws:sqs" + at + "orders":               {Type: "sqs:queue", KMSKey: key + "alias/orders", Policy: policyOf("arn:aws:sqs" + at + "orders"), PolicyState: inventory.Exists},
		"arn:aws:sqs" + at + "bare":                 {Type: "sqs:queue", PolicyState: inventory.Absent},
		"arn:aws:sns" + at + "orders":               {Type: "sns:topic", KMSKey: fakeKey, Policy: policyOf("arn:aws:sns" + at + "orders"), PolicyState: inventory.Exists},
		"arn:aws:sns" + at + "bare":                 {Type: "sns:topic", PolicyState: inventory.Absent},
		"arn:aws:s3:::reports":                      {Type: "s3:bucket", KMSKey: fakeKey, Policy: policyOf("arn:aws:s3:::reports/*"), PolicyState: inventory.Exists},
		"arn:aws:s3:::bare":                         {Type: "s3:bucket", PolicyState: inventory.Absent},
		"arn:aws:s3:::somebodys":                    nil,
		"arn:aws:dynamodb" + at + "table/Orders":    {Type: "dynamodb:table", KMSKey: fakeKey, Policy: tablePolicy, PolicyState: inventory.Exists},
		"arn:aws:dynamodb" + at + "table/None":      nil,
		"arn:aws:kinesis" + at + "stream/orders":    {Type: "kinesis:stream", KMSKey: key + "key/1234abcd-12ab-34cd-56ef-1234567890ab"},
		"arn:aws:kinesis" + at + "stream/bare":      {Type: "kinesis:stream"},
		"arn:aws:ssm" + at + "parameter/app/secret": {Type: "ssm:parameter", KMSKey: key + "alias/app"},
		"arn:aws:ssm" + at + "parameter/plain":      {Type: "ssm:parameter"},
		"arn:aws:ssm" + at + "parameter/none":       nil,
	}
	var ask []string
	for id, r := range want {
		if ask = append(ask, id); r != nil {
			r.ARN = id
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		a := fill(t, f.World, streaming{f.fakes}, asking(scopetest.Orders, inventory.AccountRequest{Resources: ask})).Accounts[scopetest.Orders]
		if diff := cmp.Diff(want, a.Resources); diff != "" {
			t.Errorf("resources (-want +got):\n%s", diff)
		}
		if len(a.Problems) > 0 {
			t.Errorf("problems: %v", a.Problems)
		}
	})
}

// TestResourcesThatAreNotTold: a refusal is a problem, a service that the local
// AWS does not have is told as one that was not listed, and a queue that is gone
// is absent.
func TestResourcesThatAreNotTold(t *testing.T) {
	const queue, parameter = "arn:aws:sqs:us-east-1:222222222222:orders", "arn:aws:ssm:us-east-1:222222222222:parameter/plain"
	request := asking(scopetest.Orders, inventory.AccountRequest{Resources: []string{queue, parameter}})
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		f.fakes.deny = map[string]bool{"sqs:GetQueueAttributes": true}
		a := fill(t, f.World, f.fakes, request).Accounts[scopetest.Orders]
		if _, state := inventory.Get(a.Resources, queue); state != inventory.NotAsked || len(a.Problems) != 1 || a.Problems[0].What != "resource "+queue || !strings.Contains(a.Problems[0].Why, "AccessDenied") {
			t.Errorf("a queue that is refused is %v, beside %v", state, a.Problems)
		}
		f.fakes.deny = map[string]bool{"s3:GetBucketPolicy": true}
		a = fill(t, f.World, f.fakes, asking(scopetest.Orders, inventory.AccountRequest{Resources: []string{"arn:aws:s3:::reports"}})).Accounts[scopetest.Orders]
		if b := a.Resources["arn:aws:s3:::reports"]; b == nil || b.KMSKey != fakeKey || b.PolicyState != inventory.NotAsked || len(a.Problems) > 0 {
			t.Errorf("a bucket whose policy is refused is %+v, beside %v", b, a.Problems)
		}
		f.fakes.deny, f.fakes.gone = nil, map[string]bool{"sqs:GetQueueAttributes": true}
		a = fill(t, f.World, f.fakes, request).Accounts[scopetest.Orders]
		if _, state := inventory.Get(a.Resources, queue); state != inventory.Absent {
			t.Errorf("a queue that is gone is %v", state)
		}
		a = fill(t, f.World, nil, request).Accounts[scopetest.Orders]
		state, told := a.Listed["us-east-1 sqs:queue"]
		if _, there := inventory.Get(a.Resources, queue); !told || state != inventory.NotAsked || there != inventory.NotAsked || len(a.Problems) > 0 {
			t.Errorf("of the local AWS, which has no queues, is told %v, %v, beside %v", told, a.Listed, a.Problems)
		}
	})
}

func TestAnAliasTellsTheKeyBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scopetest.New(t, localaws.Config{})
		client := kms.NewFromConfig(w.Admin(scopetest.Orders, nil))
		if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/orders"), TargetKeyId: &w.Key}); err != nil {
			t.Fatal(err)
		}
		const alias = "arn:aws:kms:us-east-1:222222222222:alias/"
		a := fill(t, w, nil, asking(scopetest.Orders, inventory.AccountRequest{Keys: []string{alias + "orders", alias + "none"}})).Accounts[scopetest.Orders]
		if diff := cmp.Diff(&inventory.Key{ARN: w.Key, Enabled: true, Aliases: []string{"alias/orders"}}, a.Keys[alias+"orders"]); diff != "" {
			t.Errorf("alias (-want +got):\n%s", diff)
		}
		if _, state := inventory.Get(a.Keys, alias+"none"); state != inventory.Absent {
			t.Errorf("an alias that is not there is %v", state)
		}
		if k := a.Keys[w.Key]; k == nil || k.Policy == "" || k.GrantState != inventory.Exists {
			t.Errorf("the key itself is %+v", k)
		}
	})
}
