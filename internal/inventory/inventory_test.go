package inventory_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/inventory"
)

func TestAbsentNotAskedAndUnreadAreToldApart(t *testing.T) {
	role := &inventory.Role{Name: "Deploy"}
	for name, test := range map[string]struct {
		account *inventory.Account
		want    inventory.Lookup
	}{
		"no account":                             {nil, inventory.NotAsked},
		"nobody asked":                           {&inventory.Account{}, inventory.NotAsked},
		"it is there":                            {&inventory.Account{Roles: map[string]*inventory.Role{"deploy": role}}, inventory.Exists},
		"it was looked for":                      {&inventory.Account{Roles: map[string]*inventory.Role{"deploy": nil}}, inventory.Absent},
		"everything was listed":                  {&inventory.Account{Complete: true}, inventory.Absent},
		"it could not be read":                   {problem("role DEPLOY"), inventory.Unread},
		"it alone could not be read":             {&inventory.Account{Complete: true, Problems: problem("role DEPLOY").Problems}, inventory.Unread},
		"another role could not be read":         {problem("role deployer"), inventory.NotAsked},
		"nothing of the account could be read":   {problem(inventory.AllOfIt), inventory.Unread},
		"another kind of thing was not readable": {problem("user DEPLOY"), inventory.NotAsked},
	} {
		got, state := test.account.Role("DEPLOY")
		if state != test.want || (got != nil) != (test.want == inventory.Exists) {
			t.Errorf("%s: Role = %v, %v, want state %v", name, got, state, test.want)
		}
	}
}

func problem(what string) *inventory.Account {
	return &inventory.Account{Problems: []inventory.Problem{{What: what, Why: "no"}}}
}

func TestASecretIsFoundByItsARNWhateverItWasAskedBy(t *testing.T) {
	const full = "arn:aws:secretsmanager:us-east-1:111111111111:secret:a-AbCdEf"
	a := &inventory.Account{Secrets: map[string]*inventory.Secret{
		"arn:aws:secretsmanager:us-east-1:111111111111:secret:a-*": {ARN: full, Policy: "{}"},
		"arn:aws:secretsmanager:us-east-1:111111111111:secret:b-*": nil,
	}}
	if text, state := a.SecretPolicy(full); text != "{}" || state != inventory.Exists {
		t.Errorf("SecretPolicy(%q) = %q, %v", full, text, state)
	}
	if _, state := a.SecretPolicy(full + "x"); state != inventory.NotAsked {
		t.Errorf("a secret nobody asked for is %v, want NotAsked", state)
	}
	if _, state := a.SecretPolicy("arn:aws:secretsmanager:us-east-1:111111111111:secret:b-*"); state != inventory.Absent {
		t.Errorf("a pattern that found nothing is %v, want Absent", state)
	}
}

func TestPathGoesFromTheRootDown(t *testing.T) {
	account := &inventory.Node{ID: "222222222222"}
	org := &inventory.Organization{Root: &inventory.Node{ID: "r-1", Children: []*inventory.Node{
		{ID: "111111111111"},
		{ID: "ou-1", Children: []*inventory.Node{{ID: "ou-2", Children: []*inventory.Node{account}}}},
	}}}
	var got []string
	for _, n := range org.Path("222222222222") {
		got = append(got, n.ID)
	}
	if want := "[r-1 ou-1 ou-2 222222222222]"; len(got) != 4 || got[0] != "r-1" || got[1] != "ou-1" || got[2] != "ou-2" || got[3] != "222222222222" {
		t.Errorf("Path = %v, want %s", got, want)
	}
	if path := org.Path("333333333333"); path != nil {
		t.Errorf("Path of a stranger = %v, want nil", path)
	}
	var none *inventory.Organization
	if path := none.Path("111111111111"); path != nil {
		t.Errorf("Path without an organization = %v, want nil", path)
	}
}

func TestARequestIsEmptyUntilSomethingIsAsked(t *testing.T) {
	var r inventory.Request
	if !r.Empty() {
		t.Error("the zero Request is not empty")
	}
	a := r.Account("111111111111")
	if !r.Empty() {
		t.Error("a Request with an account that nothing is asked of is not empty")
	}
	a.Keys = []string{"arn:aws:kms:us-east-1:111111111111:key/1"}
	if r.Empty() {
		t.Error("a Request for a key is empty")
	}
	if r.Account("111111111111") != a {
		t.Error("Account gives another request for the same account")
	}
}
