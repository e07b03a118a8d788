package lint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/lint"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/policy"
)

// TestNothingFiresOnWhatAWSRecommends holds the rules' precision: policies of
// the forms that the pages named recommend have no finding of low severity or
// more.
func TestNothingFiresOnWhatAWSRecommends(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "recommended", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Fatalf("there are %d policies, want 40 or more", len(files))
	}
	kinds := map[string]policy.Kind{
		"trust": policy.Trust, "key": policy.Key, "resource": policy.Resource, "endpoint": policy.Endpoint, "scp": policy.SCP, "rcp": policy.RCP,
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var f struct {
				Page         string
				Kind         string
				Account      arn.AccountID
				Organization []arn.AccountID
				Policy       json.RawMessage
			}
			if err := json.Unmarshal(src, &f); err != nil {
				t.Fatal(err)
			}
			kind, known := kinds[f.Kind]
			if !known || f.Page == "" {
				t.Fatalf("kind %q, page %q", f.Kind, f.Page)
			}
			for _, account := range []arn.AccountID{f.Account, "111122223333"} {
				doc, list := lint.Context{Account: account, Organization: f.Organization}.Document(f.Policy, kind)
				if doc == nil {
					t.Error("the policy cannot be read")
				}
				for _, finding := range list.AtLeast(rule.Low) {
					t.Errorf("%s\nof %s: %s", finding, f.Page, finding.Detail)
				}
			}
		})
	}
}
