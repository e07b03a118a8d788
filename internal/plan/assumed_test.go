package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/compile/compiletest"
)

// TestAPlanTellsWhatNobodyWroteDownAndWhatIsTakenForGranted: the use of keys beside
// why it is needed, what could not be seen beside what is proven, and of many such
// lines some.
func TestAPlanTellsWhatNobodyWroteDownAndWhatIsTakenForGranted(t *testing.T) {
	in := world(t, compiletest.Load(t, "../compile/testdata/encrypted.txtar"))
	p := mustMake(t, in)
	var out bytes.Buffer
	if err := p.Text(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"also kms:Decrypt, kms:GenerateDataKey: queue orders is encrypted with the customer managed key arn:aws:kms:us-east-1:222222222222:key/closed",
		"also kms:Decrypt: bucket reports is encrypted with",
		"assumed: whether queue locked of account orders-prod (222222222222) is encrypted under a KMS key is not known: SQS GetQueueAttributes: AccessDenied; taken to need none",
		"assumed: there is no stream clicks in account orders-prod (222222222222) yet",
		"assumed: under which KMS keys the queues are that arn:aws:sqs:us-east-1:222222222222:dead-* names",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for i := range 20 {
		p.Assumed = append(p.Assumed, fmt.Sprintf("line %d", i))
	}
	out.Reset()
	if err := p.Text(&out, false); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "  assumed: "); n != 13 || !strings.Contains(out.String(), fmt.Sprintf("assumed: %d lines more, which --json has", len(p.Assumed)-12)) {
		t.Errorf("of %d lines %d are printed:\n%s", len(p.Assumed), n, out.String())
	}
}
