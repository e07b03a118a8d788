package difference_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach"
	"github.com/stile-aws/stile/internal/reach/difference"
)

const (
	account = arn.AccountID("111111111111")
	bucket  = "arn:aws:s3:::reports"
)

// world has one role with an identity policy, a boundary and a bucket.
func world(identity, boundary, bucketPolicy string) *reach.Graph {
	r := &inventory.Role{
		ARN: "arn:aws:iam::111111111111:role/app", Name: "app", ID: "AROAAPP", Path: "/", Inline: map[string]string{"own": identity},
		Trust: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`,
	}
	managed := map[string]*inventory.Managed{}
	if boundary != "" {
		r.Boundary = "arn:aws:iam::111111111111:policy/b"
		managed[r.Boundary] = &inventory.Managed{ARN: r.Boundary, Document: boundary}
	}
	b := &inventory.Resource{ARN: bucket, Type: "s3:bucket", Policy: bucketPolicy, PolicyState: inventory.Exists}
	return reach.New(&inventory.Inventory{OrgState: inventory.Absent, Accounts: map[arn.AccountID]*inventory.Account{account: {
		ID: account, Complete: true, Roles: map[string]*inventory.Role{"app": r}, Managed: managed, Resources: map[string]*inventory.Resource{bucket: b},
		Member: inventory.Membership{State: inventory.Absent},
	}}}, reach.Config{})
}

func allow(actions, resource, conditions string) string {
	text := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":` + actions + `,"Resource":"` + resource + `"`
	if conditions != "" {
		text += `,"Condition":` + conditions
	}
	return text + `}}`
}

func TestUses(t *testing.T) {
	const given = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/app"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::reports/*"}}`
	get := allow(`"s3:GetObject"`, bucket+"/*", "")
	for _, c := range []struct {
		name          string
		before, after *reach.Graph
		want          []string
	}{
		{"the same in other words", world(get, "", ""), world(allow(`["s3:GetObject"]`, bucket+"/*", ""), "", ""), nil},
		{"one action more", world(get, "", ""), world(allow(`["s3:GetObject","s3:PutObject"]`, bucket+"/*", ""), "", ""),
			[]string{"gained [s3:PutObject] on arn:aws:s3:::reports/*: none, allowed"}},
		{"a pattern that was there by name, on less", world(allow(`"s3:GetObjectTorr*"`, bucket+"/*", ""), "", ""), world(allow(`"s3:GetObjectTorrent"`, bucket+"/a", ""), "", ""),
			[]string{"lost [s3:GetObjectTorrent] on arn:aws:s3:::reports/*: allowed, none"}},
		{"a condition more", world(get, "", ""), world(allow(`"s3:GetObject"`, bucket+"/*", `{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), "", ""),
			[]string{"weaker [s3:GetObject] on arn:aws:s3:::reports/*: allowed, conditional"}},
		{"a boundary", world(get, "", ""), world(get, allow(`"ec2:*"`, "*", ""), ""),
			[]string{"lost [s3:GetObject] on arn:aws:s3:::reports/*: allowed, none"}},
		{"the bucket's own policy", world(allow(`"ec2:StartInstances"`, "*", ""), "", ""), world(allow(`"ec2:StartInstances"`, "*", ""), "", given),
			[]string{"gained [s3:GetObject] on arn:aws:s3:::reports/*: none, allowed"}},
		{"the bucket's own policy, for what was allowed anyway", world(get, "", ""), world(get, "", given), nil},
		{"everything", world(get, "", ""), world(allow(`"s3:*"`, bucket+"/*", ""), "", ""), []string{"gained"}},
	} {
		var got []string
		for _, change := range difference.Between(c.before, c.after, nil).Changes {
			if change.What != difference.Use {
				t.Errorf("%s: %s of %s", c.name, change.What, change.Principal.Name)
			}
			text := fmt.Sprintf("%v %v on %s: %v, %v", change.Kind, change.Actions, change.Resource, change.Before, change.After)
			if slices.Equal(c.want, []string{"gained"}) {
				text = change.Kind.String()
			}
			got = append(got, text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
