package route

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/handout"
	"github.com/stile-aws/stile/internal/issuelog"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/policy"
)

// Limits are the flags that hold a person or a program back.
type Limits struct {
	ReadOnly   bool     // --read-only
	PolicyFile string   // --policy
	PolicyARNs []string // --policy-arn
	Confirm    []string // --confirm: accounts, names or ids

	delivery string     // the command's name, for the log
	command  string     // the program it starts, for the log
	asking   sync.Mutex // one question at a time
	warning  sync.Once  // that the log cannot be written
	foreign  sync.Once  // that declarations are another user's
}

func (l *Limits) flags(cmd *cobra.Command) {
	l.delivery = cmd.Name()
	f := cmd.Flags()
	f.BoolVar(&l.ReadOnly, "read-only", false, "let the session do no more than AWS's policy ReadOnlyAccess allows; at an Identity Center,\n"+
		"go to the source's read-only role (stile sessions edit SOURCE --read-only-role NAME)")
	f.StringVar(&l.PolicyFile, "policy", "", "let the session do no more than the policy in a `FILE` allows")
	f.StringSliceVar(&l.PolicyARNs, "policy-arn", nil, "let the session do no more than managed policies allow, by their `ARN`s;\n"+
		"of several policies, what any of them allows")
	f.StringSliceVar(&l.Confirm, "confirm", nil, "the `ACCOUNT` that a guard (.stile-guard.yaml) wants confirmed, where nobody can be asked")
}

// Runs tells the program that the credentials are for.
func (l *Limits) Runs(command string) { l.command = command }

// LogEnv set to "required" makes credentials that cannot be logged an error.
const LogEnv = handout.LogEnv

// narrowing is the session policies of the end of a way.
type narrowing struct {
	policy   string
	arns     []string // of the partition aws
	readOnly bool
	words    string // for people
	why      string // who wants it
}

func (n *narrowing) none() bool { return n.policy == "" && len(n.arns) == 0 && !n.readOnly }

// apply puts the policies onto the role that is entered last.
func (n *narrowing) apply(r creds.Role) creds.Role {
	r.Policy = n.policy
	r.PolicyARNs = slices.Clone(n.arns)
	if n.readOnly {
		a, _ := arn.Parse(r.ARN) // of the role, parsed where it came from
		r.PolicyARNs = append(r.PolicyARNs, readOnlyAccess(string(a.Partition)))
	}
	return r
}

// cannot is the error for an end of a way that takes no session policy.
func (n *narrowing) cannot(reason string) error {
	return fmt.Errorf("%s cannot be held to: %s; go through a role of the account (stile sessions add … --via), or without it", n.why, reason)
}

// pass is what stands between somebody and an account: the guards of the
// working directory, and the session policies they or the flags want.
type pass struct {
	guard  *guard.Guard
	narrow narrowing
	keep   *keeping // for those it lets through
}

// free reports that nothing is in the way.
func (p *pass) free() bool { return p.narrow.none() && len(p.guard.Files()) == 0 }

// errNowhere is a working directory that was removed: which guards hold, nobody can tell.
var errNowhere = errors.New("the working directory is gone")

// pass reads the guards of the working directory and the flags.
func (o *Options) pass(s *term.Streams) (*pass, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("looking for guards: %w (%v); cd to a directory that is there", errNowhere, err)
	}
	g, err := guard.Find(dir)
	if err != nil {
		return nil, err
	}
	p := &pass{guard: g}
	if err := o.Limits.narrow(&p.narrow); err != nil {
		return nil, err
	}
	file := g.ReadOnly()
	switch {
	case file == "" || interactive(s) || p.narrow.readOnly && p.narrow.policy == "" && len(p.narrow.arns) == 0:
	case !p.narrow.none():
		// AWS unites session policies: the other would add to what may be read.
		return nil, fmt.Errorf("%s lets programs read only; leave --policy and --policy-arn off, or run it at a terminal", file)
	default:
		p.narrow = narrowing{readOnly: true, words: "ReadOnlyAccess", why: file + " (as: readonly)"}
	}
	return p, nil
}

