package tree_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

func read(t *testing.T, src string) policy.Node {
	t.Helper()
	docs, err := tree.ReadYAML([]byte(src))
	if err != nil || len(docs) != 1 {
		t.Fatalf("ReadYAML: %d documents, %v", len(docs), err)
	}
	root, err := tree.FromYAML([]byte(src), docs[0])
	if err != nil {
		t.Fatalf("FromYAML: %v", err)
	}
	return root
}

func TestWhatIsBeyondBounds(t *testing.T) {
	aliases := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 8; i++ {
		aliases += fmt.Sprintf("a%d: &a%[1]d [%s]\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	for src, line := range map[string]int{
		"a: " + strings.Repeat("[", 90) + strings.Repeat("]", 90):         0,
		"b: 1\na: " + strings.Repeat("[", 200) + strings.Repeat("]", 200): 2,
		"b:\n" + strings.ReplaceAll(aliases, "a0: &", "c: &"):             -1, // some line
	} {
		docs, err := tree.ReadYAML([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tree.FromYAML([]byte(src), docs[0])
		beyond, ok := errors.AsType[*tree.Unreadable](err)
		if ok != (line != 0) || ok && line > 0 && beyond.Line != line {
			t.Errorf("FromYAML(%.20q…): %+v, want one in line %d", src, beyond, line)
		}
	}
}

func TestPlain(t *testing.T) {
	for src, want := range map[string]string{
		"{}":                             "{}",
		"":                               "",
		"\xef\xbb\xbf{}":                 "{}",
		"\xff\xfe{\x00}\x00":             "{}",
		"\xfe\xff\x00{\x00}":             "{}",
		"\xff\xfe\x3d\xd8\x00\xdea\x00b": "😀a",
	} {
		if got := string(tree.Plain([]byte(src))); got != want {
			t.Errorf("Plain(%q) = %q, want %q", src, got, want)
		}
	}
}

// Each variant's value of Resources.R.P, and the case it is in.
func TestVariants(t *testing.T) {
	for _, test := range []struct {
		name, template string
		want           []string
	}{
		{"no condition", `Resources: {R: {P: !Sub "${AWS::Region}-${X}"}}`, []string{"us-east-1-${X}"}},
		{"a parameter with a default", "Parameters: {E: {Default: a}}\nConditions: {C: !Equals [!Ref E, b]}\nResources: {R: {P: !If [C, yes, 'no']}}",
			[]string{`no: E is "a"`, `yes: E is "b"`, "no: E is something else"}},
		{"a parameter with values allowed", "Parameters: {E: {AllowedValues: [a, b]}}\nConditions: {C: !Equals [b, !Ref E]}\nResources: {R: {P: !If [C, !Ref E, !Ref E]}}", []string{`a: E is "a"`, `b: E is "b"`}},
		{"conditions of conditions", "Parameters: {E: {AllowedValues: [a, b, c]}}\nConditions: {A: !Equals [!Ref E, a], B: !Equals [!Ref E, b], N: !Not [!Or [!Condition A, !Condition B]], D: !And [!Condition N, !Condition N]}\nResources: {R: {P: !If [D, x, y]}}",
			[]string{`y: E is "a"`, `y: E is "b"`, `x: E is "c"`}},
		{"what no file tells", "Conditions: {C: !Equals [!Ref AWS::Region, eu-west-1]}\nResources: {R: {P: !If [C, x, y]}}", []string{"x: ${AWS::Region} is eu-west-1", "y: ${AWS::Region} is not eu-west-1"}},
		{"a mapping", "Parameters: {E: {Type: String}}\nMappings: {M: {a: {k: 1}, b: {k: 2}}}\nResources: {R: {P: !FindInMap [M, !Ref E, k]}}",
			[]string{`1: E is "a"`, "${FindInMap}: E is something else", `2: E is "b"`}},
		{"a condition that is not used", "Parameters: {E: {AllowedValues: [a, b]}}\nConditions: {C: !Equals [!Ref E, a]}\nResources: {R: {P: x}}", []string{"x"}},
		{"a condition that refers to itself", "Conditions: {C: !Not [!Condition C]}\nResources: {R: {P: !If [C, x, y]}}", []string{"y"}},
		{"a resource in one case", "Parameters: {E: {AllowedValues: [a, b]}}\nConditions: {C: !Equals [!Ref E, a]}\nResources: {R: {Condition: C, P: x}}", []string{`x: E is "a"`, `: E is "b"`}},
		{"no value", "Parameters: {E: {AllowedValues: [a, b]}}\nConditions: {C: !Equals [!Ref E, a]}\nResources: {R: {P: !If [C, !Ref AWS::NoValue, y]}}", []string{`: E is "a"`, `y: E is "b"`}},
		{"splitting and selecting", "Resources: {R: {P: !Select [1, !Split [',', 'a,b']]}}", []string{"b"}},
		{"attributes", "Resources: {R: {P: !Join ['-', [!GetAtt A.Arn, !GetAtt [B, Arn]]]}}", []string{"${A.Arn}-${B.Arn}"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, v := range tree.Variants(read(t, test.template), "") {
				text := tree.AsWritten(tree.Member(tree.Member(tree.Member(v.Root, "Resources"), "R"), "P").Text)
				if v.Where != "" {
					text += ": " + v.Where
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("variants (-want +got):\n%s", diff)
			}
		})
	}
}

// Twenty conditions have a million combinations; each parameter is varied alone.
func TestVariantsAreBounded(t *testing.T) {
	var parameters, conditions, values strings.Builder
	for _, c := range "ABCDEFGHIJKLMNOPQRST" {
		name := string(c)
		parameters.WriteString("  P" + name + ": {AllowedValues: [a, b]}\n")
		conditions.WriteString("  C" + name + ": !Equals [!Ref P" + name + ", a]\n")
		values.WriteString("    V" + name + ": !If [C" + name + ", x, y]\n")
	}
	list := tree.Variants(read(t, "Parameters:\n"+parameters.String()+"Conditions:\n"+conditions.String()+"Resources:\n  R:\n"+values.String()), "")
	if len(list) < 21 || len(list) > 24 {
		t.Errorf("%d variants, want one and one for each of 20 parameters", len(list))
	}
	large := strings.Repeat("    - {a: b}\n", 100_000)
	if list := tree.Variants(read(t, "Parameters:\n"+parameters.String()+"Conditions:\n"+conditions.String()+"Resources:\n  R:\n"+values.String()+"  L:\n"+large), ""); len(list) > 10 {
		t.Errorf("%d variants of a template of 200,000 nodes", len(list))
	}
}

func TestUnreadable(t *testing.T) {
	_, err := tree.ReadYAML([]byte("a: b\nResource: *\n"))
	u, ok := errors.AsType[*tree.Unreadable](err)
	if !ok || u.Line != 2 || u.Hint == "" {
		t.Errorf("ReadYAML = %#v, want a fault of line 2 with a hint", err)
	}
	docs, err := tree.ReadYAML([]byte("a: b\n---\nc: [\n"))
	if len(docs) != 1 || err == nil {
		t.Errorf("ReadYAML of a good and a bad document = %d documents, %v", len(docs), err)
	}
}

func TestLinesCountBytes(t *testing.T) {
	l := tree.NewLines([]byte("ü: x\n😀 y\n"))
	for _, test := range []struct{ line, column, offset, want int }{{1, 1, 0, 1}, {1, 4, 4, 5}, {2, 3, 11, 6}, {2, 99, 12, 7}} {
		if p := l.Pos(test.line, test.column); p.Column != test.want || p.Offset != test.offset {
			t.Errorf("Pos(%d, %d) = %+v, want column %d at offset %d", test.line, test.column, p, test.want, test.offset)
		}
	}
	if got := l.Line(2); got != "😀 y" {
		t.Errorf("Line(2) = %q", got)
	}
}
