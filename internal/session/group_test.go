package session_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/session"
)

const groups = book + `groups:
  # Fridays
  - name: release
    members: [prod-db, "*/ReadOnly"] # in this order
`

func TestGroups(t *testing.T) {
	b := read(t, write(t, groups))
	if diff := cmp.Diff([]string{"me", "prod-db", "*/ReadOnly", "x/y"}, b.Spread([]string{"me", "release", "x/y"})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, err := b.Resolve(t.Context(), "release", lists{})
	if group, ok := errors.AsType[*session.GroupError](err); !ok || group.Group.Name != "release" || !strings.Contains(err.Error(), "prod-db, */ReadOnly") {
		t.Errorf("Resolve(release) = %v, want an error that lists the members", err)
	}
}

func TestGroupsThatCannotBe(t *testing.T) {
	for want, text := range map[string]string{
		"prod-db is there twice; sources, sessions and groups": "groups:\n- {name: prod-db, members: [me]}\n",
		"acme is there twice":    "groups:\n- {name: acme, members: [me]}\n",
		"group g has no members": "groups:\n- {name: g, members: []}\n",
		"has member me twice":    "groups:\n- {name: g, members: [me, me]}\n",
		"member h is a group":    "groups:\n- {name: g, members: [h]}\n- {name: h, members: [me]}\n",
		`member "a\tb"`:          "groups:\n- {name: g, members: [\"a\\tb\"]}\n",
		`name "g/h"`:             "groups:\n- {name: g/h, members: [me]}\n",
		`unknown field "member"`: "groups:\n- {name: g, member: [me]}\n",
	} {
		path := write(t, book+text)
		if _, err := session.Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestGroupsAreEdited(t *testing.T) {
	path := write(t, groups)
	if err := session.Edit(t.Context(), path, session.Change{Remove: []string{"prod-db"}}); err == nil || !strings.Contains(err.Error(), "prod-db is a member of group release") {
		t.Errorf("removing a member: %v", err)
	}
	err := session.Edit(t.Context(), path, session.Change{Groups: []session.Group{{Name: "release", Members: []string{"me"}}, {Name: "new", Members: []string{"audit"}}}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "# Fridays") || !strings.Contains(string(text), "# careful") {
		t.Errorf("comments are gone: %s, %v", text, err)
	}
	want := []session.Group{{Name: "release", Members: []string{"me"}}, {Name: "new", Members: []string{"audit"}}}
	if diff := cmp.Diff(want, read(t, path).Groups); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := session.Edit(t.Context(), path, session.Change{Remove: []string{"release", "new", "prod-db"}}); err != nil || len(read(t, path).Groups) != 0 {
		t.Errorf("removing groups: %v", err)
	}
}

// two are Identity Centers that both list account network.
var two = lists{known: map[string][]session.Account{
	"acme": {{ID: "111111111111", Name: "network"}}, "gov": {{ID: "111111111111", Name: "network"}},
}}

func TestRolesTellSourcesOfOneAccountApart(t *testing.T) {
	b := read(t, write(t, book))
	for name, c := range map[string]struct {
		known, asked map[string][]string
		source, want string // or what the error says
	}{
		"both are known":                  {map[string][]string{"acme/111111111111": {"Admin"}, "gov/111111111111": {"Dev"}}, nil, "gov", ""},
		"one is asked for":                {map[string][]string{"acme/111111111111": {"Admin"}}, map[string][]string{"gov/111111111111": {"Dev"}}, "gov", ""},
		"the role is new":                 {map[string][]string{"acme/111111111111": {}, "gov/111111111111": {}}, map[string][]string{"acme/111111111111": {"Dev"}, "gov/111111111111": {}}, "acme", ""},
		"both have it":                    {map[string][]string{"acme/111111111111": {"Dev"}, "gov/111111111111": {"Dev"}}, nil, "", "gov:111111111111/Dev"},
		"one has it, one cannot be asked": {map[string][]string{"acme/111111111111": {"Dev"}}, nil, "", "gov:111111111111/Dev"},
		"none has it":                     {nil, map[string][]string{"acme/111111111111": {"Admin"}, "gov/111111111111": {}}, "", "none of acme, gov lists a role Dev there"},
	} {
		l := two
		l.knownRoles, l.askedRoles = c.known, c.asked
		got, err := b.Resolve(t.Context(), "network/Dev", l)
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %+v, %v, want %q", name, got, err, c.want)
		case c.want == "" && (err != nil || got.Source.Name != c.source || got.PermissionSet != "Dev"):
			t.Errorf("%s: %+v, %v, want that of %s", name, got, err, c.source)
		}
	}
	if got, err := b.Resolve(t.Context(), "me:network/x", two); err != nil || got.Account != "111111111111" {
		t.Errorf("an account that two list is one: %+v, %v", got, err)
	}
}

func TestARNsOfRoles(t *testing.T) {
	b := read(t, write(t, book+"  - {name: twice, source: acme, account: orders-prod, role: db-admin, via: [tooling/Hub]}\n"))
	l := two
	l.known["acme"] = append(l.known["acme"], session.Account{ID: "222222222222", Name: "orders-prod"}, session.Account{ID: "333333333333", Name: "tooling"})
	l.knownRoles = map[string][]string{"acme/111111111111": {"Admin_x"}, "gov/111111111111": {"Dev"}}
	const role = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_"
	for text, want := range map[string]string{role + "Admin_x_0123456789abcdef": "acme", role + "Dev_0123456789abcdef": "gov"} {
		if got, err := b.Resolve(t.Context(), text, l); err != nil || got.Source.Name != want || !strings.Contains(text, got.PermissionSet) || got.Account != "111111111111" {
			t.Errorf("Resolve(%s) = %+v, %v, want a role of %s", text, got, err, want)
		}
	}
	if got, err := b.Resolve(t.Context(), "arn:aws:iam::222222222222:role/auditor", l); err != nil || got.Session != "audit" {
		t.Errorf("a session's role: %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		role + "None_0123456789abcdef":            "looked through: acme, gov",
		"arn:aws:iam::222222222222:role/else":     "SOURCE:222222222222/else",
		"arn:aws:iam::222222222222:role/db-admin": "choose one: prod-db, twice",
		"arn:aws:iam::222222222222:user/me":       "not the ARN of a role",
	} {
		if got, err := b.Resolve(t.Context(), text, l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Resolve(%s) = %+v, %v, want %q", text, got, err, want)
		}
	}
}
