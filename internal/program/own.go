package program

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Own has cfg, as config.LoadDefaultConfig gave it, run the credential_process of its
// profile as this package does: the SDK's own runner quotes what is printed in its
// errors (credentials v1.20.15, processcreds), and knows no circles. Where no such
// program is the source of cfg's credentials nothing changes.
func Own(cfg *aws.Config) error {
	source, ok := cfg.Credentials.(aws.CredentialProviderSource)
	if !ok || !slices.Contains(source.ProviderSources(), aws.CredentialSourceProcess) {
		return nil
	}
	profiles, assume := sources(cfg)
	if len(profiles) == 0 {
		return nil
	}
	first := profiles[len(profiles)-1]
	p, err := New(first.CredentialProcess, "AWS profile "+first.Profile)
	if err != nil {
		return err
	}
	cfg.Credentials = aws.NewCredentialsCache(p.Provider())
	for _, profile := range slices.Backward(profiles) {
		if profile.RoleARN != "" {
			cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg.Copy()), profile.RoleARN, entering(profile), assume))
		}
	}
	return nil
}

// sources are the profile that cfg was made of and those that it enters its role
// from, and what else their roles need.
func sources(cfg *aws.Config) (profiles []*config.SharedConfig, assume func(*stscreds.AssumeRoleOptions)) {
	assume = func(*stscreds.AssumeRoleOptions) {}
	for _, from := range cfg.ConfigSources {
		switch from := from.(type) {
		case config.SharedConfig:
			for p := &from; p != nil; p = p.Source {
				profiles = append(profiles, p)
			}
		case config.LoadOptions:
			if from.AssumeRoleCredentialOptions != nil {
				assume = from.AssumeRoleCredentialOptions
			}
		}
	}
	return profiles, assume
}

// entering is how a profile's role is entered, as the SDK has it (config v1.33.15,
// credsFromAssumeRole).
func entering(p *config.SharedConfig) func(*stscreds.AssumeRoleOptions) {
	return func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = p.RoleSessionName
		if d := p.RoleDurationSeconds; d != nil && *d >= 15*time.Minute {
			o.Duration = *d
		}
		if p.ExternalID != "" {
			o.ExternalID = aws.String(p.ExternalID)
		}
		if p.MFASerial != "" {
			o.SerialNumber = aws.String(p.MFASerial)
		}
	}
}
