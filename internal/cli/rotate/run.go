package rotate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/session/desk"
)

// journal is what was begun. No secret is in it.
type journal struct {
	Place  string    `json:"place"`
	User   string    `json:"user"` // ARN
	Begun  time.Time `json:"begun"`
	Before []string  `json:"before"` // the user's keys when it was begun
	Old    string    `json:"old"`
	New    string    `json:"new,omitempty"` // once it is known
}

// rotation is one run.
type rotation struct {
	cfg     aws.Config // without credentials
	keep    keeper
	journal string // its path
	keepOld bool
	step    func(string) error
	note    func(format string, args ...any)
	// mfa begins an MFA session; nil where there is no device.
	mfa func(context.Context) (aws.Credentials, error)

	user    arn.ARN
	session *aws.Credentials // the MFA session, once the key alone was refused
}

func (r *rotation) run(ctx context.Context) (*result, error) {
	key, err := r.keep.Load(ctx)
	if err != nil {
		return nil, err
	}
	who, err := r.identify(ctx, key)
	if err != nil {
		return nil, err
	}
	if who.ARN.Service != "iam" || who.ARN.Type() != "user" {
		return nil, fmt.Errorf("the key is of %s, which is no IAM user", who.ARN)
	}
	r.user = who.ARN
	j, err := r.begun()
	if err != nil {
		return nil, err
	}
	if j != nil {
		if finished, err := r.resume(ctx, key, j); err != nil || finished {
			return r.result(j, true), err
		}
	}
	j, err = r.create(ctx, key)
	if err != nil {
		return nil, err
	}
	return r.result(j, false), nil
}

func (r *rotation) result(j *journal, resumed bool) *result {
	state := "deleted"
	if r.keepOld {
		state = "inactive"
	}
	return &result{User: r.user.Name(), Account: string(r.user.Account), Old: j.Old, New: j.New, OldState: state, Resumed: resumed}
}

// begun reads the journal, nil when there is none.
func (r *rotation) begun() (*journal, error) {
	text, err := os.ReadFile(r.journal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal of the last rotation: %w", err)
	}
	var j journal
	if err := json.Unmarshal(text, &j); err != nil || j.Old == "" || len(j.Before) == 0 {
		return nil, fmt.Errorf("the journal %s is broken; look at the user's keys, then remove it", r.journal)
	}
	if j.User != r.user.String() {
		return nil, fmt.Errorf("a rotation of %s's key was begun here and not ended, and the key is of %s now; look at the keys of the former, then remove %s", j.User, r.user, r.journal)
	}
	return &j, nil
}

func (r *rotation) write(step string, j *journal) error {
	if err := r.at(step); err != nil {
		return err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return atomicfile.Write(r.journal, text)
}

func (r *rotation) at(step string) error {
	if r.step == nil {
		return nil
	}
	return r.step(step)
}

// resume goes on with a rotation that did not end, or goes back. finished tells
// that there is nothing left to do.
func (r *rotation) resume(ctx context.Context, key desk.AccessKey, j *journal) (finished bool, err error) {
	switch {
	case key.ID == j.Old:
		r.note("the last rotation did not come to its end; the old key is still in place")
		return false, r.goBack(ctx, key, j)
	case slices.Contains(j.Before, key.ID) || j.New != "" && key.ID != j.New:
		return false, fmt.Errorf("a rotation of %s was begun and not ended, and the key in place is now %s; look at the user's keys, then remove %s", j.Old, key.ID, r.journal)
	}
	r.note("the last rotation did not come to its end; the new key is in place already")
	j.New = key.ID
	return true, r.retire(ctx, key, j)
}

// goBack deletes the key that was made but never came to its place: nobody has it.
func (r *rotation) goBack(ctx context.Context, key desk.AccessKey, j *journal) error {
	now, err := r.list(ctx, key)
	if err != nil {
		return err
	}
	for _, k := range now {
		id := aws.ToString(k.AccessKeyId)
		if slices.Contains(j.Before, id) || j.New != "" && id != j.New {
			continue
		}
		var used *iam.GetAccessKeyLastUsedOutput
		err := r.iam(ctx, key, func(c *iam.Client) (err error) {
			used, err = c.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: k.AccessKeyId})
			return err
		})
		if err != nil {
			return fmt.Errorf("looking whether key %s was used: %w", id, err)
		}
		// Proving it is a use; AWS reports uses late. A key that was used and is
		// not known to be ours may be somebody else's.
		if j.New == "" && used.AccessKeyLastUsed != nil && used.AccessKeyLastUsed.LastUsedDate != nil {
			return fmt.Errorf("key %s was made after %s and used, perhaps by somebody else; delete it if it is nobody's, then remove %s", id, j.Begun.Format(time.RFC3339), r.journal)
		}
		if err := r.at("delete orphan"); err != nil {
			return err
		}
		if err := r.remove(ctx, key, id); err != nil {
			return err
		}
		r.note("key %s, which had been made and stored nowhere, is deleted", id)
	}
	return r.forget()
}

