package state_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/plan"
)

func streams(env map[string]string) *term.Streams {
	return &term.Streams{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Env: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
}

func at(dir string) *term.Streams { return streams(map[string]string{"XDG_STATE_HOME": dir}) }

func TestDir(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/stile"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/stile"}, // the XDG specification: ignore relative paths
		{map[string]string{"HOME": "/h"}, "/h/.local/state/stile"},
	} {
		if got, err := state.Dir(streams(c.env)); got != c.want || err != nil {
			t.Errorf("Dir(%v) = %q, %v, want %q", c.env, got, err, c.want)
		}
	}
	if got, err := state.Dir(streams(nil)); err == nil {
		t.Errorf("Dir without a home = %q, want an error", got)
	}
}

func TestOneRunAtATime(t *testing.T) {
	dir := t.TempDir()
	first, err := state.Open(at(dir), "payroll")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(at(dir), "payroll"); err == nil || !strings.Contains(err.Error(), "another stile works on it") {
		t.Errorf("a second run: %v, want that another works on it", err)
	}
	other, err := state.Open(at(dir), "billing")
	if err != nil {
		t.Errorf("another scope: %v", err)
	}
	other.Close()
	first.Close()
	again, err := state.Open(at(dir), "payroll")
	if err != nil {
		t.Fatalf("after the first run ended: %v", err)
	}
	again.Close()
}

func TestJournalGoesOnAfterAHalfLine(t *testing.T) {
	dir := t.TempDir()
	j, err := state.Open(at(dir), "payroll")
	if err != nil {
		t.Fatal(err)
	}
	j.Record(apply.Event{State: apply.Done, Step: "one"})
	j.Close()
	file := filepath.Join(dir, "stile", "scopes", "payroll", "journal.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, `{"state":"do`...), 0o600); err != nil { // killed while it wrote
		t.Fatal(err)
	}
	if j, err = state.Open(at(dir), "payroll"); err != nil {
		t.Fatal(err)
	}
	j.Record(apply.Event{State: apply.Done, Step: "two"})
	j.Close()
	if text, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	var steps []string
	for line := range strings.Lines(string(text)) {
		var e apply.Event
		if json.Unmarshal([]byte(line), &e) == nil {
			steps = append(steps, e.Step)
		}
	}
	if strings.Join(steps, " ") != "one two" {
		t.Errorf("the journal has steps %q:\n%s", steps, text)
	}
}

func TestNothingIsWorldReadable(t *testing.T) {
	dir := t.TempDir()
	j, err := state.Open(at(dir), "payroll")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Applied(&plan.Plan{Scope: "payroll", Wanted: &compile.Wanted{}}, "."); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(dir, "stile"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRoutesOfWhatWasAppliedUntilItIsDestroyed(t *testing.T) {
	dir := t.TempDir()
	for _, scope := range []string{"payroll", "billing"} {
		j, err := state.Open(at(dir), scope)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Applied(&plan.Plan{Scope: scope, Wanted: &compile.Wanted{Routes: []compile.Route{{Access: scope + "-reads"}}}}, "."); err != nil {
			t.Fatal(err)
		}
		j.Close()
	}
	all, _, err := state.AllRoutes(at(dir))
	if err != nil || len(all) != 2 || all[0].Scope != "billing" || all[0].Routes[0].Access != "billing-reads" {
		t.Errorf("AllRoutes = %+v, %v", all, err)
	}
	j, err := state.Open(at(dir), "billing")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Applied(&plan.Plan{Scope: "billing", Destroy: true, Wanted: &compile.Wanted{}}, "."); err != nil {
		t.Fatal(err)
	}
	if all, _, err := state.AllRoutes(at(dir)); err != nil || len(all) != 1 || all[0].Scope != "payroll" {
		t.Errorf("AllRoutes after destroy = %+v, %v", all, err)
	}
}

func TestDamagedRoutesCostOneScope(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"half written", `{"scope":"bill`, "unexpected end of JSON input"},
		{"empty", "", "unexpected end of JSON input"},
		{"something else", `[1]`, "cannot unmarshal array"},
		{"another scope's", `{"scope":"payroll"}`, `of scope "payroll"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := state.Open(at(dir), "payroll")
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			if err := j.Applied(&plan.Plan{Scope: "payroll", Wanted: &compile.Wanted{}}, "payroll-declarations"); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "stile", "scopes", "billing", "routes.json")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			all, damaged, err := state.AllRoutes(at(dir))
			if err != nil || len(all) != 1 || all[0].Scope != "payroll" || len(damaged) != 1 {
				t.Fatalf("AllRoutes = %+v, %v, %v, want payroll's routes and one damaged file", all, damaged, err)
			}
			for _, want := range []string{"scope billing", file, c.want, "stile apply", "remove the file"} {
				if got := damaged[0].Error(); !strings.Contains(got, want) {
					t.Errorf("the damage is %q, want it to say %q", got, want)
				}
			}
			s := at(dir)
			if got, err := state.Declarations(s, ""); err != nil || len(got) != 1 || !strings.Contains(got[0], "payroll-declarations") {
				t.Errorf("Declarations = %v, %v, want payroll's", got, err)
			}
			if said := s.Err.(*bytes.Buffer).String(); !strings.Contains(said, file) {
				t.Errorf("Declarations said %q, want the damaged file", said)
			}
		})
	}
}

func TestAScopeCannotLeadElsewhere(t *testing.T) {
	for _, scope := range []string{"../../x", "/etc", "a/b", "..", ""} {
		if j, err := state.Open(at(t.TempDir()), scope); err == nil {
			j.Close()
			t.Errorf("Open(%q) succeeded", scope)
		}
	}
}
