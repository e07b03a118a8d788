// Package logintest is what tests of people's sessions share: a local AWS with an
// Identity Center, somebody who can sign in to it, an IAM user with an MFA device,
// and counts of all that was called, opened and asked.
//
// Start with [New]. stile is run as a program; the browser is a program too, which
// signs in at the local AWS as a person would.
package logintest

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/session/mfa"
)

// Accounts is how many accounts there are, named team-0 and so on.
const Accounts = 10

// Account is the id of account team-i.
func Account(i int) arn.AccountID { return arn.AccountID(fmt.Sprintf("%012d", 100000000000+i)) }

// World is a local AWS with an Identity Center, acme, in which alice has the
// permission sets ReadOnly and Admin in each of the accounts, and the environment
// of somebody who works against it. Processes go by locks alone, see
// [routetest.World.WithBroker].
type World struct {
	*routetest.World

	mu    sync.Mutex // guards the rest
	calls map[string]int
	fault func(operation string) service.Action
}

// New starts a World, which ends with the test. The test binary must know stile as
// a testscript command.
func New(t testing.TB) *World {
	t.Helper()
	dir := t.TempDir()
	w := &World{World: &routetest.World{Dir: dir, Runtime: filepath.Join(dir, "runtime")}, calls: map[string]int{}}
	if err := os.Mkdir(w.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := localaws.Config{Intercept: w.intercept, Seed: 1}
	all := []arn.AccountID{}
	for i := range Accounts {
		cfg.Accounts = append(cfg.Accounts, localaws.Account{ID: Account(i), Name: fmt.Sprintf("team-%d", i)})
		all = append(all, Account(i))
	}
	cfg.IdentityCenters = []localaws.IdentityCenter{{
		StartURL:       "https://acme.awsapps.com/start",
		Users:          []localaws.IdentityCenterUser{{Name: "alice"}},
		PermissionSets: []localaws.PermissionSet{{Name: "ReadOnly"}, {Name: "Admin"}},
		Assignments:    []localaws.Assignment{{Accounts: all, PermissionSets: []string{"ReadOnly", "Admin"}, Users: []string{"alice"}}},
	}}
	streams := cli.System()
	streams.Env = func(name string) (string, bool) { return filepath.Join(dir, "state"), name == "XDG_STATE_HOME" }
	var err error
	if w.Running, err = local.Start(t.Context(), streams, local.Setup{Listen: "127.0.0.1:0", AWS: cfg}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "XDG_RUNTIME_DIR=" + w.Runtime,
		"AWS_ENDPOINT_URL=" + w.URL, "AWS_EC2_METADATA_DISABLED=true", "STILE_SECRETS=keyfile", "GORACE=atexit_sleep_ms=0",
		"STILE_BROKER=off", w.Browser(t, "browser", `exec stile local sign-in --user alice "$1"`),
	}
	t.Cleanup(func() { // a page may still be open
		if p, err := client.Find(w.Env); err == nil {
			c := client.Client{Place: *p.SignIns()}
			_ = c.Stop(context.WithoutCancel(t.Context())) // there may be none
		}
	})
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
`)
	return w
}

// Browser makes the variable for a program that is the person's browser: it writes
// a line to the file pages and does what a shell is told. $1 is the page.
func (w *World) Browser(t testing.TB, name, does string) string {
	t.Helper()
	path := w.Write(t, name, "#!/bin/sh\necho opened >>"+filepath.Join(w.Dir, "pages")+"\n"+does+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return "BROWSER=" + path
}

// Pages is how many pages were opened in the browser.
func (w *World) Pages(t testing.TB) int { return w.lines(t, "pages") }

// Questions is how often [World.Dana]'s code was asked for.
func (w *World) Questions(t testing.TB) int { return w.lines(t, "questions") }

func (w *World) lines(t testing.TB, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func (w *World) intercept(_, operation string, _ arn.AccountID, phase service.Phase) service.Action {
	w.mu.Lock()
	defer w.mu.Unlock()
	if phase != service.Before {
		return service.Proceed
	}
	w.calls[operation]++
	if w.fault == nil {
		return service.Proceed
	}
	return w.fault(operation)
}

// Fail has calls answered as fault says from now on; nil makes all well again.
func (w *World) Fail(fault func(operation string) service.Action) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// Since gives the calls since the last time, by operation.
func (w *World) Since() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := maps.Clone(w.calls)
	clear(w.calls)
	return out
}

// Herd runs credential-process for many addresses at once.
func (w *World) Herd(t testing.TB, addresses []string, env ...string) []routetest.Result {
	t.Helper()
	return Herd(t, w.World, addresses, env...)
}

// Herd is [World.Herd] in any world.
func Herd(t testing.TB, w *routetest.World, addresses []string, env ...string) []routetest.Result {
	t.Helper()
	out := make([]routetest.Result, len(addresses))
	var wg sync.WaitGroup
	for i, address := range addresses {
		wg.Go(func() { out[i] = w.Stile(t, env, "credential-process", address) })
	}
	wg.Wait()
	return out
}

// Succeeded fails unless all have credentials, the same for one address, and
// returns for how many addresses.
func Succeeded(t testing.TB, addresses []string, all []routetest.Result) int {
	t.Helper()
	keys := map[string]map[string]bool{}
	for i, r := range all {
		id := Key(t, r)
		if keys[addresses[i]] == nil {
			keys[addresses[i]] = map[string]bool{}
		}
		keys[addresses[i]][id] = true
	}
	for address, k := range keys {
		if len(k) != 1 {
			t.Errorf("%s has %d credentials, want one for all", address, len(k))
		}
	}
	return len(keys)
}

// Key is the access key id that credential-process gave.
func Key(t testing.TB, r routetest.Result) string {
	t.Helper()
	var out struct{ AccessKeyId, SessionToken string }
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || r.Code != 0 || out.SessionToken == "" {
		t.Errorf("exit %d, %v, stderr %q, want credentials", r.Code, err, r.Stderr)
	}
	return out.AccessKeyId
}

// Fifty are the addresses of 20 roles that alice has, 50 in all.
func Fifty() []string {
	return fifty(func(account int, second bool) string {
		if second {
			return fmt.Sprintf("team-%d/Admin", account)
		}
		return fmt.Sprintf("team-%d/ReadOnly", account)
	})
}

// FiftyOfDana are the addresses of 20 roles that [World.Dana] may enter, 50 in all.
func FiftyOfDana() []string {
	return fifty(func(account int, second bool) string {
		if second {
			return fmt.Sprintf("dana:%s/look", Account(account))
		}
		return fmt.Sprintf("dana:%s/work", Account(account))
	})
}

func fifty(address func(account int, second bool) string) []string {
	var out []string
	for i := range 50 {
		out = append(out, address(i%Accounts, i/Accounts%2 == 1))
	}
	return out
}

// Token is the file of the sign-in.
func (w *World) Token(t testing.TB) (path string, fields map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.Dir, ".aws/sso/cache/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]any{}
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		if fields["accessToken"] != nil {
			return f, fields
		}
	}
	t.Fatal("there is no token")
	return "", nil
}

// Expire makes the access token old and forgets all credentials, a broker's too.
func (w *World) Expire(t testing.TB) {
	t.Helper()
	path, fields := w.Token(t)
	fields["expiresAt"] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	fields["somebodyElses"] = "kept"
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.Stile(t, nil, "broker", "stop").Want(t, "")
	if err := os.RemoveAll(filepath.Join(w.Runtime, "stile")); err != nil {
		t.Fatal(err)
	}
}

// Dana adds the source dana: an IAM user with a device, who may enter the roles
// work and look in every account. seed is the device's.
func (w *World) Dana(t testing.TB) (seed string) {
	t.Helper()
	admin := w.IAM(Account(0))
	if _, err := admin.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("dana")}); err != nil {
		t.Fatal(err)
	}
	key, err := admin.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("dana")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("dana"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	device, err := admin.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: aws.String("dana")})
	if err != nil {
		t.Fatal(err)
	}
	seed = string(device.VirtualMFADevice.Base32StringSeed)
	if _, err := base32.StdEncoding.DecodeString(seed); err != nil {
		t.Fatal(err)
	}
	var codes [3]string // the local AWS takes a code once, so that the one to come is for the session
	for i := range codes {
		if codes[i], err = mfa.TOTP(seed, w.Server.World().Now().Add(time.Duration(i-1)*mfa.Step)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.EnableMFADevice(t.Context(), &iam.EnableMFADeviceInput{UserName: aws.String("dana"),
		SerialNumber: device.VirtualMFADevice.SerialNumber, AuthenticationCode1: aws.String(codes[0]), AuthenticationCode2: aws.String(codes[1])}); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * Accounts {
		if _, err := w.IAM(Account(i/2)).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String([]string{"work", "look"}[i%2]),
			AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + string(Account(0)) + `"},
				"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	w.Write(t, "code", "echo asked >>"+filepath.Join(w.Dir, "questions")+"; echo "+codes[2])
	add := w.Command(t, "stile", "sessions", "add", "dana", "--user", "--key-stdin", "--account", string(Account(0)),
		"--mfa-serial", *device.VirtualMFADevice.SerialNumber, "--mfa-program", "sh "+filepath.Join(w.Dir, "code"))
	add.Stdin = strings.NewReader(*key.AccessKey.AccessKeyId + "\n" + *key.AccessKey.SecretAccessKey + "\n")
	routetest.Run(t, add).Want(t, "")
	w.Since()
	return seed
}
