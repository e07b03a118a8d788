package rotate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/rotate"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/session/desk"
	"github.com/stile-aws/stile/internal/session/mfa"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		// rotate-killed rotates and dies before step KILL, and writes the steps to STEPS.
		"rotate-killed": func() {
			steps, err := os.OpenFile(os.Getenv("STEPS"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				os.Exit(3)
			}
			n := 0
			cmd := rotate.NewStepping(cli.System(), func(step string) error {
				if n++; fmt.Sprint(n) == os.Getenv("KILL") {
					_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {}
				}
				_, err := fmt.Fprintln(steps, step)
				return err
			})
			cmd.SetArgs(os.Args[1:])
			os.Exit(term.Code(cli.System(), cmd.ExecuteContext(context.Background())))
		},
		"whoami": routetest.Whoami,
	})
}

const (
	user   = "arn:aws:iam::111111111111:user/people/jane"
	policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:ListAccessKeys","iam:CreateAccessKey","iam:UpdateAccessKey","iam:DeleteAccessKey","iam:GetAccessKeyLastUsed"],"Resource":"arn:aws:iam::*:user/people/${aws:username}"}]}`
	before = "# keys\n[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n\n[jane]   # me\r\nregion=eu-west-1\n"
	after  = "\noutput = json\n[last]\nkey=1"
)

// world has the user jane with one key, in a profile.
type world struct {
	*routetest.World
	iam  *iam.Client
	file string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: routetest.New(t)}
	w.iam = w.IAM(routetest.Tooling)
	w.file = filepath.Join(w.Dir, "aws-credentials")
	ctx := t.Context()
	if _, err := w.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("jane"), Path: aws.String("/people/")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: aws.String("jane"), PolicyName: aws.String("own"), PolicyDocument: aws.String(policy)}); err != nil {
		t.Fatal(err)
	}
	w.key(t)
	w.Env = append(w.Env, "AWS_SHARED_CREDENTIALS_FILE="+w.file)
	return w
}

