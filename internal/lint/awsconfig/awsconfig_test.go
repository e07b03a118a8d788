package awsconfig_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/lint/awsconfig"
	"github.com/stile-aws/stile/internal/lint/rule"
)

// The single rules have their examples in internal/lint/testdata/rules; here
// stands what holds for files.
func TestPlaces(t *testing.T) {
	const text = "[default]\nregion=us-east-1\n\n[profile a]\nrole_arn  =   arn:aws:iam::111111111111:user/u\nsource_profile = nobody\n[b]\nx\n"
	for _, test := range []struct {
		name  string
		check func(string, []byte) rule.List
		want  []string
	}{
		{"config", awsconfig.Config, []string{
			"5:15 " + rule.ConfigRole, "6:18 " + rule.UnknownProfile, "7:1 " + rule.NoPrefix, "8:1 " + rule.ConfigSyntax,
		}},
		{"credentials", awsconfig.Credentials, []string{
			"4:1 " + rule.ProfileHeading, "5:15 " + rule.ConfigRole, "6:18 " + rule.UnknownProfile, "8:1 " + rule.ConfigSyntax,
		}},
	} {
		var got []string
		for _, f := range test.check(test.name, []byte(text)) {
			got = append(got, fmt.Sprintf("%d:%d %s", f.Pos.Line, f.Pos.Column, f.Code))
			if f.Pos.File != test.name {
				t.Errorf("the file is %q", f.Pos.File)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: findings = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestNothingToSay(t *testing.T) {
	for _, text := range []string{"", "# c\n", "[default]\n", "[profile 'with space']\nregion = us-east-1\n", "[sso-session s]\nsso_region = us-east-1\n", "[default]\r\nregion = us-east-1\r\n"} {
		if list := awsconfig.Config("config", []byte(text)); len(list) != 0 {
			t.Errorf("%q: %v", text, list)
		}
	}
}

func TestPlaceholdersOfArticles(t *testing.T) {
	for text, want := range map[string]bool{
		"arn:aws:iam::ACCOUNT_A:role/r": true, "arn:aws:iam::111111111111:role/r": false, "arn:aws:iam:::role/r": false, "x": false,
	} {
		if got := awsconfig.HasPlaceholder(text); got != want {
			t.Errorf("HasPlaceholder(%q) = %v, want %v", text, got, want)
		}
	}
}
