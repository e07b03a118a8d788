package iamcollect_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stile-aws/stile/internal/importer/iamcollect"
	"github.com/stile-aws/stile/internal/inventory"
)

func files(pairs ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return out
}

const role = "accounts/111111111111/iam/role/a/metadata.json"

func TestPartitionsAreFoundFromThreeHeights(t *testing.T) {
	for prefix, want := range map[string]string{"": ".", "aws-cn/": "aws-cn", "aws/aws-us-gov/": "aws/aws-us-gov"} {
		if got := iamcollect.Partitions(files(prefix+role, `{}`)); !slices.Equal(got, []string{want}) {
			t.Errorf("Partitions below %q = %v, want %s", prefix, got, want)
		}
	}
	if got := iamcollect.Partitions(files("a.json", "{}", "accounts/readme.txt", "x")); got != nil {
		t.Errorf("Partitions of another directory = %v", got)
	}
	if _, _, err := iamcollect.Read(files("a.json", "{}")); err == nil {
		t.Error("Read takes a directory of another layout")
	}
}

func TestAccountsOfSeveralPartitionsAreRead(t *testing.T) {
	inv, _, err := iamcollect.Read(files("aws/aws/"+role, `{"arn": "arn:aws:iam::111111111111:role/a", "name": "a"}`, "aws/aws-cn/accounts/222222222222/iam/role/b/metadata.json", `{"arn": "arn:aws-cn:iam::222222222222:role/b", "name": "b"}`))
	if err != nil {
		t.Fatal(err)
	}
	for id, name := range map[string]string{"111111111111": "a", "222222222222": "b"} {
		found := false
		for _, a := range inv.Accounts {
			if string(a.ID) == id {
				_, state := a.Role(name)
				found = state == inventory.Exists
			}
		}
		if !found {
			t.Errorf("role %s of account %s was not read", name, id)
		}
	}
}

func TestWhatWasNotCollectedIsNotAbsent(t *testing.T) {
	inv, _, err := iamcollect.Read(files("accounts/111111111111/sqs/us-east-1/q/metadata.json", `{"arn": "arn:aws:sqs:us-east-1:111111111111:q"}`))
	if err != nil {
		t.Fatal(err)
	}
	a := inv.Accounts["111111111111"]
	if _, state := a.Role("x"); state != inventory.NotAsked {
		t.Errorf("a role without IAM's directory is %v, want notAsked", state)
	}
	if state := a.Kind(inventory.KindSecrets, "us-east-1"); state != inventory.NotAsked {
		t.Errorf("secrets without a directory are %v, want notAsked", state)
	}
	if state := a.Kind("sqs:queue", "us-east-1"); state != inventory.Exists {
		t.Errorf("queues of the Region are %v, want exists", state)
	}
	if state := a.Kind("sqs:queue", "eu-west-1"); state != inventory.NotAsked {
		t.Errorf("queues of another Region are %v, want notAsked", state)
	}
	if a.Member.State != inventory.NotAsked || inv.OrgState != inventory.NotAsked {
		t.Errorf("membership %v, organization %v, want notAsked", a.Member.State, inv.OrgState)
	}
}

func TestWithoutServiceControlPoliciesNobodyIsLimited(t *testing.T) {
	const org = "organizations/o-1/"
	inv, _, err := iamcollect.Read(files(org+"metadata.json", `{"id": "o-1", "rootOu": "r-1", "rootAccountId": "111111111111", "features": {}}`, org+"structure.json", `{"r-1": {"accounts": ["arn:aws:organizations::1:account/o-1/111111111111"]}}`,
		org+"accounts.json", `{"111111111111": {}}`, org+"ous.json", `{"r-1": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	path := inv.Organization.Path("111111111111")
	for _, n := range path {
		if len(n.SCPs) != 1 || !strings.Contains(inv.Organization.Policies[n.SCPs[0]].Document, `"Allow"`) {
			t.Errorf("node %s has the policies %v, want one that allows everything", n.ID, n.SCPs)
		}
	}
	if len(path) != 2 || inv.Organization.RCPState != inventory.Absent {
		t.Errorf("path %v, RCPs %v", path, inv.Organization.RCPState)
	}
}

func TestAnOrganizationWithoutItsFilesIsUnread(t *testing.T) {
	inv, findings, err := iamcollect.Read(files("organizations/o-1/metadata.json", `{"id": "o-1"}`, "organizations/o-2/accounts.json", `{"1": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	if inv.OrgState != inventory.Unread || inv.Organization != nil || len(findings) != 2 {
		t.Errorf("organization %v, findings %v; want it unread and both told", inv.OrgState, findings)
	}
}

func TestAPrincipalWhoseFileIsBrokenIsUnread(t *testing.T) {
	inv, findings, err := iamcollect.Read(files("accounts/111111111111/iam/role/svc%2fa/metadata.json", `{"arn"`, "accounts/111111111111/iam/user/b/metadata.json", `{}`))
	if err != nil {
		t.Fatal(err)
	}
	a := inv.Accounts["111111111111"]
	_, role := a.Role("A")
	_, user := a.User("b")
	_, other := a.Role("other")
	if role != inventory.Unread || user != inventory.Unread || other != inventory.Absent || len(findings) != 3 {
		t.Errorf("role %v, user %v, another role %v, findings %v", role, user, other, findings)
	}
}

// closedFS has a file that may not be read.
type closedFS struct {
	fstest.MapFS
	closed string
}

func (c closedFS) Open(name string) (fs.File, error) {
	if name == c.closed {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.Open(name)
}

func (c closedFS) ReadFile(name string) ([]byte, error) {
	if name == c.closed {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.ReadFile(name)
}

func TestAFileThatMayNotBeReadIsAnError(t *testing.T) {
	_, _, err := iamcollect.Read(closedFS{files(role, `{"arn": "arn:aws:iam::111111111111:role/a", "name": "a"}`), role})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), role) {
		t.Errorf("Read = %v, want the file and why", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("iam/role/a/metadata.json", `{"arn": "arn:aws:iam::1:role/a"}`, `{"r-1": {"children": {"ou-1": null}}}`)
	f.Add("eks/us-east-1/access-entry/x/metadata.json", `{"arn": "a", "clusterName": ""}`, `[]`)
	f.Add("kms/us-east-1/key/x/metadata.json", `{"arn": "a", "keyManager": 1}`, ``)
	f.Fuzz(func(t *testing.T, name, text, structure string) {
		name = "accounts/111111111111/" + name
		if !fs.ValidPath(name) {
			return
		}
		_, _, _ = iamcollect.Read(files(role, "{}", name, text, "organizations/o-1/metadata.json", `{"rootOu": "r-1"}`, "organizations/o-1/structure.json", structure, "organizations/o-1/accounts.json", "{}", "organizations/o-1/ous.json", "{}"))
	})
}
