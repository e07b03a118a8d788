// Package awsendpoint makes the clients that AWS's SDK builds for the credentials
// of a profile go where AWS_ENDPOINT_URL points, as all others do.
//
// [LoadOptions] is that. [Load] is for calls that need nothing of a profile. The SDK builds these clients before it has read that
// variable (config v1.33.15, order of defaultAWSConfigResolvers), so they would ask
// the real AWS.
package awsendpoint

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// LoadOptions are for config.LoadDefaultConfig, which takes one function of each
// kind: assume is what else roles of profiles need.
func LoadOptions(assume ...func(*stscreds.AssumeRoleOptions)) []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if c, ok := o.Client.(*sts.Client); ok {
				o.Client = atSTS(c)
			}
			for _, also := range assume {
				also(o)
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if c, ok := o.Client.(*sts.Client); ok {
				o.Client = atSTS(c)
			}
		}),
		config.WithSSOProviderOptions(func(o *ssocreds.Options) {
			if c, ok := o.Client.(*sso.Client); ok {
				o.Client = sso.New(c.Options(), func(o *sso.Options) { set(&o.BaseEndpoint, "AWS_ENDPOINT_URL_SSO") })
			}
		}),
		config.WithSSOTokenProviderOptions(func(o *ssocreds.SSOTokenProviderOptions) {
			if c, ok := o.Client.(*ssooidc.Client); ok {
				o.Client = ssooidc.New(c.Options(), func(o *ssooidc.Options) { set(&o.BaseEndpoint, "AWS_ENDPOINT_URL_SSO_OIDC") })
			}
		}),
	}
}

// Load is config.LoadDefaultConfig for those who bring their own credentials, or need
// none: that the profile of AWS_PROFILE is not there, or leads nowhere, does not
// matter to them. Without it the profile default is read, if there is one.
func Load(ctx context.Context, options ...func(*config.LoadOptions) error) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if !aside(err) {
		return cfg, err
	}
	cfg, err = config.LoadDefaultConfig(ctx, append(options, config.WithSharedConfigProfile(defaultProfile))...)
	if !aside(err) {
		return cfg, err
	}
	empty, err := os.CreateTemp("", "stile-config-")
	if err != nil {
		return cfg, fmt.Errorf("making an AWS config: %w", err)
	}
	defer os.Remove(empty.Name())
	_, err = empty.WriteString("[" + defaultProfile + "]\n")
	if err := errors.Join(err, empty.Close()); err != nil {
		return cfg, fmt.Errorf("making an AWS config: %w", err)
	}
	return config.LoadDefaultConfig(ctx, append(options, config.WithSharedConfigProfile(defaultProfile),
		config.WithSharedConfigFiles([]string{empty.Name()}), config.WithSharedCredentialsFiles([]string{}))...)
}

const defaultProfile = "default"

// aside reports an error of the profile that was chosen, not of the files.
func aside(err error) bool {
	_, missing := errors.AsType[config.SharedConfigProfileNotExistError](err)
	_, role := errors.AsType[config.SharedConfigAssumeRoleError](err)
	return missing || role
}

func atSTS(c *sts.Client) *sts.Client {
	return sts.New(c.Options(), func(o *sts.Options) { set(&o.BaseEndpoint, "AWS_ENDPOINT_URL_STS") })
}

// set sets an endpoint to that of the environment, if there is one and the
// service's own variable, which the SDK has read, does not say another.
func set(endpoint **string, own string) {
	url := os.Getenv("AWS_ENDPOINT_URL")
	if url == "" || os.Getenv(own) != "" || os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == "true" {
		return
	}
	*endpoint = aws.String(url)
}
