package guard_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/guard"
)

// tree writes guards into directories, each below the one before, and gives the
// guard of the lowest.
func tree(t *testing.T, texts ...string) (*guard.Guard, error) {
	t.Helper()
	dir := t.TempDir()
	for _, text := range texts {
		dir = filepath.Join(dir, "below")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, guard.FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return guard.Find(dir)
}

var (
	dev     = guard.Account{ID: "111111111111", Name: "orders-dev", Labels: map[string]string{"env": "dev", "team": "orders"}}
	prod    = guard.Account{ID: "222222222222", Name: "orders-prod", Labels: map[string]string{"env": "prod", "team": "orders"}}
	bare    = guard.Account{ID: "333333333333", Name: "network", Labels: map[string]string{}}
	unknown = guard.Account{ID: "444444444444"}
	nobody  = guard.Account{} // not even the id is known
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		files                  []string
		pass, confirm, keepOut []guard.Account
	}{
		"no file":                              {[]string{""}, []guard.Account{dev, prod, bare, unknown}, nil, nil},
		"an empty file says nothing":           {[]string{"# nothing\n"}, []guard.Account{dev, unknown}, nil, nil},
		"allowed by name":                      {[]string{"allow: {accounts: [orders-dev]}"}, []guard.Account{dev}, nil, []guard.Account{prod, bare, unknown}},
		"allowed by id":                        {[]string{`allow: {accounts: ["444444444444"]}`}, []guard.Account{unknown}, nil, []guard.Account{prod, bare, dev}},
		"allowed by pattern":                   {[]string{`allow: {accounts: ["orders-*"]}`}, []guard.Account{dev, prod}, nil, []guard.Account{bare, unknown}},
		"allowed by label, unknown ones never": {[]string{"allow: {labels: {env: dev}}"}, []guard.Account{dev}, nil, []guard.Account{prod, bare, unknown}},
		"all labels must fit":                  {[]string{"allow: {labels: {env: dev, team: payroll}}"}, nil, nil, []guard.Account{dev}},
		"name or label is enough":              {[]string{"allow: {accounts: [network], labels: {env: dev}}"}, []guard.Account{dev, bare}, nil, []guard.Account{prod}},
		"denied by label, unknown ones too":    {[]string{"deny: {labels: {env: prod}}"}, []guard.Account{dev, bare}, nil, []guard.Account{prod, unknown}},
		"denied by name, unknown ones too":     {[]string{`deny: {accounts: ["*-prod"]}`}, []guard.Account{dev, bare}, nil, []guard.Account{prod, unknown}},
		"denied by id":                         {[]string{`deny: {accounts: ["222222222222"]}`}, []guard.Account{dev, bare, unknown}, nil, []guard.Account{prod}},
		"denied by id, an unknown one too":     {[]string{`deny: {accounts: ["222222222222"]}`}, []guard.Account{dev}, nil, []guard.Account{prod, nobody}},
		"denied by pattern of ids":             {[]string{`deny: {accounts: ["2222*"]}`}, nil, nil, []guard.Account{prod, nobody}},
		"confirmed by id, an unknown one too":  {[]string{`confirm: {accounts: ["222222222222"]}`}, []guard.Account{dev}, []guard.Account{prod, nobody}, nil},
		"read only, whoever it is":             {[]string{"as: readonly"}, []guard.Account{dev, nobody}, nil, nil},
		"deny beats allow":                     {[]string{"allow: {accounts: [orders-prod]}\ndeny: {labels: {env: prod}}"}, nil, nil, []guard.Account{prod}},
		"confirmed by label, unknown ones too": {[]string{"confirm: {labels: {env: prod}}"}, []guard.Account{dev, bare}, []guard.Account{prod, unknown}, nil},
		"all of them, unknown ones too":        {[]string{`allow: {accounts: ["*"]}`}, []guard.Account{dev, prod, unknown, nobody}, nil, nil},
		"none of them, unknown ones too":       {[]string{`deny: {accounts: ["*"]}`}, nil, nil, []guard.Account{dev, nobody}},
		"what is below cannot loosen":          {[]string{"allow: {accounts: [orders-dev]}", "allow: {accounts: [orders-prod, orders-dev]}"}, []guard.Account{dev}, nil, []guard.Account{prod}},
		"what is above holds":                  {[]string{"deny: {accounts: [orders-prod]}", "", "allow: {labels: {team: orders}}"}, []guard.Account{dev}, nil, []guard.Account{prod, bare}},
		"confirmation from above":              {[]string{"confirm: {accounts: [network]}", "deny: {accounts: [orders-prod]}"}, []guard.Account{dev}, []guard.Account{bare}, []guard.Account{prod}},
	} {
		g, err := tree(t, c.files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, a := range c.pass {
			if confirm, err := g.Check(a); err != nil || confirm != "" {
				t.Errorf("%s: %s: %q, %v, want it to pass", name, a.ID, confirm, err)
			}
		}
		for _, a := range c.confirm {
			if confirm, err := g.Check(a); err != nil || !strings.Contains(confirm, string(a.ID)) {
				t.Errorf("%s: %s: %q, %v, want a question", name, a.ID, confirm, err)
			}
		}
		for _, a := range c.keepOut {
			_, err := g.Check(a)
			if e := (*guard.Error)(nil); !errors.As(err, &e) || e.Account.ID != a.ID || !strings.Contains(err.Error(), guard.FileName) {
				t.Errorf("%s: %s: %v, want it kept out with the file named", name, a.ID, err)
			}
		}
	}
}

// Who asks which account it is must be told so wherever Check would need it.
func TestAsks(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  bool
	}{
		{[]string{""}, false},
		{[]string{"as: readonly"}, false},
		{[]string{`deny: {accounts: ["222222222222"]}`}, true},
		{[]string{"allow: {labels: {env: dev}}", "as: readonly"}, true},
		{[]string{"confirm: {accounts: [x]}", ""}, true},
		{[]string{`deny: {accounts: ["*"]}`, `allow: {accounts: ["2*", "*"]}`}, false},
		{[]string{`confirm: {accounts: ["*"]}`}, true},
	} {
		g, err := tree(t, c.files...)
		if err != nil || (g.Asks() != "") != c.want {
			t.Errorf("%q: Asks = %q, %v, want %v", c.files, g.Asks(), err, c.want)
		}
	}
}

