// Package rotate is `stile rotate`: a new access key for an IAM user in place of
// the old one, wherever the key is kept, so that at no moment the last key that
// works is lost.
//
// The order is what makes it safe: the new key is made, proven and put in the old
// one's place before the old one is touched; what was begun is in a journal, from
// which the next run goes on or goes back. The new secret is nowhere but in
// memory until it is in its place: a run that ends before leaves a key that
// nobody has, and the next run deletes it.
package rotate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/replace"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/scope"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/flight"
)

type options struct {
	streams *term.Streams
	region  string
	keepOld bool
	json    bool
	step    func(string) error // told before each step; an error ends the run there
}

// New returns the command.
func New(s *term.Streams) *cobra.Command { return newStepping(s, nil) }

func newStepping(s *term.Streams, step func(string) error) *cobra.Command {
	o := &options{streams: s, step: step}
	cmd := &cobra.Command{
		Use:   "rotate PROFILE|SOURCE",
		Short: "Replace the access key of an IAM user",
		Long: "Replace the access key of an IAM user: the one of a profile in the AWS credentials or config file, or that of a source\n" +
			"of stile sessions in the secret store. A new key is made, proven, and put in the old one's place; then the old one is\n" +
			"deactivated and deleted, with the new one. Killed at any moment, a key that works is in its place, and the next\n" +
			"stile rotate goes on, or goes back.\n\n" +
			"Where the user's policies ask for MFA, the MFA session of the source is used, and begun if there is none.\n\n" +
			"Everything else in the file stays as it is. The user needs iam:ListAccessKeys, CreateAccessKey, UpdateAccessKey,\n" +
			"DeleteAccessKey and GetAccessKeyLastUsed on itself; AWS lets a user have two keys, so there must be one alone.\n" +
			"Programs that have read the old key already have to be started anew; --keep-old leaves it, inactive, to be turned on again.\n\n" +
			"Exit status: 0 when the new key is in place and the old one gone, else 1.",
		Example: "  stile rotate work",
		Args:    term.Args(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.region, "region", "", "the Region whose STS is asked; default: $AWS_REGION, or us-east-1")
	f.BoolVar(&o.keepOld, "keep-old", false, "deactivate the old key, but do not delete it")
	f.BoolVar(&o.json, "json", false, "print what was done as JSON")
	return cmd
}

// lockTime is how long another rotation of the same key is waited for.
const lockTime = 5 * time.Second

func (o *options) run(ctx context.Context, name string) error {
	d, paths, err := route.OpenDesk(o.streams)
	if err != nil {
		return err
	}
	defer d.Close()
	keep, err := find(d, replace.Config{Locks: paths.Locks, Step: o.step}, o.streams, name)
	if err != nil {
		return fmt.Errorf("rotating the key of %s: %w", name, err)
	}
	sum := sha256.Sum256([]byte(keep.String()))
	id := hex.EncodeToString(sum[:8])
	waiting, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	lock, err := flight.Acquire(waiting, paths.Locks, "rotate-"+id)
	if err != nil {
		return fmt.Errorf("rotating the key of %s: %w", name, err)
	}
	defer lock.Release()
	dir, err := state.Dir(o.streams)
	if err != nil {
		return err
	}
	cfg, err := scope.LoadUnsigned(ctx, cmp.Or(o.region, o.streams.Getenv("AWS_REGION"), "us-east-1"))
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	r := &rotation{
		cfg: cfg, keep: keep, journal: filepath.Join(dir, "rotate", id+".json"), keepOld: o.keepOld, step: o.step,
		mfa:  o.session(d, name),
		note: func(format string, args ...any) { o.streams.Note("stile: "+format, args...) },
	}
	res, err := r.run(ctx)
	if err != nil {
		return fmt.Errorf("rotating the key of %s: %w", name, err)
	}
	d.Store().Clear() // what the old key opened
	o.forgetful(ctx)
	if o.json {
		return o.streams.JSON(res)
	}
	o.streams.Printf("%s: key %s of user %s in place of %s, which is %s\n", keep, res.New, res.User, res.Old, res.OldState)
	return nil
}

// session begins the MFA session of a source that has a device, nil for what has
// none. It is begun only when AWS refuses the key alone.
func (o *options) session(d *desk.Desk, name string) func(context.Context) (aws.Credentials, error) {
	source := d.Book().Source(name)
	if source == nil || source.User == nil || source.User.MFA == nil {
		return nil
	}
	return func(ctx context.Context) (aws.Credentials, error) { return d.Proven(ctx, source) }
}

// forgetful ends the brokers that may have the old key.
func (o *options) forgetful(ctx context.Context) {
	if err := route.EndBrokers(ctx, o.streams); err != nil {
		o.streams.Note("stile: the broker may still have the old key; stile broker stop ends it: %v", err)
	}
}

// result is what was done.
type result struct {
	User     string `json:"user"`
	Account  string `json:"account"`
	Old      string `json:"oldAccessKeyId"`
	New      string `json:"newAccessKeyId"`
	OldState string `json:"oldState"` // deleted or inactive
	Resumed  bool   `json:"resumed,omitempty"`
}