// narrow reads the flags.
func (l *Limits) narrow(n *narrowing) error {
	var words []string
	if l.ReadOnly {
		if l.PolicyFile != "" || len(l.PolicyARNs) > 0 {
			return errors.New("--read-only with --policy or --policy-arn would allow what either does, as AWS unites session policies; give one")
		}
		n.readOnly, n.why, words = true, "--read-only", []string{"ReadOnlyAccess"}
	}
	if l.PolicyFile != "" {
		text, err := os.ReadFile(l.PolicyFile)
		if err != nil {
			return fmt.Errorf("reading --policy: %w", err)
		}
		if _, err := policy.Parse(text); err != nil {
			return fmt.Errorf("reading --policy %s, which has to be an IAM policy in JSON: %w", l.PolicyFile, err)
		}
		if n.policy, err = compact(text); err != nil {
			return fmt.Errorf("reading --policy %s: %w", l.PolicyFile, err)
		}
		n.why, words = "--policy", append(words, l.PolicyFile)
	}
	if len(l.PolicyARNs) > 0 {
		n.arns, n.why, words = l.PolicyARNs, "--policy-arn", append(words, l.PolicyARNs...)
	}
	n.words = strings.Join(words, ", ")
	return nil
}

// compact takes the space out of a document: STS counts it (2,048 characters,
// API reference, AssumeRole, Policy).
func compact(text []byte) (string, error) {
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return "", err
	}
	out, err := json.Marshal(v)
	return string(out), err
}

// interactive reports that a person is there to see and to answer.
func interactive(s *term.Streams) bool { return s.Ask && s.Terminal }

// admit lets somebody through to where a way ends, or not. Where a guard goes by
// accounts and AWS has not said which this is, STS is asked: what a program or a file
// claims, anybody may have written.
func (o *Options) admit(ctx context.Context, s *term.Streams, p *pass, w *Way) error {
	if !p.narrow.none() && !w.narrowed {
		return p.narrow.cannot("these credentials come from no call that takes a session policy")
	}
	if file := p.guard.Asks(); file != "" {
		w.whose = &whose{guard: file, region: w.Region.Name, claimed: w.claimed || w.Account == ""}
		if err := w.locate(ctx); err != nil {
			return err
		}
	}
	question, err := p.guard.Check(guard.Account{ID: w.Account, Name: w.AccountName, Labels: w.Labels})
	if err != nil || question == "" {
		return err
	}
	if slices.ContainsFunc(o.Confirm, func(c string) bool { return c == string(w.Account) || c != "" && c == w.AccountName }) {
		return nil
	}
	if !interactive(s) {
		return fmt.Errorf("%s; nobody can be asked here, say --confirm %s", question, w.Account)
	}
	o.asking.Lock()
	defer o.asking.Unlock()
	s.Note("stile: %s. Go on? Only \"yes\" is taken.", question)
	if s.Yes(ctx) {
		return nil
	}
	return cmp.Or(context.Cause(ctx), fmt.Errorf("%s; that was not done", question))
}

// locate finds out for a guard to which account a way leads, unless AWS has said it.
func (w *Way) locate(ctx context.Context) error {
	if !w.whose.claimed {
		return nil
	}
	c, err := w.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("going as %s, to find out for %s which account this is: %w", w.Caller, w.whose.guard, err)
	}
	account, err := w.whose.ask(ctx, c)
	if err != nil {
		return err
	}
	if w.Account != "" && w.Account != account { // the rest of the claim is as wrong
		w.AccountName, w.Labels = "", nil
	}
	w.Account = account
	return nil
}

// A recorder logs the credentials of one way, each as often as it is handed out.
type recorder struct {
	streams *term.Streams
	limits  *Limits
	entry   issuelog.Entry // without what is the credential's own

	mu   sync.Mutex // guards last
	last string     // the access key id that was logged last
}

