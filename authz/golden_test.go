package authz_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stile-aws/stile/authz"
)

var update = flag.Bool("update", false, "write testdata/decisions anew")

// The text and the JSON of a decision are kept whole: programs read the one,
// people the other, and neither may change by accident.
func TestDecisionsAreWrittenAsTheyWere(t *testing.T) {
	for name, ask := range map[string]func(*authz.Request, *authz.Policies){
		"allowed": func(*authz.Request, *authz.Policies) {},
		"denied-explicitly": func(req *authz.Request, _ *authz.Policies) {
			req.Context.Set("aws:RequestedRegion", "us-west-2")
		},
		"denied-by-the-resource": func(req *authz.Request, pols *authz.Policies) {
			req.Principal.Entity = mustARN(t, "arn:aws:iam::111111111111:role/payroll-api")
		},
		"denied-by-nothing-in-particular": func(req *authz.Request, pols *authz.Policies) {
			req.Action = "secretsmanager:DeleteSecret"
		},
		"depends": func(req *authz.Request, _ *authz.Policies) {
			req.Context.SetUnknown("aws:PrincipalTag/team")
			req.Context.SetUnknown("aws:RequestedRegion")
		},
		"not-all-read": func(req *authz.Request, pols *authz.Policies) {
			req.Context.SetUnknown("aws:SecureTransport")
			pols.Unread = []authz.Unread{{
				Source: authz.Source{Layer: authz.LayerIdentity, Account: "111111111111", Name: "group ops inline policy more"}, Reason: "AccessDenied",
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			req, pols := crossAccount(t, 1)
			ask(req, pols)
			d := authz.Evaluate(req, pols, nil)
			var b bytes.Buffer
			if err := d.Explain(&b); err != nil {
				t.Fatal(err)
			}
			b.WriteString("\n" + d.Message(req) + "\n\n")
			text, err := json.MarshalIndent(d, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(text, '\n'))
			checkGolden(t, name, b.Bytes())

			var back authz.Decision
			if err := json.Unmarshal(text, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(d, back, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("JSON round trip (-want +got):\n%s", diff)
			}
			if d.Text() != back.Text() {
				t.Errorf("the text of what was read back:\n%s", back.Text())
			}
		})
	}
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "decisions", name+".golden")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (make it with go test ./authz -run %s -update)", err, t.Name())
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
