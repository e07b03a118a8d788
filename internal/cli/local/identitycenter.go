package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/settings"
)

// identityCenterHelp is the form of the files of --identity-center.
const identityCenterHelp = `A file of --identity-center has an instance in each YAML document:

  startURL: https://acme.awsapps.com/start     # all but users have defaults
  region: us-east-1
  sessionDuration: 8h                          # of a sign-in
  requestsPerSecond: 20                        # of the portal; -1 for any number
  users:
  - {name: alice, email: alice@example.com, groups: [admins]}
  permissionSets:
  - {name: Admin, managedPolicies: [AdministratorAccess], sessionDuration: 2h}
  - name: ReadOnly
    inlinePolicy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "iam:Get*", Resource: "*"}]}
    # also customerPolicies: [NAME], boundary: NAME
  assignments:
  - {accounts: [all], permissionSets: [Admin], groups: [admins]}
  - {accounts: [orders-prod], permissionSets: [ReadOnly], users: [alice]}

Sign-in pages are answered in a browser, or by stile local sign-in.`

// instance is an instance of IAM Identity Center in a file of --identity-center;
// a file has one in each document.
type instance struct {
	StartURL          string          `yaml:"startURL"`
	Region            string          `yaml:"region"`
	SessionDuration   time.Duration   `yaml:"sessionDuration"`
	RequestsPerSecond int             `yaml:"requestsPerSecond"`
	Users             []user          `yaml:"users"`
	PermissionSets    []permissionSet `yaml:"permissionSets"`
	Assignments       []assignment    `yaml:"assignments"`
}

type user struct {
	Name   string   `yaml:"name"`
	Email  string   `yaml:"email"`
	Groups []string `yaml:"groups"`
}

type permissionSet struct {
	Name             string        `yaml:"name"`
	ManagedPolicies  []string      `yaml:"managedPolicies"` // ARNs, or names of AWS's own
	CustomerPolicies []string      `yaml:"customerPolicies"`
	InlinePolicy     any           `yaml:"inlinePolicy"` // a document, or its text
	Boundary         string        `yaml:"boundary"`
	SessionDuration  time.Duration `yaml:"sessionDuration"`
}

type assignment struct {
	Accounts       []string `yaml:"accounts"` // names, ids, or "all"
	PermissionSets []string `yaml:"permissionSets"`
	Users          []string `yaml:"users"`
	Groups         []string `yaml:"groups"`
}

// readIdentityCenters reads a file of --identity-center. accounts are those of
// --account, by name; order has their ids.
func readIdentityCenters(file string, accounts map[string]arn.AccountID, order []localaws.Account) ([]localaws.IdentityCenter, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading --identity-center: %w", err)
	}
	decoder := settings.NewDecoder(file, text)
	var all []localaws.IdentityCenter
	for {
		var in instance
		err := decoder.Decode(&in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading --identity-center: %w", err)
		}
		made, err := in.convert(accounts, order)
		if err != nil {
			return nil, fmt.Errorf("reading --identity-center %s: %w", file, err)
		}
		all = append(all, made)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reading --identity-center %s: it is empty", file)
	}
	return all, nil
}

func (in *instance) convert(accounts map[string]arn.AccountID, order []localaws.Account) (localaws.IdentityCenter, error) {
	out := localaws.IdentityCenter{
		StartURL: in.StartURL, Region: in.Region, SessionDuration: in.SessionDuration, RequestsPerSecond: in.RequestsPerSecond,
	}
	for _, u := range in.Users {
		out.Users = append(out.Users, localaws.IdentityCenterUser(u))
	}
	for _, p := range in.PermissionSets {
		set := localaws.PermissionSet{
			Name: p.Name, CustomerPolicies: p.CustomerPolicies, Boundary: managed(p.Boundary), SessionDuration: p.SessionDuration,
		}
		for _, ref := range p.ManagedPolicies {
			set.ManagedPolicies = append(set.ManagedPolicies, managed(ref))
		}
		var err error
		if set.InlinePolicy, err = document(p.InlinePolicy); err != nil {
			return out, fmt.Errorf("permission set %s: its inline policy: %w", p.Name, err)
		}
		out.PermissionSets = append(out.PermissionSets, set)
	}
	for _, a := range in.Assignments {
		ids, err := accountIDs(a.Accounts, accounts, order)
		if err != nil {
			return out, err
		}
		out.Assignments = append(out.Assignments, localaws.Assignment{Accounts: ids, PermissionSets: a.PermissionSets, Users: a.Users, Groups: a.Groups})
	}
	return out, nil
}

// managed is the ARN of a policy that AWS manages and that goes by its name.
func managed(ref string) string {
	if ref == "" || strings.HasPrefix(ref, "arn:") {
		return ref
	}
	return "arn:aws:iam::aws:policy/" + strings.TrimPrefix(ref, "/")
}

// document is the text of a policy that is written as YAML or as a string.
func document(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	text, err := json.Marshal(v)
	return string(text), err
}

func accountIDs(names []string, accounts map[string]arn.AccountID, order []localaws.Account) ([]arn.AccountID, error) {
	var ids []arn.AccountID
	for _, name := range names {
		if name == "all" {
			for _, a := range order {
				ids = append(ids, a.ID)
			}
			continue
		}
		id, ok := accounts[name]
		if !ok {
			if id = arn.AccountID(name); !id.Valid() {
				return nil, fmt.Errorf("an assignment names account %q, and no --account is named so", name)
			}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func newSignIn(s *term.Streams, find finder) *cobra.Command {
	var name string
	var deny bool
	cmd := &cobra.Command{
		Use:   "sign-in URL|CODE",
		Short: "Answer a sign-in page, as a browser and a person would",
		Long: "Answer a sign-in page of IAM Identity Center or of the console, as a browser and a person would: an authorization URL, the\n" +
			"URL of a device, or the code that the device shows. After an authorization URL it goes where the browser is sent, which must\n" +
			"be on this machine. In the console --user is a user, an account's root or a role's session: an ARN, or for $BROWSER, which\n" +
			"colons take apart, ACCOUNT/root, ACCOUNT/user/NAME, ACCOUNT/assumed-role/ROLE/SESSION.",
		Example: "  BROWSER='stile local sign-in --user alice' aws sso login --profile orders\n" +
			"  BROWSER='stile local sign-in --user 111111111111/root' aws login\n" +
			"  stile local sign-in --user alice BCDF-GHJK",
		Args: term.Args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := find()
			if err != nil {
				return err
			}
			var out struct{ Next string }
			in := map[string]any{"url": args[0], "user": name, "deny": deny}
			if err := c.Call(cmd.Context(), http.MethodPost, "sign-in", in, &out); err != nil {
				return err
			}
			if out.Next == "" {
				return nil
			}
			return c.follow(cmd.Context(), out.Next)
		},
	}
	cmd.Flags().StringVar(&name, "user", "", "who you are; default: the only person there is")
	cmd.Flags().BoolVar(&deny, "deny", false, "refuse")
	return cmd
}

// follow goes where a browser is sent, if that is on this machine. The URL has
// a code in it, and is in no message.
func (c *Client) follow(ctx context.Context, next string) error {
	u, err := url.Parse(next)
	if err != nil {
		return errors.New("following the redirect: it is no URL")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("following the redirect: %s is not on this machine", u.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, next, nil)
	if err != nil {
		return errors.New("following the redirect: it is no URL")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err
		}
		return fmt.Errorf("following the redirect to %s: %w", u.Host, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("following the redirect to %s: it answered %s", u.Host, resp.Status)
	}
	return nil
}
