package route

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A program may give credentials of one account first and of another one later: a guard
// has let the first through.
func TestCredentialsOfAnotherAccountAreKeptOut(t *testing.T) {
	w := &Way{Account: "222222222222", Caller: "asked", whose: &whose{guard: ".stile-guard.yaml", key: "AKIA2", account: "111111111111"}}
	c := aws.Credentials{AccessKeyID: "AKIA2", SecretAccessKey: "hush"}
	if got, err := w.hand(t.Context(), c); err == nil || got.HasKeys() || !strings.Contains(err.Error(), "asked gives credentials of account 111111111111 now") {
		t.Errorf("hand gave %v, %v, want nothing and why", got.AccessKeyID, err)
	}
	w.Account = "111111111111"
	if got, err := w.hand(t.Context(), c); err != nil || got.AccessKeyID != c.AccessKeyID {
		t.Errorf("hand gave %v, %v, want what is of the account that was let through", got.AccessKeyID, err)
	}
}
