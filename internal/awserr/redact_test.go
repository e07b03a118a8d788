package awserr_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/internal/awserr"
)

const secret = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxyz9"

// What an answer says that nobody understands is quoted to nobody.
func TestAnswersThatAreNotUnderstoodAreNotQuoted(t *testing.T) {
	unread := &smithy.DeserializationError{Err: fmt.Errorf("expected number, got %q", secret)}
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a value that cannot be read", fmt.Errorf("going: %w", unread), "going: its answer cannot be read"},
		{"of a call", fmt.Errorf("going: %w", &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: unread}), "going: STS AssumeRole: its answer cannot be read"},
		{"an endpoint's page", &smithy.GenericAPIError{Message: "<html>" + secret}, "it refused, and not with a message for people"},
		{"an endpoint's data", &smithy.GenericAPIError{Message: ` {"Token":"` + secret + `"}`}, "it refused, and not with a message for people"},
		{"an endpoint's words", &smithy.GenericAPIError{Message: "no role for token " + secret}, "no role for token …"},
		{"AWS's words", &smithy.GenericAPIError{Code: "AccessDenied", Message: "no role for arn:aws:iam::111111111111:role/a"}, "AccessDenied: no role for arn:aws:iam::111111111111:role/a"},
		{"others' words", errors.New("no file /tmp/TestSomething1234567890/001/LongNamesAndNumbers2"), "no file /tmp/TestSomething1234567890/001/LongNamesAndNumbers2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := awserr.Text(test.err)
			if !strings.Contains(got, test.want) || strings.Contains(got, secret) {
				t.Errorf("Text = %q, want %q", got, test.want)
			}
		})
	}
}
