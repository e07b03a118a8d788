package naming_test

import (
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/importer/naming"
)

func TestFill(t *testing.T) {
	all := naming.Parts{Partition: "aws", Region: "us-east-1", Account: "111111111111", Path: "/a/b/", Name: "PRAHN"}
	for pattern, want := range map[naming.Pattern]string{
		naming.Role:         "arn:aws:iam::111111111111:role/a/b/PRAHN",
		naming.Policy:       "arn:aws:iam::111111111111:policy/a/b/PRAHN",
		naming.OIDCProvider: "arn:aws:iam::111111111111:oidc-provider/PRAHN",
		naming.Secret:       "arn:aws:secretsmanager:us-east-1:111111111111:secret:PRAHN-??????",
		naming.Key:          "arn:aws:kms:us-east-1:111111111111:key/PRAHN",
		naming.Bucket:       "arn:aws:s3:::PRAHN",
		naming.QueueURL:     "https://sqs.us-east-1.amazonaws.com/111111111111/PRAHN",
		naming.Function:     "arn:aws:lambda:us-east-1:111111111111:function:PRAHN",
		naming.Table:        "arn:aws:dynamodb:us-east-1:111111111111:table/PRAHN",
		naming.Cluster:      "arn:aws:eks:us-east-1:111111111111:cluster/PRAHN",
		naming.Endpoint:     "arn:aws:ec2:us-east-1:111111111111:vpc-endpoint/PRAHN",
	} {
		if got := pattern.Fill(all); got != want {
			t.Errorf("%s.Fill = %s, want %s", pattern, got, want)
		}
	}
	if got := naming.Role.Fill(naming.Parts{Partition: "aws", Account: "111111111111", Name: "x"}); got != "arn:aws:iam::111111111111:role/x" {
		t.Errorf("a role without a path = %s", got)
	}
	if got := naming.Queue.Fill(naming.Parts{Partition: "aws", Account: "111111111111", Name: "x"}); got != "" {
		t.Errorf("a queue without a Region = %s, want nothing", got)
	}
}

func TestStandInsAreOfTheRealForm(t *testing.T) {
	seen := map[string]bool{}
	for n := range 3 {
		for _, id := range []string{naming.KeyID(n), naming.EndpointID(n), naming.OrgPolicyID(n)} {
			if seen[id] {
				t.Errorf("%s stands for two things", id)
			}
			seen[id] = true
		}
	}
	if !arn.Is(naming.Key.Fill(naming.Parts{Partition: "aws", Region: "us-east-1", Account: "111111111111", Name: naming.KeyID(1)})) || len(naming.KeyID(1)) != 36 || len(naming.EndpointID(1)) != len("vpce-0123456789abcdef0") {
		t.Errorf("stand-ins %s and %s have another form than AWS's ids", naming.KeyID(1), naming.EndpointID(1))
	}
}
