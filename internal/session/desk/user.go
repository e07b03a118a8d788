package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// AccessKey is an IAM user's access key, as it is in the secret store.
type AccessKey struct {
	ID     string `json:"accessKeyId"`
	Secret string `json:"secretAccessKey"`
}

// Format keeps the secret out of every verb.
func (k AccessKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "access key %s", k.ID) }

// KeySecret and SeedSecret name a user source's secrets in the store.
func KeySecret(source string) string { return "user/" + source }

// SeedSecret is the name of the MFA device's seed.
func SeedSecret(source string) string { return "totp/" + source }

// SetKey puts a user's access key into the secret store.
func (d *Desk) SetKey(ctx context.Context, source string, k AccessKey) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	if err := d.setSecret(ctx, KeySecret(source), text); err != nil {
		return err
	}
	d.KnowKey(source, k.ID)
	return nil
}

// SetSeed puts the seed of a user's MFA device into the secret store.
func (d *Desk) SetSeed(ctx context.Context, source, seed string) error {
	if _, err := mfa.TOTP(seed, time.Now()); err != nil {
		return err
	}
	return d.setSecret(ctx, SeedSecret(source), []byte(seed))
}

func (d *Desk) setSecret(ctx context.Context, name string, value []byte) error {
	s, err := d.Secrets()
	if err != nil {
		return err
	}
	return s.Set(ctx, name, value)
}

func (d *Desk) secret(ctx context.Context, name, source string) ([]byte, error) {
	s, err := d.Secrets()
	if err != nil {
		return nil, err
	}
	value, err := s.Get(ctx, name)
	if errors.Is(err, secretstore.ErrNotFound) {
		return nil, fmt.Errorf("the secret store has nothing of %s: stile sessions edit %s puts it there", source, source)
	}
	if errors.Is(err, secretstore.ErrDamaged) {
		return nil, fmt.Errorf("%w; stile sessions edit %s puts it there anew", err, source)
	}
	return value, err
}

// mfaTries is how often a person is asked for a code that does.
const mfaTries = 3

// asking is the context's mark that the person may be asked now.
type asking struct{}

// NeedLoginError means that the person has to be asked for a code, or to sign in.
type NeedLoginError struct {
	Source string
	// Session is whose role takes a code of its own, "" when the source's MFA session
	// or sign-in is what has ended.
	Session string
}

// Error says what to run.
func (e *NeedLoginError) Error() string {
	if e.Session != "" {
		return fmt.Sprintf("session %s is for longer than an hour, which takes an MFA code of its own: run stile whoami %s at a terminal", e.Session, e.Session)
	}
	return fmt.Sprintf("the MFA session, or the sign-in, of %s has ended: run stile login %s", e.Source, e.Source)
}

// Unshared says that others may reach the person: see flight.Unshared.
func (e *NeedLoginError) Unshared() bool { return true }

// user is a user's credentials: the session that a code opened where there is a
// device, the access key itself where there is none.
func (d *Desk) user(ctx context.Context, source *session.Source, region string) (creds.Provider, func(context.Context) error, error) {
	if source.User.MFA == nil {
		return d.key(source), nil, nil
	}
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, nil, err
	}
	u, err := d.proof(ctx, source)
	if err != nil {
		return nil, nil, err
	}
	p := named{mfa.Session(cfg, u), "the MFA session of " + source.Name}
	ask := func(ctx context.Context) error {
		_, err := d.store.Wrap(p).Retrieve(context.WithValue(ctx, asking{}, true))
		return err
	}
	return p, ask, nil
}

// proof is how a user with a device proves to be there.
func (d *Desk) proof(ctx context.Context, source *session.Source) (mfa.User, error) {
	device := source.User.MFA
	mark := d.markOf(source)
	if mark == "" {
		key, err := d.accessKey(ctx, source)
		if err != nil {
			return mfa.User{}, err
		}
		mark = mfa.MarkOf(key.AccessKeyID)
	}
	u := mfa.User{
		Name: source.Name, Serial: device.Serial, Mark: mark, Tries: mfaTries,
		Keys: func(ctx context.Context) (aws.Credentials, error) { return d.accessKey(ctx, source) },
	}
	switch device.Code {
	case session.Program:
		u.Code = func(ctx context.Context, refused error) (string, error) {
			return d.byProgram(ctx, device.Program, "source "+source.Name, refused)
		}
	case session.TOTP:
		u.Code = func(ctx context.Context, refused error) (string, error) { return d.totp(ctx, source.Name, refused) }
	default:
		u.Code = func(ctx context.Context, refused error) (string, error) {
			return d.prompt(ctx, source.Name, device.Serial, refused)
		}
	}
	return u, nil
}

