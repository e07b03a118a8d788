package login_test

import (
	"bytes"
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
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/local"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/session/mfa"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// world is a local AWS with an Identity Center, acme, in which alice has two
// permission sets in each of ten accounts, and what was called of it.
type world struct {
	*routetest.World

	mu    sync.Mutex // guards calls
	calls map[string]int
}

const accounts = 10

func account(i int) arn.AccountID { return arn.AccountID(fmt.Sprintf("%012d", 100000000000+i)) }

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{World: &routetest.World{Dir: dir, Runtime: filepath.Join(dir, "runtime")}, calls: map[string]int{}}
	if err := os.Mkdir(w.Runtime, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := localaws.Config{Intercept: w.count, Seed: 1}
	all := []arn.AccountID{}
	for i := range accounts {
		cfg.Accounts = append(cfg.Accounts, localaws.Account{ID: account(i), Name: fmt.Sprintf("team-%d", i)})
		all = append(all, account(i))
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
		"STILE_BROKER=off", // by locks alone; internal/cli/broker has its own herd
		"BROWSER=" + w.browser(t, "browser", `exec stile local sign-in --user alice "$1"`),
	}
	w.Write(t, ".config/stile/sessions.yaml", `sources:
  - name: acme
    identityCenter: {startURL: "https://acme.awsapps.com/start", region: us-east-1}
`)
	return w
}

// browser makes a program that is the person's browser and writes a line a page.
func (w *world) browser(t *testing.T, name, does string) string {
	t.Helper()
	path := w.Write(t, name, "#!/bin/sh\necho opened >>"+filepath.Join(w.Dir, "pages")+"\n"+does+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines is how many there are in a file.
func (w *world) lines(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func (w *world) count(_, operation string, _ arn.AccountID, phase service.Phase) service.Action {
	w.mu.Lock()
	defer w.mu.Unlock()
	if phase == service.Before {
		w.calls[operation]++
	}
	return service.Proceed
}

// since gives the calls since the last time.
func (w *world) since() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := maps.Clone(w.calls)
	clear(w.calls)
	return out
}

// herd runs credential-process for many addresses at once.
func (w *world) herd(t *testing.T, addresses []string, env ...string) []routetest.Result {
	t.Helper()
	out := make([]routetest.Result, len(addresses))
	var wg sync.WaitGroup
	for i, address := range addresses {
		wg.Go(func() { out[i] = w.Stile(t, env, "credential-process", address) })
	}
	wg.Wait()
	return out
}

// succeeded fails unless all have credentials, and returns the access keys that
// each address got.
func succeeded(t *testing.T, addresses []string, all []routetest.Result) map[string]map[string]bool {
	t.Helper()
	keys := map[string]map[string]bool{}
	for i, r := range all {
		var out struct{ AccessKeyId, SessionToken string }
		if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || r.Code != 0 || out.SessionToken == "" {
			t.Errorf("%s: exit %d, %s", addresses[i], r.Code, r.Stderr)
			continue
		}
		if keys[addresses[i]] == nil {
			keys[addresses[i]] = map[string]bool{}
		}
		keys[addresses[i]][out.AccessKeyId] = true
	}
	for address, k := range keys {
		if len(k) != 1 {
			t.Errorf("%s has %d credentials, want one for all", address, len(k))
		}
	}
	return keys
}

// fifty are addresses of 20 roles, 50 in all.
func fifty() []string {
	var out []string
	for i := range 50 {
		out = append(out, fmt.Sprintf("team-%d/%s", i%accounts, []string{"ReadOnly", "Admin"}[i/accounts%2]))
	}
	return out
}

func TestFiftyColdCallersSignInOnce(t *testing.T) {
	w := newWorld(t)
	addresses := fifty()
	if keys := succeeded(t, addresses, w.herd(t, addresses)); len(keys) != 20 {
		t.Errorf("%d roles, want 20", len(keys))
	}
	want := map[string]int{"RegisterClient": 1, "CreateToken": 1, "ListAccounts": 1, "GetRoleCredentials": 20}
	if diff := cmp.Diff(want, w.since()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if n := w.lines(t, "pages"); n != 1 {
		t.Errorf("%d pages were opened, want 1", n)
	}
	succeeded(t, addresses, w.herd(t, addresses))
	if got := w.since(); len(got) != 0 {
		t.Errorf("the second time called %v, want nothing", got)
	}
	w.expire(t)
	succeeded(t, addresses, w.herd(t, addresses))
	want = map[string]int{"CreateToken": 1, "GetRoleCredentials": 20}
	if diff := cmp.Diff(want, w.since()); diff != "" {
		t.Errorf("calls with an expired token (-want +got):\n%s", diff)
	}
	if n := w.lines(t, "pages"); n != 1 {
		t.Errorf("%d pages were opened, want no more", n)
	}
}

// token is the file of the sign-in.
func (w *world) token(t *testing.T) (path string, fields map[string]any) {
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

// expire makes the access token old and forgets all credentials.
func (w *world) expire(t *testing.T) {
	t.Helper()
	path, fields := w.token(t)
	fields["expiresAt"] = time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	fields["somebodyElses"] = "kept"
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.Runtime, "stile")); err != nil {
		t.Fatal(err)
	}
}

func TestFieldsOfOtherToolsSurviveARefresh(t *testing.T) {
	w := newWorld(t)
	w.Stile(t, nil, "login").Want(t, "")
	w.expire(t)
	if r := w.Stile(t, nil, "credential-process", "team-1/Admin"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	path, fields := w.token(t)
	if fields["somebodyElses"] != "kept" || fields["startUrl"] != "https://acme.awsapps.com/start" {
		t.Errorf("fields %v, want those of others kept", fields)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestRefusedSignInIsToldToAllWhoWait(t *testing.T) {
	w := newWorld(t)
	deny := "BROWSER=" + w.browser(t, "denier", `sleep 1; exec stile local sign-in --user alice --deny "$1"`)
	addresses := fifty()[:12]
	for i, r := range w.herd(t, addresses, deny) {
		if r.Code == 0 || !strings.Contains(r.Stderr, "denied in the browser") {
			t.Errorf("%s: exit %d, %q, want that it was denied", addresses[i], r.Code, r.Stderr)
		}
	}
	// One that came after the refusal may ask once more.
	if n := w.lines(t, "pages"); n > 2 {
		t.Errorf("%d pages were opened, want 1", n)
	}
	if r := w.Stile(t, nil, "credential-process", addresses[0]); r.Code != 0 {
		t.Errorf("afterwards: %s", r.Stderr)
	}
}

func TestKilledSignInIsTakenOver(t *testing.T) {
	w := newWorld(t)
	cmd := w.Command(t, "stile", "credential-process", "team-0/Admin")
	cmd.Env = append(cmd.Env, "BROWSER="+w.browser(t, "nobody", `: >`+filepath.Join(w.Dir, "asked")))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(filepath.Join(w.Dir, "asked")); err == nil {
			tick.Stop()
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	if r := w.Stile(t, nil, "credential-process", "team-0/Admin"); r.Code != 0 {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
}

func TestBrokenFilesAreNoHindrance(t *testing.T) {
	w := newWorld(t)
	if r := w.Stile(t, nil, "credential-process", "team-0/Admin"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	err := filepath.WalkDir(w.Dir, func(path string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.Dir, path)
		ours := strings.HasPrefix(rel, "runtime") || strings.HasPrefix(rel, ".cache") || strings.HasPrefix(rel, ".aws") || strings.HasPrefix(rel, "state/stile/locks")
		if err != nil || e.IsDir() || !ours {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.Stile(t, nil, "credential-process", "team-0/Admin"); r.Code != 0 {
		t.Errorf("with half of every file: exit %d, %s", r.Code, r.Stderr)
	}
}

// dana is an IAM user with a device, who may enter role work in every account.
func (w *world) dana(t *testing.T) {
	t.Helper()
	admin := w.IAM(account(0))
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
	seed := string(device.VirtualMFADevice.Base32StringSeed)
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
	for i := range accounts {
		if _, err := w.IAM(account(i)).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("work"),
			AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + string(account(0)) + `"},
				"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)}); err != nil {
			t.Fatal(err)
		}
	}
	w.Write(t, "code", "echo asked >>"+filepath.Join(w.Dir, "questions")+"; echo "+codes[2])
	add := w.Command(t, "stile", "sessions", "add", "dana", "--user", "--key-stdin", "--account", string(account(0)),
		"--mfa-serial", *device.VirtualMFADevice.SerialNumber, "--mfa-program", "sh "+filepath.Join(w.Dir, "code"))
	add.Stdin = strings.NewReader(*key.AccessKey.AccessKeyId + "\n" + *key.AccessKey.SecretAccessKey + "\n")
	routetest.Run(t, add).Want(t, "")
	w.since()
}

func TestTwentyCallersWithMFAAreAskedOnce(t *testing.T) {
	w := newWorld(t)
	w.dana(t)
	var addresses []string
	for i := range 20 {
		addresses = append(addresses, fmt.Sprintf("dana:%s/work", account(i%accounts)))
	}
	succeeded(t, addresses, w.herd(t, addresses))
	got := w.since()
	if n := w.lines(t, "questions"); n != 1 || got["GetSessionToken"] != 1 || got["AssumeRole"] != accounts {
		t.Errorf("%d questions and calls %v, want 1, one GetSessionToken and %d AssumeRole", n, got, accounts)
	}
	who := w.Stile(t, nil, "whoami", addresses[3])
	if want := "arn:aws:sts::" + string(account(3)) + ":assumed-role/work/dana"; !strings.HasPrefix(who.Stdout, want+"\n") {
		t.Errorf("whoami = %q, %q, want %s", who.Stdout, who.Stderr, want)
	}
	// Nothing of the user's own key is anywhere but in the secret store.
	err := filepath.WalkDir(w.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("AKIA")) {
			t.Errorf("%s holds a user's access key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
