package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/session"
)

// perAccount is how many roles alice has in each account, at most.
const perAccount = 20

// knowing makes a place of somebody who has signed in to an Identity Center, knows
// so many roles of it, each by a session of its own, and has credentials of the
// first one kept. Everything is written by the program itself.
func knowing(t testing.TB, roles int) (p *place, first string) {
	t.Helper()
	p = newPlace(t, 0)
	cfg := localaws.Config{Seed: 1}
	accounts, sets := []arn.AccountID{}, []localaws.PermissionSet{}
	for i := range (roles + perAccount - 1) / perAccount {
		a := localaws.Account{ID: arn.AccountID(fmt.Sprint(100000000000 + i)), Name: fmt.Sprint("team-", i)}
		cfg.Accounts, accounts = append(cfg.Accounts, a), append(accounts, a.ID)
	}
	names := []string{}
	for i := range min(roles, perAccount) {
		names = append(names, fmt.Sprint("role-", i))
		sets = append(sets, localaws.PermissionSet{Name: names[i]})
	}
	cfg.IdentityCenters = []localaws.IdentityCenter{{
		StartURL: "https://acme.awsapps.com/start", Users: []localaws.IdentityCenterUser{{Name: "alice"}}, PermissionSets: sets,
		Assignments: []localaws.Assignment{{Accounts: accounts, PermissionSets: names, Users: []string{"alice"}}},
	}}
	streams := cli.System()
	streams.Env = func(name string) (string, bool) { return filepath.Dir(p.state), name == "XDG_STATE_HOME" }
	running, err := local.Start(t.Context(), streams, local.Setup{Listen: "127.0.0.1:0", AWS: cfg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	browser := p.write(t, "browser", fmt.Sprintf("#!/bin/sh\nexec %s local sign-in --user alice \"$1\"\n", p.program), 0o700)
	p.env = append(p.env, "AWS_ENDPOINT_URL="+running.URL, "STILE_SECRETS=keyfile", "BROWSER="+browser)
	p.know(t, accounts, names)
	return p, "s-team-0-role-0"
}

// know writes the sessions, lists what there is, and gets credentials once.
func (p *place) know(t testing.TB, accounts []arn.AccountID, roles []string) {
	t.Helper()
	book := filepath.Join(p.dir, "config", "stile", "sessions.yaml")
	if err := os.Remove(book); err != nil {
		t.Fatal(err)
	}
	change := session.Change{Sources: []session.Source{{Name: "acme", IdentityCenter: &session.IdentityCenter{StartURL: "https://acme.awsapps.com/start", Region: "us-east-1"}}}}
	for i, a := range accounts {
		for _, role := range roles {
			change.Sessions = append(change.Sessions, session.Session{Name: fmt.Sprintf("s-team-%d-%s", i, role), Source: "acme", Account: string(a), Role: role})
		}
	}
	if err := session.Edit(t.Context(), book, change); err != nil {
		t.Fatal(err)
	}
	if r := p.run(t, nil, "login", "acme"); r.code != 0 {
		t.Fatalf("login: exit %d, %s", r.code, r.stderr)
	}
	r := p.run(t, nil, "ls", "--json")
	var listed any
	if err := json.Unmarshal([]byte(r.stdout), &listed); r.code != 0 || err != nil {
		t.Fatalf("ls: exit %d, %v, %s", r.code, err, r.stderr)
	}
	if r := p.run(t, nil, "credential-process", "s-team-0-"+roles[0]); r.key() == "" || r.early() {
		t.Fatalf("credential-process: exit %d, early %t, %s", r.code, r.early(), r.stderr)
	}
}
