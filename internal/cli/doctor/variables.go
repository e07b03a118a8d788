package doctor

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"
)

// variables looks for environment variables that contradict each other. The SDKs
// take keys before a profile, even before AWS_PROFILE (SDKs and Tools Reference
// Guide, "credential provider chain").
func (v *visit) variables() {
	get := v.streams.Getenv
	before := len(v.findings)
	key, secret, token := get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY"), get("AWS_SESSION_TOKEN")
	profile := get("AWS_PROFILE")
	switch {
	case key != "" && secret == "", key == "" && secret != "":
		v.add("environment", problem, "set both or unset both", "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY one is set alone")
	case strings.HasPrefix(key, "ASIA") && token == "":
		v.add("environment", problem, "unset it, or set the AWS_SESSION_TOKEN that belongs to it", "AWS_ACCESS_KEY_ID is a session's, and there is no AWS_SESSION_TOKEN")
	case strings.HasPrefix(key, "AKIA") && token != "":
		v.add("environment", problem, "unset AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID is a user's, and an AWS_SESSION_TOKEN of something else is set")
	}
	if key != "" {
		for _, name := range []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
			if get(name) != "" {
				v.add("environment", warning, "unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID wins over %s", name)
			}
		}
	}
	if profile != "" && get("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		v.add("environment", warning, "unset one of them", "AWS_PROFILE wins over AWS_CONTAINER_CREDENTIALS_FULL_URI if it has credentials")
	}
	if text := get("AWS_CREDENTIAL_EXPIRATION"); text != "" && key != "" {
		if end, err := time.Parse(time.RFC3339, text); err == nil && time.Now().After(end) {
			v.add("environment", problem, "get new ones, as by stile env, or unset them", "the credentials in the environment ended at %s", text)
		}
	}
	v.named()
	if len(v.findings) == before {
		v.add("environment", good, "", "no variables contradict each other")
	}
}

// named looks for files that variables name and that are not there.
func (v *visit) named() {
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"} {
		file := v.streams.Getenv(name)
		if file == "" {
			continue
		}
		l := problem
		if name == "AWS_CONFIG_FILE" || name == "AWS_SHARED_CREDENTIALS_FILE" { // clients take a missing one for an empty one
			l = warning
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			v.add("environment", l, "unset it, or make the file", "%s names %s, which is not there", name, file)
		}
	}
}