func (o *Options) recorder(s *term.Streams, address string, w *Way, limits string) *recorder {
	return &recorder{streams: s, limits: &o.Limits, entry: issuelog.Entry{
		Address: address, Account: string(w.Account), AccountName: w.AccountName, Role: w.Role, Source: w.Caller, Limits: limits,
		Delivery: o.delivery, Command: o.command,
	}}
}

// record logs a credential, once. One that cannot be logged is handed out all the
// same, unless the environment says otherwise.
func (r *recorder) record(c aws.Credentials, session string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == c.AccessKeyID {
		return nil
	}
	e, holds := r.entry, handout.Credential{AccessKeyID: c.AccessKeyID, AccountID: c.AccountID}
	e.Session = session
	if c.CanExpire {
		holds.Expires = c.Expires
	}
	fatal, err := handout.Log(environment(r.streams), e, holds)
	switch {
	case fatal:
		return err
	case err != nil:
		r.limits.warning.Do(func() { r.streams.Note("stile: %v; credentials are handed out without it", err) })
	default:
		r.last = c.AccessKeyID
	}
	return nil
}

// whose knows for a guard of which account credentials are. They may be another's
// whenever there are others: each is looked at.
type whose struct {
	guard   string // the file that goes by accounts
	region  string
	claimed bool // the account that comes with them is not from AWS: a program or a file says it

	mu      sync.Mutex // guards the rest
	key     string     // the access key id that was asked about last
	account arn.AccountID
}

// ask is the account of credentials: what AWS has given with them, else what STS says.
func (w *whose) ask(ctx context.Context, c aws.Credentials) (arn.AccountID, error) {
	if said := arn.AccountID(c.AccountID); said.Valid() && !w.claimed {
		return said, nil
	}
	w.mu.Lock()
	key, account := w.key, w.account
	w.mu.Unlock()
	if key == c.AccessKeyID {
		return account, nil
	}
	cfg, err := scope.LoadDefault(ctx, "", w.region)
	if err != nil {
		return "", fmt.Errorf("reading the AWS configuration: %w", err)
	}
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
	who, err := creds.Identify(ctx, cfg)
	if err != nil {
		return "", fmt.Errorf("finding out which account this is, by which %s goes: %w", w.guard, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.key, w.account = c.AccessKeyID, who.Account
	return who.Account, nil
}

// Provider gives the credentials of the way to those who serve them. Like
// [Way.Retrieve] it logs each that is handed out.
func (w *Way) Provider() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		c, err := w.Credentials.Retrieve(ctx)
		if err != nil {
			return c, err
		}
		return w.hand(ctx, c)
	})
}

// hand gives c when it is of the account that the way was opened for, and in the log,
// or need not be.
func (w *Way) hand(ctx context.Context, c aws.Credentials) (aws.Credentials, error) {
	if err := w.same(ctx, c); err != nil {
		return aws.Credentials{}, err
	}
	if w.log == nil {
		return c, nil
	}
	if err := w.log.record(c, w.Credentials.SessionName()); err != nil {
		return aws.Credentials{}, err
	}
	return c, nil
}

// same refuses credentials of another account than those the way was opened for: a
// guard has let that one through, and what uses the way was begun there. Somebody may
// have signed in as somebody else since, or a program goes elsewhere now.
func (w *Way) same(ctx context.Context, c aws.Credentials) error {
	if w.whose != nil {
		switch account, err := w.whose.ask(ctx, c); {
		case err != nil:
			return err
		case account != w.Account:
			return fmt.Errorf("%s gives credentials of account %s now, and %s let %s through; begin anew", w.Caller, account, w.whose.guard, w.Account)
		}
		return nil
	}
	said := arn.AccountID(c.AccountID)
	if !said.Valid() {
		return nil
	}
	if began := w.began(said); said != began {
		return fmt.Errorf("%s gives credentials of account %s now, and this was begun in %s; begin anew", w.Caller, said, began)
	}
	return nil
}

// began is the account that the way was opened for: where nothing has said it, that of
// the first credentials that say one.
func (w *Way) began(said arn.AccountID) arn.AccountID {
	if w.Account != "" {
		return w.Account
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first = cmp.Or(w.first, said)
	return w.first
}
