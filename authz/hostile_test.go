package authz_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/policy"
)

func TestTextThatOnlyBeginsVariablesCompilesInLinearTime(t *testing.T) {
	for _, piece := range []string{"${", "${a", "${a,", "${a,'", "${a,  ", "${,"} {
		for _, tail := range []string{"", ",", "}", "'}"} {
			start := time.Now()
			doc := policy.NewDocument(policy.Statement{
				Effect: policy.Allow, Actions: policy.Texts("*"),
				Resources: policy.Texts("arn:aws:s3:::" + strings.Repeat(piece, 200_000) + tail),
			})
			if _, err := authz.Compile(doc, authz.Source{Layer: authz.LayerIdentity}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%q repeated, then %q: %v", piece, tail, took)
			}
		}
	}
}
