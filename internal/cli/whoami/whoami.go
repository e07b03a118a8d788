// Package whoami is `stile whoami`: whose credentials are at hand.
package whoami

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/scope"
)

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	var o route.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "whoami [ADDRESS]",
		Short: "Tell whose credentials are at hand, or those of a role or session",
		Long: "Ask AWS whose credentials an AWS client would find here, or those of ADDRESS: ACCOUNT/ROLE, a role's ARN, or the\n" +
			"name of a session.\n\nExit status: 0, or 1 when there are no credentials that AWS takes.",
		Args: term.ArgsBetween(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "" { // of a variable that is not set, for one
				return errors.New(`whoami "": want ACCOUNT/ROLE, a role's ARN, or a name of stile sessions list; without an argument it is who is at hand`)
			}
			who, err := find(cmd.Context(), s, &o, append(args, "")[0])
			if err != nil {
				return err
			}
			if asJSON {
				return s.JSON(who)
			}
			print(s, who)
			return nil
		},
	}
	o.Flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON value")
	return cmd
}

// identity is what there is to know, and nothing secret.
type identity struct {
	ARN     string     `json:"arn"`
	Account string     `json:"account"`
	UserID  string     `json:"userId"`
	Source  string     `json:"source"` // where the credentials come from
	Expires *time.Time `json:"expires,omitempty"`
}

func find(ctx context.Context, s *term.Streams, o *route.Options, address string) (*identity, error) {
	region := s.Getenv("AWS_REGION")
	if region == "" {
		region = "us-east-1"
	}
	cfg, err := scope.LoadDefault(ctx, "", region)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	var c aws.Credentials
	source := ""
	if address != "" {
		way, err := o.Open(ctx, s, address)
		if err != nil {
			return nil, err
		}
		defer way.Close()
		if c, err = way.Retrieve(ctx); err != nil {
			return nil, err
		}
		source, cfg.Region, cfg.Credentials = way.Caller, way.Region.Name, way.Credentials
	} else {
		if c, err = cfg.Credentials.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("no credentials are at hand: %s; say an address, or stile exec ADDRESS -- COMMAND", s.None(err))
		}
		source = c.Source
	}
	who, err := creds.Identify(ctx, cfg)
	if way, ok := cfg.Credentials.(*creds.Cached); ok && creds.Refused(err) && way.Invalidate(c.AccessKeyID) {
		s.Note("stile: AWS does not accept the session that was kept any more; fetching another")
		if c, err = way.Retrieve(ctx); err == nil {
			who, err = creds.Identify(ctx, cfg)
		}
	}
	if err != nil {
		return nil, err
	}
	out := &identity{ARN: who.ARN.String(), Account: string(who.Account), UserID: who.UserID, Source: source}
	if c.CanExpire {
		end := c.Expires.UTC()
		out.Expires = &end
	}
	return out, nil
}

func print(s *term.Streams, who *identity) {
	s.Printf("%s\naccount %s, by %s", who.ARN, who.Account, inWords(who.Source))
	if who.Expires != nil {
		s.Printf(", %s left", term.Left(*who.Expires))
	}
	s.Printf("\n")
}

// inWords is where credentials come from, for people: the SDK names its providers
// by their Go types.
func inWords(source string) string {
	if file, ok := strings.CutPrefix(source, "SharedConfigCredentials: "); ok {
		return "the keys in " + file
	}
	switch source {
	case config.CredentialsSourceName:
		return "the keys in the environment"
	case processcreds.ProviderName:
		return "a credential_process"
	case ssocreds.ProviderName:
		return "Identity Center"
	case stscreds.ProviderName:
		return "a role that the AWS profile enters"
	case stscreds.WebIdentityProviderName:
		return "a web identity token"
	case endpointcreds.ProviderName:
		return "a container credentials endpoint"
	case ec2rolecreds.ProviderName:
		return "the instance's role"
	}
	return source
}