func (r *rotation) forget() error {
	if err := r.at("forget"); err != nil {
		return err
	}
	if err := os.Remove(r.journal); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the journal: %w", err)
	}
	return nil
}

// create makes a key, proves it, puts it in place and retires the old one.
func (r *rotation) create(ctx context.Context, old desk.AccessKey) (*journal, error) {
	now, err := r.list(ctx, old)
	if err != nil {
		return nil, err
	}
	j := &journal{Place: r.keep.String(), User: r.user.String(), Begun: time.Now().UTC(), Old: old.ID}
	for _, k := range now {
		j.Before = append(j.Before, aws.ToString(k.AccessKeyId))
	}
	if len(now) > 1 {
		return nil, r.tooMany(now, old.ID)
	}
	if err := r.write("journal", j); err != nil {
		return nil, err
	}
	if err := r.at("create"); err != nil {
		return nil, err
	}
	var out *iam.CreateAccessKeyOutput
	err = r.iam(ctx, old, func(c *iam.Client) (err error) {
		out, err = c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(r.user.Name())})
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			_ = r.goBack(ctx, old, j) // it may have been made all the same; else the next run does it
		}
		return nil, fmt.Errorf("making a key: %w", err)
	}
	key := desk.AccessKey{ID: *out.AccessKey.AccessKeyId, Secret: *out.AccessKey.SecretAccessKey}
	j.New = key.ID
	if err := r.write("note key", j); err != nil {
		return nil, err
	}
	if err := r.prove(ctx, key); err != nil {
		return nil, fmt.Errorf("%w; the old key is still in place, run the command again", err)
	}
	if err := r.at("store"); err != nil {
		return nil, err
	}
	if err := r.keep.Store(ctx, old, key); err != nil {
		_ = r.goBack(ctx, old, j) // else the next run does it
		return nil, err
	}
	return j, r.retire(ctx, key, j)
}

func (r *rotation) tooMany(now []types.AccessKeyMetadata, own string) error {
	var others []string
	for _, k := range now {
		if id := aws.ToString(k.AccessKeyId); id != own {
			others = append(others, fmt.Sprintf("%s (%s, of %s)", id, strings.ToLower(string(k.Status)), aws.ToTime(k.CreateDate).Format(time.DateOnly)))
		}
	}
	return fmt.Errorf("user %s has another key, %s, and AWS lets it have two; delete it first if nobody uses it", r.user.Name(), strings.Join(others, ", "))
}

// retire ends the old key, with the new one: which so proves once more that it
// can do what the old one could. What is in place is read again first.
func (r *rotation) retire(ctx context.Context, key desk.AccessKey, j *journal) error {
	if err := r.at("check"); err != nil {
		return err
	}
	stored, err := r.keep.Load(ctx)
	if err != nil {
		return err
	}
	if stored != key {
		return errors.New("the key in place is not the one that was put there; the old one stays")
	}
	if err := r.prove(ctx, stored); err != nil {
		return err
	}
	now, err := r.list(ctx, stored)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(now, func(k types.AccessKeyMetadata) bool { return aws.ToString(k.AccessKeyId) == j.Old }) {
		if err := r.at("deactivate"); err != nil {
			return err
		}
		if err := r.iam(ctx, stored, func(c *iam.Client) error {
			_, err := c.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: aws.String(r.user.Name()), AccessKeyId: aws.String(j.Old), Status: types.StatusTypeInactive})
			return err
		}); err != nil {
			return fmt.Errorf("deactivating key %s: %w; the new key is in place", j.Old, err)
		}
		if !r.keepOld {
			if err := r.at("delete"); err != nil {
				return err
			}
			if err := r.remove(ctx, stored, j.Old); err != nil {
				return fmt.Errorf("%w; the new key is in place", err)
			}
		}
	}
	return r.forget()
}

