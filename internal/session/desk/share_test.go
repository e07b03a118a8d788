package desk_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// also adds a source of dana's device, by an access key of hers.
func (p *place) also(t *testing.T, d *desk.Desk, name string, key desk.AccessKey) {
	t.Helper()
	dana := p.book.Source("dana")
	p.book.Sources = append(p.book.Sources, session.Source{Name: name, User: dana.User})
	if err := d.SetKey(t.Context(), name, key); err != nil {
		t.Fatal(err)
	}
}

// danasKey is the access key that is in the secret store.
func danasKey(t *testing.T, d *desk.Desk) (k desk.AccessKey) {
	t.Helper()
	store, err := d.Secrets()
	if err != nil {
		t.Fatal(err)
	}
	text, err := store.Get(t.Context(), desk.KeySecret("dana"))
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSourcesOfOneKeyAndDeviceShareASession(t *testing.T) {
	p := newPlace(t)
	asked := 0
	code := ""
	p.person.Ask = func(context.Context, string) (string, error) {
		asked++
		return code, nil
	}
	d := p.desk(t)
	_, code = p.dana(t, d, session.Prompt)
	p.also(t, d, "dana-at-work", danasKey(t, d))
	for _, source := range []string{"dana", "dana-at-work"} {
		who, err := p.whoami(t, p.desk(t), source)
		want(t, who, err, "arn:aws:iam::111111111111:user/dana")
		if ready, until := d.Ready(t.Context(), p.book.Source(source)); !ready || until.IsZero() {
			t.Errorf("%s is not ready", source)
		}
	}
	if asked != 1 {
		t.Errorf("%d questions, want 1 for all that share the device", asked)
	}
}

// A code is good once, so that whoever comes second with the same device and
// another key is asked for the next one, and does not fail.
func TestCodesOfADeviceThatWereUsedAreAskedForAgain(t *testing.T) {
	p := newPlace(t)
	var prompts []string
	var codes []string
	p.person.Ask = func(_ context.Context, prompt string) (string, error) {
		prompts = append(prompts, prompt)
		code := codes[0]
		codes = codes[1:]
		return code, nil
	}
	d := p.desk(t)
	seed, code := p.dana(t, d, session.Prompt)
	next, err := mfa.TOTP(seed, p.server.World().Now().Add(mfa.Step))
	if err != nil {
		t.Fatal(err)
	}
	codes = []string{code, code, next}
	second, err := p.iam(tooling).CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("dana")})
	if err != nil {
		t.Fatal(err)
	}
	p.also(t, d, "dana-again", desk.AccessKey{ID: *second.AccessKey.AccessKeyId, Secret: *second.AccessKey.SecretAccessKey})
	for _, source := range []string{"dana", "dana-again"} {
		who, err := p.whoami(t, p.desk(t), source)
		want(t, who, err, "arn:aws:iam::111111111111:user/dana")
	}
	if len(prompts) != 3 || !strings.Contains(prompts[2], "each is good once, so wait for the next") {
		t.Errorf("prompts %q, want three", prompts)
	}
}

// What tells sessions apart does not tell the key, and is made again when it is
// lost.
func TestKeysAreKnownByMarks(t *testing.T) {
	p := newPlace(t)
	code := ""
	p.person.Ask = func(context.Context, string) (string, error) { return code, nil }
	d := p.desk(t)
	_, code = p.dana(t, d, session.Prompt)
	if _, err := p.whoami(t, d, "dana"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.paths.Cache, "keys", "dana")
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "AKIA") || len(text) != 32 {
		t.Errorf("the mark is %q, %v", text, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if ready, _ := p.desk(t).Ready(t.Context(), p.book.Source("dana")); ready {
		t.Error("whoever may not open the secret store knows of the session")
	}
	who, err := p.whoami(t, p.desk(t), "dana")
	want(t, who, err, "arn:aws:iam::111111111111:user/dana")
}
