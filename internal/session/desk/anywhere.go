package desk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/awserr"
	"github.com/stile-aws/stile/internal/program"
	"github.com/stile-aws/stile/internal/session"
)

// signingHelper is AWS's program for IAM Roles Anywhere, and helperPage where AWS
// has it.
const (
	signingHelper = "aws_signing_helper"
	helperPage    = "https://docs.aws.amazon.com/rolesanywhere/latest/userguide/credential-helper.html"
)

// anywhere has AWS's helper exchange a certificate for the role's credentials.
// What is kept is asked for first, by all processes: CreateSession takes ten
// calls a second of an account (IAM Roles Anywhere user guide, quotas).
func anywhere(source *session.Source) *beginning {
	r, name := *source.RolesAnywhere, source.Name
	words := helperWords(&r)
	key := "Roles Anywhere " + strings.Join(append([]string{cmp.Or(r.Helper, signingHelper)}, words...), "\x00")
	p := creds.From(key, aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		c, err := runHelper(ctx, &r, name, words)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("entering %s with the certificate of %s: %w", r.Role, name, err)
		}
		return c, nil
	}))
	return &beginning{provider: named{p, "credentials of " + r.Role + " by Roles Anywhere"}}
}

// helperWords are the helper's arguments.
func helperWords(r *session.RolesAnywhere) []string {
	words := []string{"credential-process", "--trust-anchor-arn", r.TrustAnchor, "--profile-arn", r.Profile, "--role-arn", r.Role}
	seconds := ""
	if r.Duration > 0 {
		seconds = strconv.Itoa(int(time.Duration(r.Duration) / time.Second))
	}
	for _, f := range []struct{ flag, value string }{
		{"--certificate", r.Certificate}, {"--private-key", r.PrivateKey}, {"--intermediates", r.Intermediates}, {"--cert-selector", r.Selector},
		{"--pkcs11-lib", r.PKCS11Library}, {"--region", r.Region}, {"--endpoint", r.Endpoint},
		{"--role-session-name", r.SessionName}, {"--session-duration", seconds},
	} {
		if f.value != "" {
			words = append(words, f.flag, f.value)
		}
	}
	for _, f := range []struct {
		flag string
		set  bool
	}{{"--reuse-pin", r.ReusePIN}, {"--no-tpm-key-password", r.NoTPMPassword}, {"--with-proxy", r.Proxy}} {
		if f.set {
			words = append(words, f.flag)
		}
	}
	return words
}

// CheckFiles says what is wrong with the files of a source that a certificate
// opens; nil for every other source.
func CheckFiles(source *session.Source) error {
	r := source.RolesAnywhere
	if r == nil {
		return nil
	}
	for _, f := range []struct {
		what, path string
		secret     bool
	}{{"certificate", r.Certificate, false}, {"intermediates", r.Intermediates, false}, {"private key", r.PrivateKey, true}} {
		if !session.KeyFile(f.path) {
			continue
		}
		info, err := os.Stat(f.path)
		switch {
		case err != nil:
			return fmt.Errorf("looking at the %s: %w", f.what, err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("looking at the %s: %s is no file", f.what, f.path)
		case f.secret && info.Mode().Perm()&0o007 != 0:
			return fmt.Errorf("the private key %s can be read or changed by everybody on this computer (mode %04o); chmod 600 it", f.path, info.Mode().Perm())
		}
	}
	_, err := findHelper(r)
	return err
}

// findHelper is where the helper is.
func findHelper(r *session.RolesAnywhere) (string, error) {
	name := cmp.Or(r.Helper, signingHelper)
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("finding AWS's helper for Roles Anywhere: %w; AWS has it at %s; put it on PATH, or say where it is: stile sessions edit NAME --helper PATH", err, helperPage)
	}
	return path, nil
}

// maxSaid bounds what is shown of what a helper says on standard error.
const maxSaid = 2 << 10

func runHelper(ctx context.Context, r *session.RolesAnywhere, source string, words []string) (aws.Credentials, error) {
	if err := CheckFiles(&session.Source{Name: source, RolesAnywhere: r}); err != nil {
		return aws.Credentials{}, err
	}
	helper, err := findHelper(r)
	if err != nil {
		return aws.Credentials{}, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, helper, words...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // for what it left behind with its output open
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return aws.Credentials{}, fmt.Errorf("running %s: %w%s", helper, err, said(stderr.String()))
	}
	c, err := program.Parse(stdout.Bytes())
	if err == nil && (c.SessionToken == "" || !c.CanExpire) {
		err = errors.New("it has no credentials with a session token and an expiration")
	}
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("reading the helper's answer: %w", err)
	}
	c.Source = "stile"
	return c, nil
}

// said is what a helper said, for an error.
func said(text string) string {
	if text = awserr.Redact(strings.TrimSpace(text)); text == "" {
		return ""
	}
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + " …"
	}
	return "; it says:\n" + text
}
