package awsconfig_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/render/awsconfig"
)

var orders = []awsconfig.Section{{Heading: "profile orders-prod", Settings: []awsconfig.Setting{
	{Name: "region", Value: "eu-west-1"}, {Name: "credential_process", Value: `/usr/bin/stile credential-process orders-prod/reader`},
}}}

const block = "# stile begin payroll: written by stile, changes are lost\n[profile orders-prod]\nregion = eu-west-1\n" +
	"credential_process = /usr/bin/stile credential-process orders-prod/reader\n# stile end payroll\n"

func edit(t *testing.T, text string, sections []awsconfig.Section) string {
	t.Helper()
	out, err := awsconfig.Edit([]byte(text), "payroll", sections)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestEdit(t *testing.T) {
	other := []awsconfig.Section{{Heading: "default"}}
	for name, c := range map[string]struct {
		text     string
		sections []awsconfig.Section
		want     string
	}{
		"an empty file":          {"", orders, block},
		"a file of others":       {"[default]\nregion=us-east-1 ; mine\n", orders, "[default]\nregion=us-east-1 ; mine\n" + block},
		"no line end at the end": {"[default]", orders, "[default]\n" + block},
		"a block that is there":  {"a\n" + strings.Replace(block, "eu-west-1", "us-east-1", 1) + "\tb", orders, "a\n" + block + "\tb"},
		"to be removed":          {"a\n" + block + "b\r\n", nil, "a\nb\r\n"},
		"nothing to remove":      {"a\r\nb", nil, "a\r\nb"},
		"the block of another":   {strings.ReplaceAll(block, "payroll", "other"), other, strings.ReplaceAll(block, "payroll", "other") + "# stile begin payroll: written by stile, changes are lost\n[default]\n# stile end payroll\n"},
		"a file from Windows":    {"[default]\r\nx = y\r\n", orders, "[default]\r\nx = y\r\n" + strings.ReplaceAll(block, "\n", "\r\n")},
	} {
		if got := edit(t, c.text, c.sections); got != c.want {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}

func TestWhatCannotBeEditedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		sections   []awsconfig.Section
	}{
		"a profile of one's own":         {"[profile orders-prod]\n", "has a section [profile orders-prod] of its own", orders},
		"the same in quotes":             {"[ profile  \"orders-prod\" ] # mine\n", "of its own", orders},
		"a block without an end":         {"# stile begin payroll: x\n[default]\n", "has no end", orders},
		"an end without a block":         {"# stile end payroll\n", "ends without a beginning", orders},
		"two blocks":                     {block + block, "begins a second time", orders},
		"a block inside another":         {"# stile begin a: x\n" + block, "begins inside block a", orders},
		"a heading that ends early":      {"", "is no heading", []awsconfig.Section{{Heading: "profile a]\n[default"}}},
		"a value of two lines":           {"", "cannot be written", []awsconfig.Section{{Heading: "default", Settings: []awsconfig.Setting{{Name: "x", Value: "a\ny = b"}}}}},
		"a value that ends in a comment": {"", "cannot be written", []awsconfig.Section{{Heading: "default", Settings: []awsconfig.Setting{{Name: "x", Value: "a #b"}}}}},
		"the same section twice":         {"", "given twice", append(orders[:1:1], orders...)},
	} {
		if out, err := awsconfig.Edit([]byte(c.text), "payroll", c.sections); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v, want an error with %q", name, out, err, c.want)
		}
	}
	if _, err := awsconfig.Edit(nil, "two words", orders); err == nil {
		t.Error("a block's name of two words is taken")
	}
}

// Whatever the file is: what is outside the block stays byte for byte, writing
// twice changes nothing more, and taking the block out gives the file back but for
// the end of its last line.
func TestEveryByteOutsideStays(t *testing.T) {
	lines := rapid.SampledFrom([]string{"[default]", "[profile x]", "region = us-east-1", "  nested = 1", "# comment", "; old", "", "\t", "\x00\xff", "[unclosed", "é = ü", "# stile", "# stile begin", "s3 =\r"})
	rapid.Check(t, func(r *rapid.T) {
		text := strings.Join(rapid.SliceOf(lines).Draw(r, "lines"), rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(r, "newline"))
		if rapid.Bool().Draw(r, "ends") {
			text += "\n"
		}
		once, err := awsconfig.Edit([]byte(text), "payroll", orders)
		if err != nil {
			r.Fatal(err)
		}
		if !bytes.HasPrefix(once, []byte(text)) {
			r.Fatalf("%q is no longer the beginning of %q", text, once)
		}
		twice, err := awsconfig.Edit(once, "payroll", orders)
		if err != nil || !bytes.Equal(once, twice) {
			r.Fatalf("a second time: %v\n%q, want\n%q", err, twice, once)
		}
		gone, err := awsconfig.Edit(once, "payroll", nil)
		if err != nil || strings.TrimRight(string(gone), "\r\n") != strings.TrimRight(text, "\r\n") {
			r.Fatalf("removed: %v\n%q, want\n%q", err, gone, text)
		}
		if sections, err := awsconfig.Sections(once, "payroll"); err != nil || !reflect.DeepEqual(sections, orders) {
			r.Fatalf("Sections = %+v, %v, want %+v", sections, err, orders)
		}
		if owners := awsconfig.Owners(once); len(owners) != 1 || owners[0] != "payroll" {
			r.Fatalf("Owners = %q", owners)
		}
	})
}

func FuzzEdit(f *testing.F) {
	f.Add([]byte("[default]\n" + block))
	f.Add([]byte("# stile begin payroll\n# stile end other\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		out, err := awsconfig.Edit(text, "payroll", orders)
		if err != nil {
			return
		}
		again, err := awsconfig.Edit(out, "payroll", orders)
		if err != nil || !bytes.Equal(out, again) {
			t.Errorf("a second time: %v\n%q, want\n%q", err, again, out)
		}
	})
}

// botocore reads what we write.
func TestBotocoreReadsIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(edit(t, "[default]\noutput = json", orders)), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "import botocore.configloader as c, sys; f = c.load_config(sys.argv[1]); print(f['profiles']['orders-prod']['credential_process'], f['profiles']['default']['output'])"
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", script, file).CombinedOutput()
	if err != nil {
		if os.Getenv("CI") == "" && strings.Contains(string(out), "No module named") {
			t.Skipf("Debian's botocore is not installed")
		}
		t.Fatalf("%v: %s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), "/usr/bin/stile credential-process orders-prod/reader json"; got != want {
		t.Errorf("botocore reads %q, want %q", got, want)
	}
}
