package desk

import (
	"os"
	"os/exec"
	"strings"

	"github.com/stile-aws/stile/internal/session"
)

// Missing is what a source needs and this computer does not have, in a few words; ""
// for nothing. The secret store is not opened for it.
func Missing(src *session.Source, shared *session.Shared) string {
	switch {
	case src.Profile != nil:
		return missingOf(shared, src.Profile.Name)
	case src.Process != nil:
		return missingProgram(src.Process.Command)
	case src.RolesAnywhere != nil && CheckFiles(src) != nil:
		return "certificate, key or helper missing"
	case src.WebIdentity != nil:
		return missingToken(src.WebIdentity)
	case src.SAML != nil && src.SAML.Program != "":
		return missingProgram(src.SAML.Program)
	case src.SAML != nil && src.SAML.File != "" && src.SAML.File != "-":
		return missingFile(src.SAML.File)
	}
	return ""
}

func missingToken(w *session.WebIdentity) string {
	switch {
	case w.GitHub && os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") == "":
		return "not in a GitHub job"
	case w.Variable != "" && os.Getenv(w.Variable) == "":
		return "$" + w.Variable + " not set"
	case w.Program != "":
		return missingProgram(w.Program)
	case w.TokenFile != "":
		return missingFile(w.TokenFile)
	}
	return ""
}

func missingFile(path string) string {
	if _, err := os.Stat(path); err != nil {
		return "no file " + path
	}
	return ""
}

// missingProgram looks for the program of a command, where a shell would run but
// one.
func missingProgram(command string) string {
	fields := strings.Fields(command)
	if len(fields) == 0 || strings.ContainsAny(fields[0], "\"'$`=(){};&|<>~*?\\") {
		return ""
	}
	if _, err := exec.LookPath(fields[0]); err != nil {
		return "no program " + fields[0]
	}
	return ""
}

// missingOf follows a profile to where its credentials come from.
func missingOf(shared *session.Shared, name string) string {
	for seen := map[string]bool{}; ; {
		p := shared.Profiles[name]
		has := func(key string) bool { return p[key].Value != "" }
		next := p["source_profile"].Value
		switch {
		case p == nil:
			return "no profile " + name
		case seen[name]:
			return "profile " + name + " leads to itself"
		case has("role_arn") && next != "" && (next != name || !has("aws_access_key_id")):
			seen[name] = true
			name = next
			continue
		case has("aws_access_key_id") != has("aws_secret_access_key"):
			return "half a key in profile " + name
		case has("credential_process"):
			return missingProgram(p["credential_process"].Value)
		case has("sso_session") && shared.SSOSessions[p["sso_session"].Value] == nil:
			return "no sso-session " + p["sso_session"].Value
		case has("role_arn") && !has("web_identity_token_file") && !has("credential_source") && next == "":
			return "no source_profile in profile " + name
		case has("aws_access_key_id"), has("role_arn"), has("sso_account_id"), has("web_identity_token_file"), has("login_session"):
			return ""
		}
		return "no credentials in profile " + name
	}
}
