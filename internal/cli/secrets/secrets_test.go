package secrets_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// newWorld is somebody without a keyring.
func newWorld(t *testing.T) *routetest.World {
	t.Helper()
	dir := t.TempDir()
	return &routetest.World{Dir: dir, Env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "STILE_BROKER=off", "STILE_KEEP=off", "DBUS_SESSION_BUS_ADDRESS=unix:path=/none", "GORACE=atexit_sleep_ms=0",
	}}
}

// run runs stile where there is no terminal.
func run(t *testing.T, w *routetest.World, env []string, stdin string, args ...string) routetest.Result {
	t.Helper()
	cmd := w.Command(t, "stile", args...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	r := routetest.Run(t, cmd)
	if strings.Contains(r.Stdout+r.Stderr, secret) {
		t.Errorf("stile %v prints the secret: %s%s", args, r.Stdout, r.Stderr)
	}
	return r
}

// addUser adds the source dana with an access key.
func addUser(t *testing.T, w *routetest.World, env ...string) routetest.Result {
	t.Helper()
	return run(t, w, env, keyID+"\n"+secret+"\n", "sessions", "add", "dana", "--user", "--key-stdin")
}

func TestTheKeyMovesFromKeeperToKeeper(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run(t, w, nil, "", "secrets", "status").Want(t, filepath.Join(w.Dir, ".local/share/stile/secrets")+": there is no store yet; STILE_SECRETS chooses who keeps its key")
	run(t, w, nil, "", "secrets", "migrate", "keyfile").Refused(t, "there is no secret store yet: STILE_SECRETS=keyfile")
	addUser(t, w, "STILE_SECRETS=keyfile").Want(t, "")
	run(t, w, nil, "", "secrets", "list").Want(t, "user/dana")
	phrase := []string{"STILE_PASSPHRASE_COMMAND=cat " + w.Write(t, "phrase", "correct horse\n")}
	other := []string{"STILE_PASSPHRASE_COMMAND=echo another"}
	if r := run(t, w, phrase, "", "secrets", "migrate", "passphrase"); r.Code != 0 || !strings.Contains(r.Stderr, "kept by passphrase") {
		t.Fatalf("exit %d, %s", r.Code, r.Stderr)
	}
	if _, err := os.Stat(filepath.Join(w.Dir, ".local/share/stile/secrets/key")); !os.IsNotExist(err) {
		t.Errorf("the key file is still there: %v", err)
	}
	if r := run(t, w, phrase, "", "secrets", "status", "--check"); r.Code != 0 || !strings.Contains(r.Stdout, "1 secrets, key kept by passphrase\nall can be opened\n") {
		t.Errorf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	run(t, w, other, "", "secrets", "status", "--check").Refused(t, "the passphrase is wrong")
	run(t, w, []string{"STILE_PASSPHRASE_COMMAND=exit 3"}, "", "secrets", "status", "--check").Refused(t, "running the program of STILE_PASSPHRASE_COMMAND: exit status 3")
	run(t, w, nil, "", "secrets", "status", "--check").Refused(t, "there is no terminal to ask at; STILE_PASSPHRASE_COMMAND may name a program")
	run(t, w, nil, "", "secrets", "migrate", "passphrase").Refused(t, "STILE_PASSPHRASE_COMMAND may name a program")
	run(t, w, phrase, "", "secrets", "migrate", "elsewhere").Refused(t, "want keyring, passphrase, keyfile")
	run(t, w, phrase, "", "secrets", "migrate", "keyring").Refused(t, "giving the key to the keyring")
	if r := run(t, w, phrase, "", "secrets", "migrate", "keyfile"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	var got struct {
		Keeper  string
		Secrets int
	}
	r := run(t, w, nil, "", "secrets", "status", "--check", "--json")
	if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil || got.Keeper != "keyfile" || got.Secrets != 1 {
		t.Errorf("status = %+v, %v, %s", got, err, r.Stderr)
	}
}

func TestAskpassProgramsAreAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	program := w.Write(t, "askpass", "#!/bin/sh\necho \"$1\" >>"+filepath.Join(w.Dir, "asked")+"\necho correct horse\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	addUser(t, w, "STILE_SECRETS=passphrase", "SSH_ASKPASS="+program).Want(t, "")
	run(t, w, []string{"SSH_ASKPASS=" + program}, "", "secrets", "status", "--check").Want(t,
		filepath.Join(w.Dir, ".local/share/stile/secrets")+": 1 secrets, key kept by passphrase\nall can be opened")
	asked, err := os.ReadFile(filepath.Join(w.Dir, "asked"))
	if want := "New passphrase for the secret store: \nThe same again: \nPassphrase of the secret store: \n"; err != nil || string(asked) != want {
		t.Errorf("asked %q, %v, want %q", asked, err, want)
	}
	run(t, w, []string{"SSH_ASKPASS=" + program, "SSH_ASKPASS_REQUIRE=never"}, "", "secrets", "status", "--check").Refused(t, "there is no terminal")
}

func TestANewStoreThatNothingIsChosenForSaysHowTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := addUser(t, w)
	r.Refused(t, "STILE_SECRETS=keyfile")
	for _, text := range []string{"no keyring is in use here", "STILE_PASSPHRASE_COMMAND", "stile secrets --help"} {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("stderr %q, want %q", r.Stderr, text)
		}
	}
	if n := strings.Count(strings.TrimSpace(r.Stderr), "\n"); n > 0 {
		t.Errorf("%d lines, want one clear error: %s", n+1, r.Stderr)
	}
}

func TestKeysGoWithTheirSourceAndThatIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keyfile := "STILE_SECRETS=keyfile"
	addUser(t, w, keyfile).Want(t, "")
	r := run(t, w, []string{keyfile}, "", "sessions", "rm", "dana")
	if r.Code != 0 || r.Stderr != "stile: the access key of dana is gone from the secret store; AWS has it still\n" {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	run(t, w, nil, "", "secrets", "list").Want(t, "")
}

func TestSecretsAreRemovedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	addUser(t, w, "STILE_SECRETS=keyfile").Want(t, "")
	run(t, w, nil, "", "secrets", "rm", "user/dana", "user/nobody").Refused(t, "there is no secret user/nobody")
	run(t, w, nil, "", "secrets", "list", "--json").Want(t, "[\n  \"user/dana\"\n]")
	file := filepath.Join(w.Dir, ".local/share/stile/secrets/secrets/user%2Fdana.age")
	if err := os.Truncate(file, 10); err != nil {
		t.Fatal(err)
	}
	if r := run(t, w, nil, "", "secrets", "status", "--check", "--json"); r.Code != 1 || !strings.Contains(r.Stdout, `"user/dana"`) || !strings.Contains(r.Stderr, "is damaged") {
		t.Errorf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if r := run(t, w, nil, "", "secrets", "rm", "user/dana"); r.Code != 0 || !strings.Contains(r.Stderr, "stile sessions edit dana puts it there anew") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	run(t, w, nil, "", "secrets", "list", "--json").Want(t, "[]")
}
