package awsauth_test

import (
	"testing"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/awsauth"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
)

func TestMapsOfEveryShape(t *testing.T) {
	for _, test := range []struct {
		name, text, code string
	}{
		{"a role", "mapRoles: |\n  - rolearn: arn:aws:iam::111111111111:role/r\n    groups: [g]\n", ""},
		{"a role without groups", "mapRoles: |\n  - rolearn: arn:aws:iam::111111111111:role/r\n    groups:\n", ""},
		{"a user with a path", "mapUsers: |\n  - userARN: arn:aws:iam::111111111111:user/p/u\n", ""},
		{"no text", "mapRoles: ''\nmapUsers: |\n", ""},
		{"a list that is no text", "mapRoles: [{rolearn: 'arn:aws:iam::111111111111:role/p/r'}]\n", rule.MapPath},
		{"an account", "mapRoles: ''\nmapAccounts: |\n  - '111111111111'\n", ""},
		{"an account without its first zero", "mapRoles: ''\nmapAccounts: |\n  - 11111111111\n", rule.MapStructure},
		{"an entry that is a text", "mapRoles: |\n  - r\n", rule.MapStructure},
		{"a user among the roles", "mapRoles: |\n  - userarn: arn:aws:iam::111111111111:user/u\n", rule.MapStructure},
		{"a map that is no list", "mapUsers: |\n  userarn: x\n", rule.MapStructure},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := []byte(test.text)
			docs, err := tree.ReadYAML(src)
			if err != nil || !awsauth.Is(docs[0]) {
				t.Fatalf("reading the map: %v", err)
			}
			list := awsauth.Check("f", src, docs[0])
			if test.code == "" && len(list) != 0 || test.code != "" && (len(list) != 1 || list[0].Code != test.code || list[0].Pos.Line == 0) {
				t.Errorf("findings = %v, want %q", list, test.code)
			}
		})
	}
}

func TestMapElsewhere(t *testing.T) {
	list := awsauth.Map("mapRoles", "- rolearn: x\n", diag.Position{File: "f", Line: 9}, func(line, column int) diag.Position {
		return diag.Position{File: "f", Line: line + 100, Column: column + 10}
	})
	if len(list) != 1 || list[0].Pos != (diag.Position{File: "f", Line: 101, Column: 22}) {
		t.Errorf("findings = %v", list)
	}
	if list := awsauth.Map("mapRoles", "- [", diag.Position{File: "f", Line: 9}, nil); len(list) != 1 || list[0].Pos.Line != 9 {
		t.Errorf("findings on what is not YAML = %v", list)
	}
}
