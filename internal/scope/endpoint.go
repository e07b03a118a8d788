package scope

import (
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// atEndpoint makes the SDK's own STS clients, those behind role_arn and
// web_identity_token_file of a profile, go where AWS_ENDPOINT_URL points. The
// SDK builds them before it has read that variable (config v1.33.15, order of
// defaultAWSConfigResolvers), so they would ask the real AWS.
func atEndpoint() []func(*config.LoadOptions) error {
	url := os.Getenv("AWS_ENDPOINT_URL")
	if url == "" || os.Getenv("AWS_ENDPOINT_URL_STS") != "" || os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == "true" {
		return nil
	}
	at := func(c *sts.Client) *sts.Client {
		return sts.New(c.Options(), func(o *sts.Options) { o.BaseEndpoint = aws.String(url) })
	}
	return []func(*config.LoadOptions) error{
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if c, ok := o.Client.(*sts.Client); ok {
				o.Client = at(c)
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if c, ok := o.Client.(*sts.Client); ok {
				o.Client = at(c)
			}
		}),
	}
}