// accessKey is a user's, from the secret store.
func (d *Desk) accessKey(ctx context.Context, source *session.Source) (aws.Credentials, error) {
	text, err := d.secret(ctx, KeySecret(source.Name), source.Name)
	if err != nil {
		return aws.Credentials{}, err
	}
	var k AccessKey
	if json.Unmarshal(text, &k) != nil || k.ID == "" || k.Secret == "" {
		return aws.Credentials{}, fmt.Errorf("the secret store has no access key of %s: stile sessions edit %s puts it there", source.Name, source.Name)
	}
	d.KnowKey(source.Name, k.ID)
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, AccountID: string(source.User.Account), Source: "stile"}, nil
}

// markPath is where the mark of a user's access key is, so that a session that is
// kept is found without opening the secret store. One that was not yet renewed when
// the key was rotated does no harm: the device has one user, whose session it is.
func (d *Desk) markPath(source string) string {
	return filepath.Join(d.cfg.Paths.Cache, "keys", source)
}

func (d *Desk) markOf(source *session.Source) string {
	text, err := os.ReadFile(d.markPath(source.Name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// KnowKey has a source's MFA sessions found by its access key from now on, when
// somebody else than the Desk put that into the secret store.
func (d *Desk) KnowKey(source, accessKeyID string) {
	mark := mfa.MarkOf(accessKeyID)
	if d.markOf(&session.Source{Name: source}) != mark {
		_ = atomicfile.Write(d.markPath(source), []byte(mark)) // it can be made again
	}
}

// byProgram is the code that a program prints; when AWS refuses one, because it
// was used before, that of the next moment.
func (d *Desk) byProgram(ctx context.Context, program, of string, refused error) (string, error) {
	if refused != nil {
		if err := d.nextCode(ctx); err != nil {
			return "", err
		}
	}
	code, err := output(ctx, program, of)
	switch {
	case err != nil:
		return "", fmt.Errorf("running the MFA program: %w", err)
	case !mfa.Shaped(code): // nobody learns by another try
		return "", fmt.Errorf("running the MFA program: it printed no code: want six digits and nothing else, and got %d characters", len(code))
	}
	return code, nil
}

// nextCode waits for the next code's time, which who waits for it is told.
func (d *Desk) nextCode(ctx context.Context) error {
	if note := d.cfg.Person.Note; note != nil && ctx.Value(asking{}) != nil {
		note("AWS does not take this MFA code, as each is good once; waiting for the next, for half a minute at most")
	}
	return mfa.Next(ctx)
}

// totp makes the code of the moment; when AWS refuses one, because it was used
// before, that of the next.
func (d *Desk) totp(ctx context.Context, source string, refused error) (string, error) {
	seed, err := d.secret(ctx, SeedSecret(source), source)
	if err != nil {
		return "", err
	}
	if refused != nil {
		if err := d.nextCode(ctx); err != nil {
			return "", err
		}
	}
	return mfa.TOTP(string(seed), time.Now())
}

func (d *Desk) prompt(ctx context.Context, source, serial string, refused error) (string, error) {
	if ctx.Value(asking{}) == nil || d.cfg.Person.Ask == nil {
		return "", &NeedLoginError{Source: source}
	}
	text := fmt.Sprintf("MFA code of %s (%s): ", source, filepath.Base(serial))
	switch {
	case errors.Is(refused, mfa.ErrNoCode):
		text = "A code has six digits. " + text
	case refused != nil:
		text = "AWS does not take this code; each is good once, so wait for the next. " + text
	}
	code, err := d.cfg.Person.Ask(ctx, text)
	return strings.ReplaceAll(code, " ", ""), err
}

// Proven is the MFA session of a user's source: the one that is kept, or one for
// which the person is asked.
func (d *Desk) Proven(ctx context.Context, source *session.Source) (aws.Credentials, error) {
	p, ask, err := d.user(ctx, source, "us-east-1")
	if err != nil {
		return aws.Credentials{}, err
	}
	if err := d.prepare(ctx, p.Key(), &beginning{provider: p, ask: ask}); err != nil {
		return aws.Credentials{}, err
	}
	return d.store.Wrap(p).Retrieve(ctx)
}

// beginMFA begins the MFA session, unless there is one.
func (d *Desk) beginMFA(ctx context.Context, source *session.Source, force bool) (time.Time, error) {
	p, ask, err := d.user(ctx, source, "us-east-1")
	if err != nil {
		return time.Time{}, err
	}
	if force {
		d.store.Forget(p.Key(), "")
	}
	if err := ask(ctx); err != nil {
		return time.Time{}, err
	}
	if !d.store.Shared() {
		return time.Time{}, errors.New("the MFA session cannot be kept for other commands: STILE_KEEP is off, or neither $XDG_RUNTIME_DIR nor /dev/shm has a directory in memory for you alone")
	}
	e, ok := d.store.Get(p.Key())
	if !ok {
		return time.Time{}, fmt.Errorf("the MFA session cannot be kept for other commands: is there space left in %s?", d.cfg.Paths.Runtime)
	}
	return e.Credentials.Expires, nil
}
