package login_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/issuelog"
	"github.com/stile-aws/stile/internal/session"
)

const module = "../../.."

// page is docs/sessions.md, blocks its fenced blocks of a language.
func page(t *testing.T) (text string, blocks func(language string) []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(module, "docs/sessions.md"))
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")
	return string(raw), func(language string) (out []string) {
		for _, m := range fence.FindAllStringSubmatch(string(raw), -1) {
			if m[1] == language {
				out = append(out, m[2])
			}
		}
		return out
	}
}

func TestThePagesFilesAreLoaded(t *testing.T) {
	_, blocks := page(t)
	kinds := map[string]bool{}
	files, guards := 0, 0
	for _, text := range blocks("yaml") {
		dir := t.TempDir()
		name := "sessions.yaml"
		if strings.HasPrefix(text, "# "+guard.FileName) {
			name = guard.FileName
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == guard.FileName {
			guards++
			if g, err := guard.Find(dir); err != nil || g.ReadOnly() != path {
				t.Errorf("%v\n%s", err, text)
			}
			continue
		}
		files++
		book, err := session.Read(path)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		for i := range book.Sources {
			kinds[book.Sources[i].Kind()] = true
		}
	}
	if files != 2 || guards != 1 {
		t.Errorf("%d files and %d guards, want 2 and 1", files, guards)
	}
	for kind := range fields(reflect.TypeFor[session.Source](), "yaml") {
		if kind != "name" && !kinds[kind] {
			t.Errorf("there is no example of a source of kind %s", kind)
		}
	}
}

// fields are the names that a type's fields have in a file.
func fields(in reflect.Type, tag string) map[string]bool {
	out := map[string]bool{}
	for i := range in.NumField() {
		name, _, _ := strings.Cut(in.Field(i).Tag.Get(tag), ",")
		if name != "" && name != "-" {
			out[name] = true
		}
	}
	return out
}

func TestThePageNamesEveryField(t *testing.T) {
	text, _ := page(t)
	for _, in := range []struct {
		of  reflect.Type
		tag string
	}{
		{reflect.TypeFor[session.IdentityCenter](), "yaml"}, {reflect.TypeFor[session.User](), "yaml"}, {reflect.TypeFor[session.MFA](), "yaml"},
		{reflect.TypeFor[session.WebIdentity](), "yaml"}, {reflect.TypeFor[session.SAML](), "yaml"}, {reflect.TypeFor[session.RolesAnywhere](), "yaml"}, {reflect.TypeFor[session.ConsoleLogin](), "yaml"},
		{reflect.TypeFor[session.Session](), "yaml"}, {reflect.TypeFor[session.Group](), "yaml"}, {reflect.TypeFor[session.Book](), "yaml"},
		{reflect.TypeFor[issuelog.Entry](), "json"}, {reflect.TypeFor[issuelog.Process](), "json"}, {reflect.TypeFor[issuelog.Ancestor](), "json"},
	} {
		for name := range fields(in.of, in.tag) {
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(text) {
				t.Errorf("the page does not name %s of %s", name, in.of)
			}
		}
	}
}

func TestThePageNamesEveryVariable(t *testing.T) {
	text, _ := page(t)
	variable := regexp.MustCompile(`"(STILE_[A-Z_]+)"`)
	found := 0
	err := filepath.WalkDir(filepath.Join(module, "internal"), func(path string, e os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range variable.FindAllSubmatch(code, -1) {
			name := string(m[1])
			if name != "STILE_" && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%s: the page does not name %s", path, name)
			}
			found++
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d variables, %v", found, err)
	}
}

// The page's first commands are what somebody types who has nothing yet.
func TestThePagesCommandsRun(t *testing.T) {
	w := logintest.New(t)
	w.Write(t, ".config/stile/sessions.yaml", "")
	_, blocks := page(t)
	here := strings.NewReplacer("orders-prod", "team-1", "aws s3 ls", "true")
	ran := 0
	for line := range strings.Lines(blocks("console")[0]) {
		args := strings.Fields(here.Replace(line))
		if len(args) < 2 || args[0] != "$" || args[1] != "stile" {
			t.Fatalf("line %q", line)
		}
		if r := w.Stile(t, nil, args[2:]...); r.Code != 0 {
			t.Fatalf("%s: exit %d, %s", line, r.Code, r.Stderr)
		}
		ran++
	}
	if n := w.Pages(t); n != 1 || ran < 5 {
		t.Errorf("%d commands opened %d pages, want one for all", ran, n)
	}
}
