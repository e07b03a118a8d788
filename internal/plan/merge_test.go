package plan_test

import (
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/policy"
)

// written is a key policy as KMS writes it, with one of somebody else's beside it.
const written = `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : { "AWS" : "arn:aws:iam::222222222222:root" },
    "Action" : "kms:*",
    "Resource" : "*"
  },
  { "Effect" : "Deny", "Principal" : "*", "Action" : ["kms:ScheduleKeyDeletion"], "Resource" : "*" } ]
}`

func statement(sid, action string) policy.Statement {
	return policy.Statement{Sid: sid, Effect: policy.Allow, Principal: policy.AWS("arn:aws:iam::111111111111:role/app"), Actions: policy.Texts(action), Resources: policy.Texts("*")}
}

func mergeText(t *testing.T, text string, op plan.MergeOp) string {
	t.Helper()
	out, err := plan.MergeText(text, &op)
	if err != nil {
		t.Fatalf("MergeText(%q): %v", text, err)
	}
	return out
}

func TestWhatIsPutAndRemovedLeavesTheTextAsItWas(t *testing.T) {
	for _, text := range []string{
		written, strings.ReplaceAll(written, "\n", "\r\n"), strings.Replace(written, "} ]", "}\n\t]", 1),
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}],"Version":"2012-10-17","Id":", ] }"}`,
	} {
		put := mergeText(t, text, plan.MergeOp{Kind: compile.KeyPolicy, Put: []policy.Statement{statement("StileA", "kms:Decrypt"), statement("StileB", "kms:Encrypt")}})
		changed := mergeText(t, put, plan.MergeOp{Kind: compile.KeyPolicy, Put: []policy.Statement{statement("StileA", "kms:Sign")}, Remove: []string{"StileB"}})
		if !strings.Contains(changed, "kms:Sign") || strings.Contains(changed, "StileB") || strings.Contains(changed, "kms:Decrypt") {
			t.Errorf("changed text = %s", changed)
		}
		if got := mergeText(t, changed, plan.MergeOp{Kind: compile.KeyPolicy, Remove: []string{"StileA"}}); got != text {
			t.Errorf("after all = %s\nwant %s", got, text)
		}
	}
}

func TestTextsThatCannotStayAreMergedAllTheSame(t *testing.T) {
	put := []policy.Statement{statement("StileA", "kms:Decrypt")}
	long := strings.Replace(written, "{\n", "{"+strings.Repeat(" ", catalog.KMSKeyPolicySize)+"\n", 1)
	for name, text := range map[string]string{
		"one statement outside of a list":  `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}`,
		"no policy yet":                    "",
		"a text that would be too long":    long,
		"a statement of ours at the front": `{"Version":"2012-10-17","Statement":[{"Sid":"StileA","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"},{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}]}`,
	} {
		got, err := policy.Parse([]byte(mergeText(t, text, plan.MergeOp{Kind: compile.KeyPolicy, Put: put})))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := policy.NewDocument()
		if text != "" {
			if before, err = policy.Parse([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if want := plan.Merge(before, &plan.MergeOp{Put: put}); !policy.Equal(got, want) || got.Statements[len(got.Statements)-1].Sid == "" && name != "a statement of ours at the front" {
			t.Errorf("%s: MergeText gives %s, want %s", name, got, want)
		}
	}
	if got := mergeText(t, `{"Statement":[{"Sid":"StileA","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, plan.MergeOp{Remove: []string{"StileA"}}); got != "" {
		t.Errorf("a policy without statements = %q, want none", got)
	}
	if _, err := plan.MergeText(`{"Statement":`, &plan.MergeOp{Put: put}); err == nil {
		t.Error("MergeText merges into what is no policy")
	}
}

// FuzzMergeText holds that what is put means what Merge means, whatever the text,
// and that taking it out again gives the text as it was, or the same meaning where
// the text could not stay.
func FuzzMergeText(f *testing.F) {
	for _, text := range []string{written, "", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`, `{"Statement" : [ {"Sid":"StileA","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"} , {"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}],"Id":"]"}`} {
		f.Add(text)
	}
	put := &plan.MergeOp{Kind: compile.KeyPolicy, Put: []policy.Statement{statement("StileA", "kms:Decrypt"), statement("StileB", "kms:Sign")}}
	remove := &plan.MergeOp{Kind: compile.KeyPolicy, Remove: []string{"StileA", "StileB"}}
	f.Fuzz(func(t *testing.T, text string) {
		before := policy.NewDocument()
		if text != "" {
			parsed, err := policy.Parse([]byte(text))
			if err != nil {
				return
			}
			before = parsed
		}
		with := mergeText(t, text, *put)
		got, err := policy.Parse([]byte(with))
		if err != nil || !policy.Equal(got, plan.Merge(before, put)) {
			t.Fatalf("MergeText(%q) = %q, %v; want what means %s", text, with, err, plan.Merge(before, put))
		}
		without := mergeText(t, with, *remove)
		if _, a := before.FindSid("StileA"); a {
			return
		}
		if _, b := before.FindSid("StileB"); b || len(before.Statements) == 0 {
			return
		}
		if again, err := policy.Parse([]byte(without)); err != nil || !policy.Equal(again, before) {
			t.Fatalf("taken out again: %q, %v; want what means %s", without, err, before)
		}
		if i := strings.Index(with, "StileA"); strings.HasPrefix(with, text[:min(len(text), max(0, i-len(`,{"Sid":"`)))]) && !before.Single && without != text && len(with) < catalog.KMSKeyPolicySize {
			t.Fatalf("taken out again: %q, want %q", without, text)
		}
	})
}