// remove deletes a key of the caller; one that is gone is no error.
func (r *rotation) remove(ctx context.Context, by desk.AccessKey, id string) error {
	err := r.iam(ctx, by, func(c *iam.Client) error {
		_, err := c.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: aws.String(r.user.Name()), AccessKeyId: aws.String(id)})
		return err
	})
	if _, gone := errors.AsType[*types.NoSuchEntityException](err); err != nil && !gone {
		return fmt.Errorf("deleting key %s: %w", id, err)
	}
	return nil
}

// iam calls IAM with a key. Where the user's policies refuse that because nobody
// has proven to be there, it calls once more with an MFA session, which then does
// for all that follows: it outlives the key that has begun it.
func (r *rotation) iam(ctx context.Context, key desk.AccessKey, call func(*iam.Client) error) error {
	if r.session != nil {
		return call(r.proven())
	}
	err := call(iam.NewFromConfig(r.with(key)))
	switch {
	case awserr.KindOf(err) != awserr.Denied:
		return err
	case r.mfa == nil:
		return fmt.Errorf("%w; if the user's policies ask for MFA, make it a source with its device: stile sessions add NAME --user --mfa-serial ARN", err)
	}
	c, mfaErr := r.mfa(ctx)
	if mfaErr != nil {
		return fmt.Errorf("%w; nor is there an MFA session: %w", err, mfaErr)
	}
	r.session = &c
	return call(r.proven())
}

func (r *rotation) proven() *iam.Client {
	cfg := r.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(r.session.AccessKeyID, r.session.SecretAccessKey, r.session.SessionToken)
	return iam.NewFromConfig(cfg)
}

func (r *rotation) with(key desk.AccessKey) aws.Config {
	cfg := r.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.ID, key.Secret, "")
	return cfg
}

func (r *rotation) identify(ctx context.Context, key desk.AccessKey) (creds.Identity, error) {
	who, err := creds.Identify(ctx, r.with(key))
	if err != nil {
		return who, fmt.Errorf("asking whose key %s is: %w", key.ID, err)
	}
	return who, nil
}

func (r *rotation) list(ctx context.Context, by desk.AccessKey) ([]types.AccessKeyMetadata, error) {
	var out *iam.ListAccessKeysOutput
	err := r.patiently(ctx, func() error {
		return r.iam(ctx, by, func(c *iam.Client) (err error) {
			out, err = c.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: aws.String(r.user.Name())})
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing the keys of user %s: %w", r.user.Name(), err)
	}
	slices.SortFunc(out.AccessKeyMetadata, func(a, b types.AccessKeyMetadata) int {
		return cmp.Compare(aws.ToString(a.AccessKeyId), aws.ToString(b.AccessKeyId))
	})
	return out.AccessKeyMetadata, nil
}

// prove makes sure that AWS takes the key for the user's.
func (r *rotation) prove(ctx context.Context, key desk.AccessKey) error {
	if err := r.at("prove"); err != nil {
		return err
	}
	return r.patiently(ctx, func() error {
		who, err := r.identify(ctx, key)
		if err == nil && who.ARN != r.user {
			return fmt.Errorf("key %s is of %s, not of %s", key.ID, who.ARN, r.user)
		}
		return err
	})
}

// The times between attempts with a key that AWS does not know yet: IAM is
// eventually consistent (IAM user guide, "Changes that I make are not always
// immediately visible").
const (
	firstPause  = 250 * time.Millisecond
	longPause   = 4 * time.Second
	maxPatience = time.Minute
)

// patiently repeats what AWS refuses because it does not know the key.
func (r *rotation) patiently(ctx context.Context, do func() error) error {
	until := time.Now().Add(maxPatience)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := do()
		if err == nil || !creds.Refused(err) || time.Now().After(until) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}