func TestReadOnly(t *testing.T) {
	for _, c := range []struct {
		files []string
		want  bool
	}{
		{[]string{""}, false},
		{[]string{"as: readonly"}, true},
		{[]string{"as: readonly", "confirm: {accounts: [x]}"}, true},
		{[]string{"confirm: {accounts: [x]}"}, false},
	} {
		g, err := tree(t, c.files...)
		if err != nil || (g.ReadOnly() != "") != c.want {
			t.Errorf("%q: ReadOnly = %q, %v, want %v", c.files, g.ReadOnly(), err, c.want)
		}
	}
}

// A file that is not understood was meant to hold somebody back.
func TestFileThatIsNotUnderstoodIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"alow: {accounts: [x]}":           `.stile-guard.yaml:1:1: unknown field "alow"; did you mean "allow"?`,
		"allow: [x]":                      ".stile-guard.yaml:1:8: want a mapping with the fields accounts, labels",
		"allow: {}":                       "want accounts or labels",
		"as: admin":                       "want readonly",
		"allow: {accounts: [x]}\n---\n{}": "a second document begins here, want one",
		"\t":                              "",
	} {
		_, err := tree(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "reading the guard of") {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}

func TestALinkToNothingIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/none/guard", filepath.Join(dir, guard.FileName)); err != nil {
		t.Fatal(err)
	}
	if _, err := guard.Find(dir); err == nil || !strings.Contains(err.Error(), ".stile-guard.yaml leads to /none/guard, and there is nothing") {
		t.Errorf("Find = %v", err)
	}
}

// Whoever comes by a link is where it leads.
func TestGuardsHoldBehindLinks(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"bound/below", "linked"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "linked", "here")
	if err := os.Symlink(filepath.Join(dir, "bound", "below"), link); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"bound": "deny: {accounts: [orders-prod]}", "linked": "deny: {accounts: [network]}"} {
		if err := os.WriteFile(filepath.Join(dir, file, guard.FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g, err := guard.Find(link)
	if err != nil {
		t.Fatal(err)
	}
	for account, out := range map[*guard.Account]bool{&prod: true, &bare: true, &dev: false} {
		if _, err := g.Check(*account); (err != nil) != out {
			t.Errorf("%s: %v, want kept out: %t", account.Name, err, out)
		}
	}
	if n := len(g.Files()); n != 2 {
		t.Errorf("%v: %d files, want 2", g.Files(), n)
	}
}
