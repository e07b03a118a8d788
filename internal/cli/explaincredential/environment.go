package explaincredential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// surroundings is what AWS clients find without being told.
type surroundings struct {
	Profile  string     `json:"profile"`
	By       string     `json:"profileBy"`
	Places   []place    `json:"places"` // in the clients' order
	Uses     string     `json:"uses"`
	Notes    []string   `json:"notes,omitempty"`
	Outcome  string     `json:"outcome"`
	Identity string     `json:"identity,omitempty"`
	Account  string     `json:"account,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Error    string     `json:"error,omitempty"`
	says     string     // who says so
}

// place is where clients look.
type place struct {
	Where  string  `json:"where"`
	State  string  `json:"state"` // used, hidden, empty
	Found  string  `json:"found,omitempty"`
	Config []piece `json:"config,omitempty"`
}

// The states of a place.
const (
	used   = "used"
	hidden = "hidden"
	empty  = "empty"
)

func (o *options) environment(ctx context.Context) error {
	shared, err := session.ReadShared(desk.ProfileFiles(o.streams.Getenv))
	if err != nil {
		return err
	}
	v := &surroundings{Outcome: untried}
	v.named(o.streams.Getenv, shared)
	v.look(o.streams.Getenv, shared)
	if !o.noTry {
		o.identity(ctx, v)
	}
	if o.json {
		err = o.streams.JSON(v)
	} else {
		o.showSurroundings(v)
	}
	if err != nil {
		return err
	}
	return exit(v.Outcome)
}

// named finds which profile is meant.
func (v *surroundings) named(get func(string) string, shared *session.Shared) {
	one, other := get("AWS_PROFILE"), get("AWS_DEFAULT_PROFILE")
	switch {
	case one != "":
		v.Profile, v.By = one, "AWS_PROFILE"
	case other != "":
		v.Profile, v.By = other, "AWS_DEFAULT_PROFILE"
	default:
		v.Profile, v.By = "default", "default"
	}
	if one != "" && other != "" && one != other {
		v.Notes = append(v.Notes, fmt.Sprintf("AWS_PROFILE is %s and AWS_DEFAULT_PROFILE %s: the AWS CLI and boto3 take the latter, Go's SDK the former", one, other))
	}
	if v.By != "default" && shared.Profiles[v.Profile] == nil {
		v.Notes = append(v.Notes, fmt.Sprintf("%s names profile %s, which is in no file: the clients stop at that", v.By, v.Profile))
	}
}

// look looks where the clients do, in the order of the AWS CLI and boto3
// (botocore, credentials.py, create_credential_resolver).
func (v *surroundings) look(get func(string) string, shared *session.Shared) {
	p := shared.Profiles[v.Profile]
	has := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(k string) bool { return p[k].Value == "" })
	}
	of := func(file string) bool { return p["aws_access_key_id"].File == file }
	credentials := desk.ProfileFiles(get)[1]
	tokenFile := get("AWS_WEB_IDENTITY_TOKEN_FILE")
	v.add("environment variables", get("AWS_ACCESS_KEY_ID") != "", "access key "+get("AWS_ACCESS_KEY_ID"), environmentPieces(get, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"))
	profile := profilePieces(shared, v.Profile)
	v.add("role of the profile", has("role_arn") && p["web_identity_token_file"].Value == "", "role "+p["role_arn"].Value+" from "+cmp.Or("profile "+p["source_profile"].Value, p["credential_source"].Value), profile)
	if v.Places[1].State != empty && p["source_profile"].Value == "" {
		v.Places[1].Found = "role " + p["role_arn"].Value + " from " + cmp.Or(p["credential_source"].Value, "nothing: there is neither source_profile nor credential_source")
	}
	switch {
	case tokenFile != "":
		v.add("web identity", true, "role "+get("AWS_ROLE_ARN")+" by the token in "+tokenFile, environmentPieces(get, "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"))
	default:
		v.add("web identity", has("web_identity_token_file"), "role "+p["role_arn"].Value+" by the token in "+p["web_identity_token_file"].Value, profile)
	}
	v.add("Identity Center of the profile", has("sso_account_id", "sso_role_name"), p["sso_role_name"].Value+" in account "+p["sso_account_id"].Value, profile)
	v.add("access key in the credentials file", has("aws_access_key_id") && of(credentials), "access key "+p["aws_access_key_id"].Value, profile)
	v.add("aws login", has("login_session"), p["login_session"].Value, profile)
	v.add("program of the profile", has("credential_process"), "credential_process", profile)
	v.add("access key in the config file", has("aws_access_key_id") && !of(credentials), "access key "+p["aws_access_key_id"].Value, profile)
	uri, _, _ := strings.Cut(cmp.Or(get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), get("AWS_CONTAINER_CREDENTIALS_FULL_URI")), "?")
	v.add("container", uri != "", "the endpoint "+uri, environmentPieces(get, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN"))
	v.add("instance metadata", !strings.EqualFold(get("AWS_EC2_METADATA_DISABLED"), "true"), "asked if this is an EC2 instance", environmentPieces(get, "AWS_EC2_METADATA_SERVICE_ENDPOINT"))
	v.differences(get, p, tokenFile)
}

// add adds a place: the first with something is the one that is used.
func (v *surroundings) add(where string, found bool, what string, config []piece) {
	p := place{Where: where, State: empty}
	if found {
		p.Found, p.Config, p.State = what, config, used
		if v.Uses != "" {
			p.State = hidden
		} else {
			v.Uses = where
		}
	}
	v.Places = append(v.Places, p)
}

// differences are what surprises people.
func (v *surroundings) differences(get func(string) string, p map[string]session.Setting, tokenFile string) {
	keys := get("AWS_ACCESS_KEY_ID") != ""
	if keys && v.By != "default" {
		v.Notes = append(v.Notes, "the keys in the environment come before "+v.By+"; only --profile, where a client has it, leaves them out")
	}
	if !keys && tokenFile != "" && v.Uses != "web identity" {
		v.Notes = append(v.Notes, "Go's SDK takes the token in AWS_WEB_IDENTITY_TOKEN_FILE before the profile, the AWS CLI and boto3 a profile with a role before it")
	}
	if p["sso_role_name"].Value != "" && p["credential_process"].Value != "" {
		v.Notes = append(v.Notes, "the profile has Identity Center and a credential_process: the former is used")
	}
	if _, address, ok := strings.Cut(p["credential_process"].Value, "stile credential-process "); ok {
		v.Notes = append(v.Notes, "the profile leads to stile: stile explain-credential "+address+" goes on")
	}
	if get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" && get("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "" {
		v.Notes = append(v.Notes, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI comes before AWS_CONTAINER_CREDENTIALS_FULL_URI")
	}
	if get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") != "" && get("AWS_CONTAINER_AUTHORIZATION_TOKEN") != "" {
		v.Notes = append(v.Notes, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE comes before AWS_CONTAINER_AUTHORIZATION_TOKEN")
	}
}

// environmentPieces are the variables that are set, without their values.
func environmentPieces(get func(string) string, names ...string) []piece {
	var out []piece
	for _, name := range names {
		if get(name) != "" {
			out = append(out, piece{name, "environment"})
		}
	}
	return out
}

// identity asks AWS whose credentials Go's SDK finds.
func (o *options) identity(ctx context.Context, v *surroundings) {
	region := cmp.Or(o.streams.Getenv("AWS_REGION"), "us-east-1")
	cfg, err := scope.LoadDefault(ctx, "", region)
	if err == nil {
		var got creds.Identity
		if got, err = creds.Identify(ctx, cfg); err == nil {
			v.Outcome, v.Identity, v.Account = good, got.ARN.String(), string(got.Account)
			if c, err := cfg.Credentials.Retrieve(ctx); err == nil && c.CanExpire {
				v.Expires = new(c.Expires.UTC())
			}
			return
		}
	}
	v.Outcome, v.Error, v.says = refused, o.streams.None(err), says(err)
}

// byItself opens what went wrong before AWS was asked.
const byItself = "it fails"

// says tells who has an error from whom: AWS, or nobody but the way itself, as where a
// program fails or there is no instance metadata.
func says(err error) string {
	if _, ok := errors.AsType[smithy.APIError](err); ok {
		return "AWS says"
	}
	return byItself
}

func (o *options) showSurroundings(v *surroundings) {
	p := o.streams.Printf
	p("profile %s, by %s\n", v.Profile, v.By)
	for _, place := range v.Places {
		if place.State == empty {
			continue
		}
		p("%-6s %s: %s\n", place.State, place.Where, place.Found)
		for _, c := range place.Config {
			p("         %-40s %s\n", c.What, c.Where)
		}
	}
	if v.Uses == "" {
		p("no place has any credentials\n")
	}
	for _, n := range v.Notes {
		p("note: %s\n", n)
	}
	switch v.Outcome {
	case good:
		o.works("these are credentials of ", v.Identity, v.Expires)
	case refused:
		p("%s: %s\n", cmp.Or(v.says, byItself), v.Error)
	}
}
