package sessions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// What an entry can be beside the kinds of sources.
const (
	aSession = "session"
	aGroup   = "group"
)

// flagKinds are the kinds of entries that a flag is of.
func flagKinds() map[string][]string {
	out := map[string][]string{
		"region": {"identityCenter", "rolesAnywhere", "consoleLogin", aSession}, "port": {"identityCenter", "consoleLogin"}, "account": {"user", aSession},
		"role": {"webIdentity", "rolesAnywhere", aSession}, "duration": {"rolesAnywhere", aSession},
		"session-name": {"webIdentity", "rolesAnywhere"},
	}
	for kind, flags := range map[string]string{
		"identityCenter": "start-url scopes flow read-only-role",
		"user":           "user key-stdin mfa-serial mfa mfa-program",
		"profile":        "profile",
		"process":        "process",
		"webIdentity":    "web-identity web-program web-variable github audience",
		"saml":           "saml-file saml-program saml-url browser",
		"rolesAnywhere":  "trust-anchor anchor-profile certificate private-key intermediates cert-selector endpoint helper",
		"consoleLogin":   "console-login identity",
		aSession:         "source via external-id source-identity tag label",
		aGroup:           "member add-member remove-member",
	} {
		for flag := range strings.FieldsSeq(flags) {
			out[flag] = []string{kind}
		}
	}
	return out
}

// kindWord is a kind as people are told it, "" for none that is known.
func kindWord(kind string) string {
	switch kind {
	case "identityCenter":
		return "an Identity Center"
	case "user":
		return "an IAM user"
	case "profile":
		return "an AWS profile"
	case "process":
		return "a program"
	case "webIdentity":
		return "a token"
	case "saml":
		return "SAML"
	case "rolesAnywhere":
		return "Roles Anywhere"
	case "consoleLogin":
		return "a sign-in to the console"
	case aSession, aGroup:
		return "a " + kind
	}
	return ""
}

// fitting makes sure that all flags are of what the entry is. What is of no kind, or
// of several, is for others to find.
func fitting(flags *pflag.FlagSet, name, kind string) (err error) {
	if kindWord(kind) == "" {
		return nil
	}
	kinds := flagKinds()
	flags.Visit(func(f *pflag.Flag) {
		of, ok := kinds[f.Name]
		if !ok || slices.Contains(of, kind) || err != nil {
			return
		}
		var words []string
		for _, k := range of {
			words = append(words, kindWord(k))
		}
		err = fmt.Errorf("--%s is for %s, and %s is %s", f.Name, strings.Join(words, " or "), name, kindWord(kind))
	})
	return err
}
