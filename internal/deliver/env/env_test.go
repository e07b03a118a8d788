package env_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/deliver/env"
)

var session = aws.Credentials{
	AccessKeyID: "ASIANEW", SecretAccessKey: "new", SessionToken: "new-token", AccountID: "222222222222",
	CanExpire: true, Expires: time.Date(2026, 11, 22, 10, 0, 5, 0, time.UTC),
}

// everything that must not reach a child, and what must.
var (
	gone = []string{
		"AWS_ACCESS_KEY_ID=AKIAOLD", "AWS_SECRET_ACCESS_KEY=old", "AWS_SESSION_TOKEN=old", "AWS_SECURITY_TOKEN=old",
		"AWS_ACCESS_KEY=AKIAOLD", "AWS_SECRET_KEY=old", "AWS_CREDENTIAL_EXPIRATION=2001-01-01T00:00:00Z", "AWS_ACCOUNT_ID=111111111111",
		"AWS_PROFILE=old", "AWS_DEFAULT_PROFILE=old", "AWS_ROLE_ARN=old", "AWS_WEB_IDENTITY_TOKEN_FILE=old", "AWS_ROLE_SESSION_NAME=old",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/old", "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://old", "AWS_CONTAINER_AUTHORIZATION_TOKEN=old",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/old", "AWS_EC2_METADATA_DISABLED=false",
	}
	kept = []string{
		"PATH=/bin", "AWS_ENDPOINT_URL=http://127.0.0.1:7171", "AWS_CA_BUNDLE=/ca.pem", "HTTPS_PROXY=http://127.0.0.1:7171",
		"AWS_PAGER=", "MY_AWS_PROFILE=kept", "ODD=a=b",
	}
)

func TestWithCredentials(t *testing.T) {
	parent := slices.Concat(kept[:3], gone, kept[3:])
	before := slices.Clone(parent)
	got := env.Child{Environ: parent, Region: "eu-west-1"}.WithCredentials(session)
	want := slices.Concat(kept, []string{
		"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=ASIANEW", "AWS_SECRET_ACCESS_KEY=new", "AWS_SESSION_TOKEN=new-token", "AWS_ACCOUNT_ID=222222222222",
		"AWS_CREDENTIAL_EXPIRATION=2026-11-22T10:00:05Z",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, parent); diff != "" {
		t.Errorf("the parent's environment was changed:\n%s", diff)
	}
}

func TestWithEndpoint(t *testing.T) {
	parent := slices.Concat(kept, gone, []string{"AWS_CONFIG_FILE=/home/config", "AWS_SHARED_CREDENTIALS_FILE=/home/credentials"})
	e := env.Endpoint{URL: "http://127.0.0.1:1/credentials", TokenFile: "/run/token", Token: "t", ConfigFile: "/run/config", CredentialsFile: "/run/credentials"}
	common := slices.Concat(kept, []string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true"})
	way := []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/token"}
	got := env.Child{Environ: parent, Region: "eu-west-1"}.WithEndpoint(e)
	want := slices.Concat(common, []string{"AWS_CONFIG_FILE=/run/config", "AWS_SHARED_CREDENTIALS_FILE=/run/credentials"}, way, []string{"AWS_CONTAINER_AUTHORIZATION_TOKEN=t"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	got = env.Child{Environ: parent, Region: "eu-west-1"}.WithEndpoint(env.Endpoint{URL: e.URL, TokenFile: e.TokenFile})
	want = slices.Concat(kept, []string{"AWS_CONFIG_FILE=/home/config", "AWS_SHARED_CREDENTIALS_FILE=/home/credentials"}, common[len(kept):], way)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment with the user's files and no token (-want +got):\n%s", diff)
	}
}

func TestRegion(t *testing.T) {
	for _, c := range []struct {
		name   string
		parent []string
		region string
		want   []string
	}{
		{"none anywhere", nil, "", nil},
		{"its own", nil, "eu-west-1", []string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1"}},
		{"its own in the place of the parent's", []string{"AWS_DEFAULT_REGION=a", "AWS_REGION=b"}, "c", []string{"AWS_REGION=c", "AWS_DEFAULT_REGION=c"}},
		{"AWS_REGION stands in", []string{"AWS_REGION=us-east-2"}, "", []string{"AWS_REGION=us-east-2", "AWS_DEFAULT_REGION=us-east-2"}},
		{"AWS_DEFAULT_REGION stands in", []string{"AWS_DEFAULT_REGION=us-east-2"}, "", []string{"AWS_REGION=us-east-2", "AWS_DEFAULT_REGION=us-east-2"}},
		{"both, different", []string{"AWS_DEFAULT_REGION=a", "AWS_REGION=b"}, "", []string{"AWS_REGION=b", "AWS_DEFAULT_REGION=a"}},
		{"set to nothing", []string{"AWS_REGION="}, "eu-west-1", []string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := env.Child{Environ: c.parent, Region: c.region}.WithEndpoint(env.Endpoint{URL: "u", TokenFile: "f"})
			want := append(c.want, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONTAINER_CREDENTIALS_FULL_URI=u", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=f")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	parent := []string{"STILE_ADDRESS=old", "STILE_REGION=old", "STILE_ACCOUNT_ID=old", "STILE_ACCOUNT_NAME=old", "STILE_USED=old", "STILE_EXPIRES=old", "STILE_KEEP=off"}
	for _, c := range []struct {
		name  string
		place env.Place
		want  []string
	}{
		{"told nothing", env.Place{Chosen: true}, nil},
		{"the environment's Region", env.Place{Address: "a/b"}, []string{"STILE_ADDRESS=a/b"}},
		{"all", env.Place{Address: "a/b", AccountID: "222222222222", AccountName: "a", Chosen: true},
			[]string{"STILE_ADDRESS=a/b", "STILE_ACCOUNT_ID=222222222222", "STILE_ACCOUNT_NAME=a", "STILE_REGION=eu-west-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := env.Child{Environ: parent, Region: "eu-west-1", Place: c.place}.WithProfile("p")
			want := slices.Concat([]string{"STILE_KEEP=off", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1"}, c.want,
				[]string{"AWS_EC2_METADATA_DISABLED=true", "AWS_PROFILE=p", "AWS_SDK_LOAD_CONFIG=1"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}
