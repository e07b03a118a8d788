// Package env makes the environment of a program that is to use certain
// credentials and no others.
//
// A [Child] starts from the parent's environment. Everything by which AWS
// clients would find other credentials, or another profile, is taken out;
// endpoint, proxy and certificates stay. Nothing here starts a program.
package env

import (
	"cmp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/used"
)

// removed are the variables by which the AWS CLI and SDKs choose credentials.
// AWS_ACCESS_KEY and AWS_SECRET_KEY are spellings the Go SDK takes too, and
// AWS_SECURITY_TOKEN is the old one of AWS_SESSION_TOKEN. AWS_ACCOUNT_ID would
// go with other credentials into endpoints that contain an account id.
// Sources: SDKs and Tools reference, environment variables; botocore
// credentials.py; config/env_config.go of the Go SDK.
var removed = map[string]bool{
	"AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true, "AWS_SECURITY_TOKEN": true,
	"AWS_ACCESS_KEY": true, "AWS_SECRET_KEY": true, "AWS_CREDENTIAL_EXPIRATION": true, "AWS_ACCOUNT_ID": true,
	"AWS_PROFILE": true, "AWS_DEFAULT_PROFILE": true,
	"AWS_ROLE_ARN": true, "AWS_WEB_IDENTITY_TOKEN_FILE": true, "AWS_ROLE_SESSION_NAME": true,
	"AWS_EC2_METADATA_DISABLED": true, // set anew below
	// Where the parent is.
	used.AddressEnv: true, used.ExpiresEnv: true, used.StateEnv: true, used.RegionEnv: true, used.AccountIDEnv: true, used.AccountNameEnv: true,
}

// removedPrefix begins the variables of the container credentials provider.
const removedPrefix = "AWS_CONTAINER_"

// Child is a program's environment in the making.
type Child struct {
	// Environ is the parent's environment, NAME=VALUE each. It is not changed.
	Environ []string
	// Region is the program's; "" leaves it Environ's.
	Region string
	// Place tells the program where it is. The zero Place tells nothing.
	Place Place
}

// Place is where a program works.
type Place struct {
	Address                string // as it was asked for
	AccountID, AccountName string // "" where they are not known
	// Chosen is set when Region is not what Environ says: programs below that work
	// elsewhere do not take it for the person's.
	Chosen bool
}

// variables are those that say it.
func (p *Place) variables(region string) []string {
	if !p.Chosen {
		region = ""
	}
	var out []string
	for _, v := range [][2]string{{used.AddressEnv, p.Address}, {used.AccountIDEnv, p.AccountID}, {used.AccountNameEnv, p.AccountName}, {used.RegionEnv, region}} {
		if p.Address != "" && v[1] != "" {
			out = append(out, v[0]+"="+v[1])
		}
	}
	return out
}

// Endpoint is a container credentials endpoint and how to be let in.
type Endpoint struct {
	URL       string
	TokenFile string
	// Token goes into the environment too, for clients from before token files
	// (botocore before 1.33, AWS CLI before 2.15): "" leaves it out. Who knows
	// token files prefers them.
	Token string
	// ConfigFile and CredentialsFile take the place of the user's own, whose
	// default profile would win over the endpoint; "" leaves the user's.
	ConfigFile, CredentialsFile string
}

// WithCredentials is the environment with the credentials themselves. They are
// seen by every program below and end when they expire.
func (c Child) WithCredentials(creds aws.Credentials) []string {
	out := append(c.clean(), "AWS_ACCESS_KEY_ID="+creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+creds.SecretAccessKey)
	if creds.SessionToken != "" {
		out = append(out, "AWS_SESSION_TOKEN="+creds.SessionToken)
	}
	if creds.AccountID != "" {
		out = append(out, "AWS_ACCOUNT_ID="+creds.AccountID)
	}
	if creds.CanExpire {
		out = append(out, "AWS_CREDENTIAL_EXPIRATION="+creds.Expires.UTC().Format(time.RFC3339))
	}
	return out
}

// WithProfile is the environment that leads AWS clients to a profile of the config
// file. AWS's older SDKs for Go and JavaScript read that file only when told to.
func (c Child) WithProfile(name string) []string {
	return append(without(c.clean(), "AWS_SDK_LOAD_CONFIG"), "AWS_PROFILE="+name, "AWS_SDK_LOAD_CONFIG=1")
}

// WithEndpoint is the environment that leads AWS clients to e.
func (c Child) WithEndpoint(e Endpoint) []string {
	out := c.clean()
	if e.ConfigFile != "" {
		out = without(out, "AWS_CONFIG_FILE")
		out = append(out, "AWS_CONFIG_FILE="+e.ConfigFile)
	}
	if e.CredentialsFile != "" {
		out = without(out, "AWS_SHARED_CREDENTIALS_FILE")
		out = append(out, "AWS_SHARED_CREDENTIALS_FILE="+e.CredentialsFile)
	}
	out = append(out, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+e.URL, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+e.TokenFile)
	if e.Token != "" {
		out = append(out, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+e.Token)
	}
	return out
}

// clean is the parent's environment without other credentials, with a Region.
func (c Child) clean() []string {
	out := make([]string, 0, len(c.Environ)+8)
	var region, defaultRegion string
	for _, v := range c.Environ {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case removed[name] || strings.HasPrefix(name, removedPrefix):
			continue
		case name == "AWS_REGION":
			region = value
			continue
		case name == "AWS_DEFAULT_REGION":
			defaultRegion = value
			continue
		}
		out = append(out, v)
	}
	// boto3 reads AWS_DEFAULT_REGION alone, the other SDKs AWS_REGION: both are set.
	if c.Region != "" {
		region, defaultRegion = c.Region, c.Region
	}
	region, defaultRegion = cmp.Or(region, defaultRegion), cmp.Or(defaultRegion, region)
	if region != "" {
		out = append(out, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+defaultRegion)
	}
	return append(append(out, c.Place.variables(c.Region)...), "AWS_EC2_METADATA_DISABLED=true")
}

func without(environ []string, name string) []string {
	out := environ[:0]
	for _, v := range environ {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return out
}