// key gives jane a key, all others are gone, and writes the profile.
func (w *world) key(t *testing.T) {
	t.Helper()
	for _, k := range w.keys(t) {
		if _, err := w.iam.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: aws.String("jane"), AccessKeyId: k.AccessKeyId}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := w.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("jane")})
	if err != nil {
		t.Fatal(err)
	}
	text := before + "aws_access_key_id = " + *out.AccessKey.AccessKeyId + "\naws_secret_access_key=" + *out.AccessKey.SecretAccessKey + "  " + after
	if err := os.WriteFile(w.file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func (w *world) keys(t *testing.T) []types.AccessKeyMetadata {
	t.Helper()
	out, err := w.iam.ListAccessKeys(t.Context(), &iam.ListAccessKeysInput{UserName: aws.String("jane")})
	if err != nil {
		t.Fatal(err)
	}
	return out.AccessKeyMetadata
}

func (w *world) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// works fails unless the profile's key works.
func (w *world) works(t *testing.T, when string) {
	t.Helper()
	cmd := w.Command(t, "whoami")
	cmd.Env = append(slices.Clone(w.Env), "AWS_PROFILE=jane", "AWS_REGION=us-east-1")
	if r := routetest.Run(t, cmd); r.Code != 0 || strings.TrimSpace(r.Stdout) != user {
		t.Errorf("%s: the key in place does not work: %s%s", when, r.Stdout, r.Stderr)
	}
}

// settled fails unless there is one key, active and in place, and all else of
// the file as it was.
func (w *world) settled(t *testing.T, when string) {
	t.Helper()
	w.works(t, when)
	keys, text := w.keys(t), w.text(t)
	if len(keys) != 1 || keys[0].Status != types.StatusTypeActive || !strings.Contains(text, "aws_access_key_id = "+*keys[0].AccessKeyId+"\n") {
		t.Errorf("%s: keys %v, want one that is in place:\n%s", when, len(keys), text)
	}
	if !strings.HasPrefix(text, before) || !strings.HasSuffix(text, "  "+after) {
		t.Errorf("%s: the rest of the file changed:\n%q", when, text)
	}
	if left, _ := filepath.Glob(filepath.Join(w.Dir, "state", "stile", "rotate", "*")); len(left) > 0 {
		t.Errorf("%s: a journal is left: %v", when, left)
	}
}

func TestRotateAProfile(t *testing.T) {
	w := newWorld(t)
	old := *w.keys(t)[0].AccessKeyId
	r := w.Stile(t, nil, "rotate", "jane")
	if r.Code != 0 || !strings.Contains(r.Stdout, "in place of "+old+", which is deleted") {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.settled(t, "rotated")
	info, err := os.Stat(w.file)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if r := w.Stile(t, nil, "rotate", "--json", "--keep-old", "jane"); r.Code != 0 || !strings.Contains(r.Stdout, `"oldState": "inactive"`) {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.works(t, "rotated again")
	if keys := w.keys(t); len(keys) != 2 || !slices.ContainsFunc(keys, func(k types.AccessKeyMetadata) bool { return k.Status == types.StatusTypeInactive }) {
		t.Errorf("keys %v, want the old one inactive", keys)
	}
	r = w.Stile(t, nil, "rotate", "jane")
	r.Refused(t, "has another key")
}

// Killed before each step, a key that works is in its place, and the next run
// settles all.
func TestKilledAtEachStep(t *testing.T) {
	w := newWorld(t)
	steps := filepath.Join(w.Dir, "steps")
	whole := ""
	for n := 1; ; n++ {
		w.key(t)
		_ = os.Remove(steps)
		cmd := w.Command(t, "rotate-killed", "jane")
		cmd.Env = append(slices.Clone(w.Env), "STEPS="+steps, fmt.Sprintf("KILL=%d", n))
		r := routetest.Run(t, cmd)
		done, _ := os.ReadFile(steps)
		when := fmt.Sprintf("killed after %q", strings.Fields(strings.ReplaceAll(string(done), " ", "-")))
		if r.Code == 0 {
			whole = string(done)
			w.settled(t, "not killed")
			break
		}
		if r.Code != -1 {
			t.Fatalf("%s: exit %d, %s", when, r.Code, r.Stderr)
		}
		w.works(t, when)
		// Killed once more at the next run's second step.
		cmd = w.Command(t, "rotate-killed", "jane")
		cmd.Env = append(slices.Clone(w.Env), "STEPS="+steps, "KILL=2")
		routetest.Run(t, cmd)
		w.works(t, when+" twice")
		if r := w.Stile(t, nil, "rotate", "jane"); r.Code != 0 {
			t.Errorf("%s: the next run: %s", when, r.Stderr)
		}
		w.settled(t, when)
		if n > 40 {
			t.Fatal("it takes no end")
		}
	}
	for _, step := range []string{"journal", "create", "note key", "prove", "store", "rename", "check", "deactivate", "delete", "forget"} {
		if !strings.Contains(whole, step+"\n") {
			t.Errorf("the steps are %q, want %s among them", whole, step)
		}
	}
}

// rotate rotates jane's key in this process, and tells step of every step before it
// is done.
func (w *world) rotate(t *testing.T, step func(string) error) error {
	t.Helper()
	for _, v := range w.Env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	s := cli.System()
	s.Out, s.Err = io.Discard, io.Discard
	cmd := rotate.NewStepping(s, step)
	cmd.SetArgs([]string{"jane"})
	return cmd.ExecuteContext(t.Context())
}

// An editor that had the file open puts the old key back, after the new one was put
// in its place: to end the old one would be to lose the last one that anybody has.
func TestTheOldKeyStaysWhereTheNewOneIsNotInPlace(t *testing.T) {
	w := newWorld(t)
	was := w.text(t)
	err := w.rotate(t, func(step string) error {
		if step == "check" {
			return os.WriteFile(w.file, []byte(was), 0o600)
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "the key in place is not the one that was put there; the old one stays") {
		t.Errorf("rotating: %v, want that another key is in place", err)
	}
	if w.text(t) != was {
		t.Error("the file changed")
	}
	w.works(t, "put back")
	if r := w.Stile(t, nil, "rotate", "jane"); r.Code != 0 {
		t.Errorf("the next run: %s", r.Stderr)
	}
	w.settled(t, "put back")
}

// A run that ended before it knew a key leaves open whose a new key is.
func TestKeysThatMayBeSomebodyElsesAreNotDeleted(t *testing.T) {
	w := newWorld(t)
	was := w.text(t)
	died := errors.New("died")
	if err := w.rotate(t, func(step string) error {
		if step == "create" {
			return died
		}
		return nil
	}); !errors.Is(err, died) {
		t.Fatalf("rotating: %v, want %v", err, died)
	}
	out, err := w.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("jane")})
	if err != nil {
		t.Fatal(err)
	}
	theirs := *out.AccessKey.AccessKeyId
	use := w.Command(t, "whoami")
	use.Env = append(slices.Clone(w.Env), "AWS_ACCESS_KEY_ID="+theirs, "AWS_SECRET_ACCESS_KEY="+*out.AccessKey.SecretAccessKey, "AWS_REGION=us-east-1")
	routetest.Run(t, use).Want(t, user)
	for range 2 { // nor by the run after the next
		w.Stile(t, nil, "rotate", "jane").Refused(t, "key "+theirs+" was made after ")
		if !slices.ContainsFunc(w.keys(t), func(k types.AccessKeyMetadata) bool {
			return *k.AccessKeyId == theirs && k.Status == types.StatusTypeActive
		}) {
			t.Fatal("the other's key is gone")
		}
	}
	if w.text(t) != was {
		t.Error("the file changed")
	}
	w.works(t, "refused")
	// The way out that it says.
	if _, err := w.iam.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: aws.String("jane"), AccessKeyId: &theirs}); err != nil {
		t.Fatal(err)
	}
	if r := w.Stile(t, nil, "rotate", "jane"); r.Code != 0 {
		t.Errorf("with that key gone: %s", r.Stderr)
	}
	w.settled(t, "with that key gone")
}

// A journal tells of keys that people may have dealt with since: what is not as it
// says is theirs.
func TestWhatPeopleDidSinceTheLastRunIsLeftToThem(t *testing.T) {
	for _, c := range []struct {
		name    string
		put     string // whose key they put in place, "" for leaving the old one
		refused string
	}{
		{"another key of the user is there", "", "has another key"},
		{"another key of the user is in place", "jane", "and the key in place is now "},
		{"another user's key is in place", "bob", "and the key is of arn:aws:iam::111111111111:user/bob now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			was, old := w.text(t), *w.keys(t)[0].AccessKeyId
			died := errors.New("died")
			if err := w.rotate(t, func(step string) error {
				if step == "prove" {
					return died
				}
				return nil
			}); !errors.Is(err, died) {
				t.Fatalf("rotating: %v, want %v", err, died)
			}
			for _, k := range w.keys(t) {
				if *k.AccessKeyId == old {
					continue
				}
				if _, err := w.iam.DeleteAccessKey(t.Context(), &iam.DeleteAccessKeyInput{UserName: aws.String("jane"), AccessKeyId: k.AccessKeyId}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.iam.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("bob")}); err != nil {
				t.Fatal(err)
			}
			whose := "jane"
			if c.put != "" {
				whose = c.put
			}
			out, err := w.iam.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &whose})
			if err != nil {
				t.Fatal(err)
			}
			before := w.keys(t)
			if c.put != "" {
				text, _, err := rotate.Replace([]byte(was), "jane", desk.AccessKey{ID: *out.AccessKey.AccessKeyId, Secret: *out.AccessKey.SecretAccessKey})
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(w.file, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			w.Stile(t, nil, "rotate", "jane").Refused(t, c.refused)
			if diff := cmp.Diff(before, w.keys(t), cmpopts.IgnoreUnexported(types.AccessKeyMetadata{})); diff != "" {
				t.Errorf("jane's keys changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Whose the new key is, AWS says; a user that was renamed meanwhile is another.
func TestANewKeyOfSomebodyElseIsNotPutInPlace(t *testing.T) {
	w := newWorld(t)
	was := w.text(t)
	err := w.rotate(t, func(step string) error {
		if step != "prove" {
			return nil
		}
		_, err := w.iam.UpdateUser(t.Context(), &iam.UpdateUserInput{UserName: aws.String("jane"), NewUserName: aws.String("janet")})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "is of arn:aws:iam::111111111111:user/people/janet, not of "+user) {
		t.Errorf("rotating: %v, want that the key is another's", err)
	}
	if w.text(t) != was {
		t.Error("the file changed")
	}
}

// device gives jane an MFA device, without whose code she may do nothing in IAM; it
// gives the device and its seed.
func (w *world) device(t *testing.T) (serial, seed string) {
	t.Helper()
	out, err := w.iam.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("jane")})
	if err != nil {
		t.Fatal(err)
	}
	serial, seed = *out.VirtualMFADevice.SerialNumber, string(out.VirtualMFADevice.Base32StringSeed)
	var codes [2]string
	for i := range codes {
		if codes[i], err = mfa.TOTP(seed, w.Server.World().Now().Add(time.Duration(i-2)*mfa.Step)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.iam.EnableMFADevice(t.Context(), &iam.EnableMFADeviceInput{UserName: aws.String("jane"), SerialNumber: &serial, AuthenticationCode1: &codes[0], AuthenticationCode2: &codes[1]}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.iam.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("jane"), PolicyName: aws.String("mfa"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:*","Resource":"*","Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}]}`)}); err != nil {
		t.Fatal(err)
	}
	return serial, seed
}

func TestRotateWhereMFAIsDemanded(t *testing.T) {
	w := newWorld(t)
	w.Env = append(w.Env, "STILE_SECRETS=keyfile")
	serial, seed := w.device(t)
	key := strings.Fields(strings.ReplaceAll(w.text(t)[len(before):], "=", " "))
	add := w.Command(t, "stile", "sessions", "add", "me", "--user", "--key-stdin", "--mfa-serial", serial, "--mfa", "totp")
	add.Stdin = strings.NewReader(key[1] + "\n" + key[3] + "\n" + seed + "\n")
	if r := routetest.Run(t, add); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if r := w.Stile(t, nil, "rotate", "jane"); r.Code != 1 || !strings.Contains(r.Stderr, "AccessDenied") || !strings.Contains(r.Stderr, "--mfa-serial") {
		t.Errorf("by the key alone: exit %d, %s", r.Code, r.Stderr)
	}
	r := w.Stile(t, nil, "rotate", "me")
	if r.Code != 0 || !strings.Contains(r.Stdout, "source me: key ") {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if keys := w.keys(t); len(keys) != 1 || *keys[0].AccessKeyId == key[1] {
		t.Errorf("the keys are %v, want a new one alone", keys)
	}
	if files, _ := filepath.Glob(filepath.Join(w.Dir, "state/stile/rotate/*.json")); len(files) != 0 {
		t.Errorf("a journal is left: %v", files)
	}
}

func TestRotateASource(t *testing.T) {
	w := newWorld(t)
	env := []string{"STILE_BROKER=on", "STILE_SECRETS=keyfile", "XDG_CONFIG_HOME=" + filepath.Join(w.Dir, "config-home"), "XDG_DATA_HOME=" + filepath.Join(w.Dir, "data")}
	w.Env = append(w.Env, env...)
	key := strings.Fields(strings.ReplaceAll(w.text(t)[len(before):], "=", " "))
	t.Cleanup(func() {
		cmd := exec.Command("stile", "broker", "stop")
		cmd.Env = w.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("stopping the broker: %v: %s", err, out)
		}
	})
	add := w.Command(t, "stile", "sessions", "add", "me", "--user", "--key-stdin")
	add.Stdin = strings.NewReader(key[1] + "\n" + key[3] + "\n")
	if r := routetest.Run(t, add); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	if r := w.Stile(t, nil, "broker", "status"); r.Code != 0 || !strings.Contains(r.Stdout+r.Stderr, "no broker runs") {
		t.Errorf("before: %s%s", r.Stdout, r.Stderr)
	}
	if r := w.Stile(t, nil, "env", "me"); r.Code != 0 || !strings.Contains(r.Stdout, key[1]) {
		t.Errorf("the old key is not used: exit %d, %s", r.Code, r.Stderr)
	}
	r := w.Stile(t, nil, "rotate", "me")
	if r.Code != 0 || !strings.Contains(r.Stdout, "source me: key ") {
		t.Fatalf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if keys := w.keys(t); len(keys) != 1 || *keys[0].AccessKeyId == key[1] {
		t.Errorf("keys %v", keys)
	}
	if r := w.Stile(t, nil, "env", "me"); r.Code != 0 || !strings.Contains(r.Stdout, *w.keys(t)[0].AccessKeyId) {
		t.Errorf("the new key is not used: exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "rotate", "me"); r.Code != 0 {
		t.Errorf("once more: %s", r.Stderr)
	}
}

func TestWhatCannotBeRotatedIsSaid(t *testing.T) {
	w := newWorld(t)
	was := w.text(t)
	for name, want := range map[string]string{
		"none": "there is no access key of it",
		"last": "there is no access key of it",
	} {
		w.Stile(t, nil, "rotate", name).Refused(t, want)
	}
	// Whether AWS made the key or not, the old one stays in place.
	for _, operation := range []string{"ListAccessKeys", "CreateAccessKey"} {
		id := w.Server.Faults().Add(w.Server.World().Now(), service.Fault{Kind: service.ServerError, Account: routetest.Tooling, Service: "iam", Operation: operation})
		w.Stile(t, nil, "rotate", "jane").Refused(t, "rotating the key of jane")
		if w.text(t) != was {
			t.Errorf("%s: the file changed", operation)
		}
		w.Server.Faults().Remove(id)
		w.works(t, operation)
	}
	if r := w.Stile(t, nil, "rotate", "jane"); r.Code != 0 {
		t.Errorf("after faults: %s", r.Stderr)
	}
	w.settled(t, "after faults")
}

func TestParse(t *testing.T) {
	key := desk.AccessKey{ID: "AKIANEW", Secret: "a/new+secret"}
	for text, want := range map[string]string{
		"[jane]\naws_access_key_id=AKIA1\naws_secret_access_key=s1\n":                                           "[jane]\naws_access_key_id=AKIANEW\naws_secret_access_key=a/new+secret\n",
		"[ jane ]\r\nAWS_Secret_Access_Key =\ts1\t\r\nAWS_ACCESS_KEY_ID  = AKIA1\r\n[x]":                        "[ jane ]\r\nAWS_Secret_Access_Key =\ta/new+secret\t\r\nAWS_ACCESS_KEY_ID  = AKIANEW\r\n[x]",
		"[x]\naws_access_key_id=X\n[jane]\n# aws_access_key_id=Y\naws_access_key_id=Z\naws_secret_access_key=s": "[x]\naws_access_key_id=X\n[jane]\n# aws_access_key_id=Y\naws_access_key_id=AKIANEW\naws_secret_access_key=a/new+secret",
		"[jane]\naws_access_key_id=A\n": "error: half an access key",
		"[jane]\nregion=x\n":            "error: no access key",
		"":                              "error: no access key",
		"[jane]\naws_access_key_id=A\naws_secret_access_key=s\naws_session_token=t\n": "error: temporary",
		"[jane]\naws_access_key_id=A\naws_secret_access_key=s\n[jane]\n":              "error: there 2 times",
		"[jane]\naws_access_key_id=A\naws_access_key_id=B\naws_secret_access_key=s\n": "error: twice",
		"[jane]\naws_access_key_id=A # old\naws_secret_access_key=s\n":                "error: no key by itself",
		"[jane]\ns3 =\n aws_access_key_id=A\n":                                        "error: no access key",
	} {
		got, _, err := rotate.Replace([]byte(text), "jane", key)
		if wrong, ok := strings.CutPrefix(want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%q: %q, %v, want an error with %q", text, got, err, wrong)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, []byte(want)) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}
