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

// Whether a guard was asked or not: what was begun in one account does not go on in
// another, as when somebody signs in to the console as somebody else.
func TestAWayDoesNotChangeItsAccount(t *testing.T) {
	const one, other = "111111111111", "222222222222"
	of := func(account string) aws.Credentials {
		return aws.Credentials{AccessKeyID: "ASIA" + account, SecretAccessKey: "hush", AccountID: account}
	}
	for _, c := range []struct {
		name string
		way  *Way
		want string
	}{
		{"a guard has let one through", &Way{Account: one, Caller: "console", whose: &whose{guard: ".stile-guard.yaml"}}, "console gives credentials of account 222222222222 now, and .stile-guard.yaml let 111111111111 through; begin anew"},
		{"no guard", &Way{Account: one, Caller: "console"}, "console gives credentials of account 222222222222 now, and this was begun in 111111111111; begin anew"},
		{"nothing but the credentials say it", &Way{Caller: "console"}, "console gives credentials of account 222222222222 now, and this was begun in 111111111111; begin anew"},
	} {
		for _, account := range []string{one, one, other, one} {
			got, err := c.way.hand(t.Context(), of(account))
			switch {
			case account == one && (err != nil || got.AccountID != one):
				t.Errorf("%s: hand gave %v, %v, want what is of the account that the way was opened for", c.name, got.AccountID, err)
			case account == other && (err == nil || got.HasKeys() || err.Error() != c.want):
				t.Errorf("%s: hand gave %v, %v, want nothing and %q", c.name, got.AccountID, err, c.want)
			}
		}
	}
	if _, err := (&Way{Caller: "keys"}).hand(t.Context(), of("")); err != nil {
		t.Errorf("nothing says an account: %v", err)
	}
}
