package tree_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

func TestFromYAMLUnfoldsShortForms(t *testing.T) {
	for src, want := range map[string]string{
		"a: !Ref x":                          `{"a":{"Ref":"x"}}`,
		"a: !GetAtt r.Arn":                   `{"a":{"Fn::GetAtt":"r.Arn"}}`,
		"a: !Sub [\"${v}\", {v: 1}]":         `{"a":{"Fn::Sub":["${v}",{"v":"1"}]}}`,
		"a: !If [c, !Ref x, y]":              `{"a":{"Fn::If":["c",{"Ref":"x"},"y"]}}`,
		"a: !Condition c":                    `{"a":{"Condition":"c"}}`,
		"a: !Not [!Equals [x, \"\"]]":        `{"a":{"Fn::Not":[{"Fn::Equals":["x",""]}]}}`,
		"Version: 2012-10-17":                `{"Version":"2012-10-17"}`,
		"id: 012345678901":                   `{"id":"012345678901"}`,
		"yes: true\nno: null":                `{"yes":true,"no":null}`,
		"x: &x [1]\ny: *x":                   `{"x":["1"],"y":["1"]}`,
		`{"json": ["too", {"a": 1}]}`:        `{"json":["too",{"a":"1"}]}`,
		"a: !Sub |\n  {\"Ref\": \"${x}\"}\n": "{\"a\":{\"Fn::Sub\":\"{\\\"Ref\\\": \\\"${x}\\\"}\\n\"}}",
		"":                                   "null",
	} {
		n, err := tree.FromYAML([]byte(src))
		if err != nil {
			t.Errorf("FromYAML(%q): %v", src, err)
			continue
		}
		if got := tree.JSON(n); got != want {
			t.Errorf("FromYAML(%q) = %s, want %s", src, got, want)
		}
	}
}

func TestFromYAMLKeepsPlaces(t *testing.T) {
	n, err := tree.FromYAML([]byte("a:\n  - b: !Ref c\n"))
	if err != nil {
		t.Fatal(err)
	}
	at := tree.Member(tree.Member(n, "a").Items[0], "b").Pos
	if at.Line != 2 || at.Column != 8 || at.Offset != 10 {
		t.Errorf("place of !Ref = %+v, want line 2, column 8, offset 10", at)
	}
}

func TestFromYAMLRefusesBombs(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		before := string(rune('0' + i))
		alias := "*a" + before
		bomb += "a" + string(rune('1'+i)) + ": &a" + string(rune('1'+i)) + " [" + strings.Repeat(alias+", ", 9) + alias + "]\n"
	}
	for name, src := range map[string]string{"aliases that multiply": bomb, "deep nesting": strings.Repeat("[", 5000) + strings.Repeat("]", 5000)} {
		if _, err := tree.FromYAML([]byte(src)); err == nil {
			t.Errorf("%s: FromYAML takes it", name)
		}
	}
	if _, err := tree.FromYAML([]byte(strings.Repeat("- ", 200) + "x")); !errors.Is(err, tree.ErrTooLarge) {
		t.Errorf("200 levels: FromYAML = %v, want ErrTooLarge", err)
	}
	if _, err := tree.FromYAML([]byte("a: [")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("broken YAML: FromYAML = %v, want a line", err)
	}
}

func TestUnknownValuesAreFound(t *testing.T) {
	unknown := tree.Unknown(policy.Pos{}, "not yet")
	inside := policy.Node{Kind: policy.ListNode, Items: []policy.Node{tree.Text(policy.Pos{}, "x"), {Kind: policy.ObjectNode, Members: []policy.Member{{Name: "a", Value: unknown}}}}}
	if why, ok := tree.Why(unknown); !ok || why != "not yet" {
		t.Errorf("Why = %q, %v", why, ok)
	}
	if _, ok := tree.Why(inside); ok {
		t.Error("a list with an unknown value in it is not unknown itself")
	}
	if why, ok := tree.WhyInside(inside); !ok || why != "not yet" {
		t.Errorf("WhyInside = %q, %v", why, ok)
	}
	if _, ok := tree.WhyInside(tree.Text(policy.Pos{}, "x")); ok {
		t.Error("a text is unknown")
	}
	if why, ok := tree.Why(tree.Member(unknown, "a", "b")); !ok || why != "not yet" {
		t.Errorf("a member of an unknown value is %q, %v, want unknown for its reason", why, ok)
	}
}

func TestList(t *testing.T) {
	text := tree.Text(policy.Pos{}, "x")
	if got := tree.List(text); len(got) != 1 || got[0].Text != "x" {
		t.Errorf("List of a text = %v", got)
	}
	if got := tree.List(policy.Node{}); got != nil {
		t.Errorf("List of null = %v", got)
	}
}

func FuzzFromYAML(f *testing.F) {
	f.Add("a: !Ref x\nb: [1, {c: !Sub \"${d}\"}]")
	f.Add("x: &x [*x]")
	f.Add("{\"a\": \"\\u0000unknown\"}")
	f.Fuzz(func(t *testing.T, src string) {
		n, err := tree.FromYAML([]byte(src))
		if err != nil {
			return
		}
		printed := tree.JSON(n)
		if !json.Valid([]byte(printed)) {
			t.Fatalf("JSON gives no JSON: %q", printed)
		}
		again, err := policy.ParseNode([]byte(printed))
		if err == nil && tree.JSON(again) != printed {
			t.Errorf("printing again gives %q, want %q", tree.JSON(again), printed)
		}
	})
}
