package settings_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/settings"
)

type rule struct {
	Accounts []string          `yaml:"accounts"`
	Labels   map[string]string `yaml:"labels"`
	For      time.Duration     `yaml:"for"`
	Port     int               `yaml:"port"`
	On       *bool             `yaml:"on"`
}

type common struct {
	Region string `yaml:"region"`
}

type file struct {
	hidden string

	common `yaml:",inline"`
	Allow  *rule     `yaml:"allow"`
	Rules  []rule    `yaml:"rules"`
	Free   any       `yaml:"free"`
	Node   yaml.Node `yaml:"node"`
	Name   string
	No     string `yaml:"-"`
}

func TestDecode(t *testing.T) {
	var f file
	text := "region: eu-west-1\nallow: &a {accounts: [x], for: 1h, on: true}\nrules: [*a, {<<: *a, port: 7}]\nfree: {anything: [1]}\nnode: {at: all}\nname: n\n"
	if err := settings.Decode("f.yaml", []byte(text), &f); err != nil {
		t.Fatal(err)
	}
	if f.Region != "eu-west-1" || len(f.Rules) != 2 || f.Rules[1].Port != 7 || f.Rules[1].For != time.Hour || f.Name != "n" || !*f.Allow.On || f.hidden != "" {
		t.Errorf("Decode = %+v", f)
	}
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		if err := settings.Decode("f.yaml", []byte(text), &f); err != nil || f.Name != "n" {
			t.Errorf("Decode(%q) = %v, %+v", text, err, f)
		}
	}
}

func TestWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown field, with the nearest", "alow: {}", `f.yaml:1:1: unknown field "alow"; did you mean "allow"? (the fields here are allow, free, name, node, region, rules)`},
		{"an unknown field deep down", "rules:\n- accounts: [a]\n  lables: {}", `f.yaml:3:3: unknown field "lables"; did you mean "labels"? (the fields here are accounts, for, labels, on, port)`},
		{"an unknown field like none", "rules: [{zzzzzzzz: 1}]", `f.yaml:1:10: unknown field "zzzzzzzz"; the fields here are accounts, for, labels, on, port`},
		{"two at once", "alow: 1\nreigon: x", `"alow"; did you mean "allow"? (the fields here are allow, free, name, node, region, rules); f.yaml:2:1: unknown field "reigon"`},
		{"fields that YAML does not fill", "hidden: x", `unknown field "hidden"`},
		{"a text where a list is wanted", "allow: {accounts: orders}", "f.yaml:1:19: want a list, as [a, b]"},
		{"a list where a mapping is wanted", "allow: [a]", "f.yaml:1:8: want a mapping with the fields accounts, for, labels, on, port"},
		{"a list where labels are wanted", "allow: {labels: [a]}", "f.yaml:1:17: want a mapping, of names to values"},
		{"a mapping where a text is wanted", "region: {a: b}", "f.yaml:1:9: want one value"},
		{"no number", "allow: {port: many}", `f.yaml:1: "many" is no whole number`},
		{"no length of time", "allow: {for: long}", `f.yaml:1: "long" is no length of time, as 30m or 1h`},
		{"no truth", "allow: {on: perhaps}", `f.yaml:1: "perhaps" is neither true nor false`},
		{"no YAML", "allow: {\nb: [", "f.yaml:"},
		{"a scalar", "x", "want a mapping with the fields"},
		{"two documents", "name: a\n---\nname: b\n", "f.yaml:2: a second document begins here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := settings.Decode("f.yaml", []byte(c.text), new(file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Decode = %v, want %s", err, c.want)
			}
			for _, word := range []string{"settings_test", "struct", "!!", "[]string", "map[", "time.Duration", " yaml:"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("Decode = %v, which is Go's word %q", err, word)
				}
			}
			if problems, ok := errors.AsType[settings.Problems](err); !ok || len(problems) == 0 || problems[0].Pos.File != "f.yaml" {
				t.Errorf("the error is no Problems: %#v", err)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	d := settings.NewDecoder("f.yaml", []byte("name: a\n---\nname: b\n"))
	var names []string
	for {
		var f file
		err := d.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestHugeDocumentsAreRefused(t *testing.T) {
	type nest struct {
		All []*struct {
			All []*struct {
				All []*struct {
					All []*struct{ All []string }
				}
			}
		}
	}
	many := strings.Repeat("x, ", 100)
	deep := "all: [" + repeat("{all: ["+repeat("{all: ["+repeat("{all: ["+many+"]}", 20)+"]}", 20)+"]}", 20) + "]\n"
	if err := settings.Decode("f.yaml", []byte(deep), new(nest)); err == nil || !strings.Contains(err.Error(), "too much") {
		t.Errorf("800,000 nodes: %.200v", err)
	}
}

func repeat(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+", ", n), ", ") }

func FuzzDecode(f *testing.F) {
	f.Add("region: x\nrules: [{accounts: [a], for: 1h}]")
	f.Add("alow: {}")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		if err := settings.Decode("f.yaml", []byte(text), new(file)); err != nil && !strings.HasPrefix(err.Error(), "f.yaml") {
			t.Errorf("Decode = %v, want the file's name first", err)
		}
	})
}
