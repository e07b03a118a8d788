package secrets_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/stile-aws/stile/internal/cli/route/routetest"
	"github.com/stile-aws/stile/internal/secretstore/keyringtest"
)

// atDesktop is somebody in a session of their own, whose keyring is not open yet.
func atDesktop(t *testing.T) (*keyringtest.Session, *routetest.World) {
	t.Helper()
	s := keyringtest.New(t)
	return s, &routetest.World{Dir: s.Home, Env: append(s.Env(), "STILE_BROKER=off", "STILE_KEEP=off", "GORACE=atexit_sleep_ms=0")}
}

// withKey is one whose keyring keeps the key of a store with dana's access key.
func withKey(t *testing.T) (*keyringtest.Session, *routetest.World) {
	t.Helper()
	s, w := atDesktop(t)
	s.Unlock(t)
	added(t, w)
	return s, w
}

const waiting = "stile: waiting for the keyring: it may be locked, with a prompt on the desktop that waits for you"

func added(t *testing.T, w *routetest.World, env ...string) {
	t.Helper()
	addUser(t, w, env...).Want(t, "")
	run(t, w, nil, "", "secrets", "status").Want(t, w.Dir+"/data/stile/secrets: 1 secrets, key kept by keyring")
}

// credentials runs credential-process, which gives the key itself: it is what the
// other tests of this package never print.
func credentials(t *testing.T, w *routetest.World, env ...string) routetest.Result {
	t.Helper()
	cmd := w.Command(t, "stile", "credential-process", "dana")
	cmd.Env = append(cmd.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return routetest.Run(t, cmd)
}

func wantKey(t *testing.T, w *routetest.World, env ...string) {
	t.Helper()
	if r := credentials(t, w, env...); r.Code != 0 || !strings.Contains(r.Stdout, keyID) || !strings.Contains(r.Stdout, secret) || r.Stderr != "" {
		t.Errorf("credential-process: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// refusedOnce checks that nothing was given, for a reason that one line says.
func refusedOnce(t *testing.T, r routetest.Result, texts ...string) {
	t.Helper()
	if r.Code == 0 || r.Stdout != "" || strings.Count(r.Stderr, "\n") != 1 {
		t.Errorf("exit %d, %s%s, want one line of standard error", r.Code, r.Stdout, r.Stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("stderr %q, want %q", r.Stderr, text)
		}
	}
}

// entries counts what GNOME Keyring has for stores.
func entries(t *testing.T, s *keyringtest.Session) int {
	t.Helper()
	var open, locked []dbus.ObjectPath
	s.Call(t, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service.SearchItems", map[string]string{"service": "stile"})(&open, &locked)
	return len(open) + len(locked)
}

// files is what the store consists of, without locks.
func files(t *testing.T, w *routetest.World) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(filepath.Join(w.Dir, "data/stile"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || slices.Contains([]string{"lock", "prompt", "refused"}, d.Name()) || filepath.Base(filepath.Dir(path)) == "locks" {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, fmt.Sprintf("%s %x", path, text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestGNOMEKeepsTheKey(t *testing.T) {
	t.Parallel()
	s, w := withKey(t)
	if n := entries(t, s); n != 1 {
		t.Errorf("the keyring has %d entries, want one", n)
	}
	run(t, w, nil, "", "secrets", "list").Want(t, "user/dana")
	var many sync.WaitGroup
	for range 8 {
		many.Go(func() { wantKey(t, w) })
	}
	many.Wait()
	for _, to := range []string{"keyfile", "keyring", "keyring"} {
		if r := run(t, w, nil, "", "secrets", "migrate", to); r.Code != 0 || r.Stderr != "stile: the key of the secret store is kept by "+to+"\n" {
			t.Fatalf("migrate %s: exit %d, %s", to, r.Code, r.Stderr)
		}
		_, err := os.Stat(filepath.Join(w.Dir, "data/stile/secrets/key"))
		if n := entries(t, s); (n == 1) != (to == "keyring") || (err == nil) != (to == "keyfile") {
			t.Errorf("migrate %s: the keyring has %d entries, the key file is there: %v", to, n, err)
		}
		wantKey(t, w)
	}
	run(t, w, nil, "", "secrets", "rm", "user/dana")
	run(t, w, nil, "", "secrets", "list").Want(t, "")
}

// The entry goes by the directory's name, which may be no text.
func TestGNOMEKeepsTheKeysOfStoresOfAnyName(t *testing.T) {
	t.Parallel()
	s, w := atDesktop(t)
	s.Unlock(t)
	for i, name := range []string{"plain", "ünï cöde 日本", "$(x) 'quoted\" %2F", "bytes \xff\xfe", "bytes \xff\xfd"} {
		home := "XDG_DATA_HOME=" + filepath.Join(w.Dir, name)
		addUser(t, w, home, "XDG_CONFIG_HOME="+filepath.Join(w.Dir, "config", name)).Want(t, "")
		if n := entries(t, s); n != i+1 {
			t.Errorf("%q: the keyring has %d entries, want %d", name, n, i+1)
		}
		wantKey(t, w, home, "XDG_CONFIG_HOME="+filepath.Join(w.Dir, "config", name))
	}
}

// A locked keyring is one line, at once where no prompt can be shown, and what that
// line says works.
func TestALockedGNOMEHasAWayOut(t *testing.T) {
	t.Parallel()
	s, w := withKey(t)
	before := files(t, w)
	for _, how := range []func(){func() { s.Lock(t) }, func() { s.Signal(t, syscall.SIGKILL) }} { // another one is started, locked
		how()
		says := []string{"reading secret user/dana: asking the keyring: it is locked", "unlock it and try again (stile secrets --help says how without a desktop)"}
		refusedOnce(t, credentials(t, w), append(says, "its prompt was dismissed, or could be shown to nobody")...)
		refusedOnce(t, credentials(t, w, "STILE_NO_LOGIN=1"), says...)
		refusedOnce(t, run(t, w, nil, "", "secrets", "migrate", "keyfile"), "moving the key of the secret store: asking the keyring: it is locked")
		refusedOnce(t, run(t, w, nil, "", "secrets", "status", "--check"), says...)
		run(t, w, nil, "", "secrets", "list").Want(t, "user/dana")
		if r := addUser(t, w); r.Code == 0 || !strings.Contains(r.Stderr, "dana") { // it is there
			t.Errorf("adding it again: exit %d, %s", r.Code, r.Stderr)
		}
		if after := files(t, w); after != before {
			t.Errorf("the store was\n%s\nand is\n%s", before, after)
		}
		s.Unlock(t)
		wantKey(t, w)
	}
	s.Lock(t)
	asHelpSays(t, w)
	if r := run(t, w, nil, "", "secrets", "migrate", "keyfile"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	s.Lock(t)
	wantKey(t, w)
}

// asHelpSays unlocks the keyring by the commands in stile secrets --help.
func asHelpSays(t *testing.T, w *routetest.World) {
	t.Helper()
	_, text, _ := strings.Cut(run(t, w, nil, "", "secrets", "--help").Stdout, "  read -rsp")
	script, _, found := strings.Cut("  read -rsp"+text, "\n\n")
	if !found {
		t.Fatalf("help has no commands that unlock: %q", text)
	}
	cmd := w.Command(t, "bash", "-c", script)
	cmd.Stdin = strings.NewReader(keyringtest.Password + "\n")
	if r := routetest.Run(t, cmd); r.Code != 0 {
		t.Fatalf("%s: exit %d, %s", script, r.Code, r.Stderr)
	}
}

// The broker cannot prompt: who asked it does.
func TestALockedGNOMEByWayOfTheBroker(t *testing.T) {
	t.Parallel()
	s, w := withKey(t)
	w.WithBroker(t)
	s.Lock(t)
	for range 2 {
		refusedOnce(t, credentials(t, w), "asking the keyring: it is locked, and its prompt was dismissed", "unlock it and try again")
	}
	s.Unlock(t)
	wantKey(t, w)
}

func TestManyProcessesPromptOnce(t *testing.T) {
	for name, broker := range map[string]bool{"with a broker": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := atDesktop(t)
			played := &keyringtest.Played{}
			keyringtest.Play(t, s, played)
			added(t, w)
			if broker {
				w.WithBroker(t)
			}
			played.Do(func(p *keyringtest.Played) { p.Locked = true })
			var many sync.WaitGroup
			for range 10 {
				many.Go(func() {
					if r := credentials(t, w); r.Code != 0 || !strings.Contains(r.Stdout, secret) { // it may say that it waits
						t.Errorf("exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
					}
				})
			}
			many.Wait()
			if n := played.Shown(); n != 1 {
				t.Errorf("%d prompts were shown, want one", n)
			}
		})
	}
}

// A broker that was started elsewhere, over SSH or before a logout, has another bus;
// each session goes by its own.
func TestABrokerOfAnotherSessionStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	_, w := withKey(t)
	w.WithBroker(t)
	refusedOnce(t, credentials(t, w, "DBUS_SESSION_BUS_ADDRESS=unix:path=/none"), "asking the keyring: reaching it over the D-Bus of this session")
	if r := run(t, w, nil, "", "broker", "status"); r.Code != 0 {
		t.Fatalf("no broker was started: %s", r.Stderr)
	}
	wantKey(t, w)
}

func TestAKeyringThatIsGoneOrHangs(t *testing.T) {
	t.Parallel()
	s, w := withKey(t)
	s.Signal(t, syscall.SIGSTOP)
	r := credentials(t, w)
	note, problem, _ := strings.Cut(r.Stderr, "\n")
	if note != waiting {
		t.Errorf("told %q, want %q", note, waiting)
	}
	r.Stderr = problem
	refusedOnce(t, r, "asking the keyring: it does not answer within 5s; restart it and try again")
	s.Signal(t, syscall.SIGCONT)
	wantKey(t, w)
	before := files(t, w)
	s.Break(t)
	refusedOnce(t, credentials(t, w), "asking the keyring: reaching it over the D-Bus of this session", "try again")
	refusedOnce(t, run(t, w, nil, "", "secrets", "migrate", "keyfile"), "reaching it over the D-Bus of this session")
	if after := files(t, w); after != before {
		t.Errorf("the store was\n%s\nand is\n%s", before, after)
	}
}

// Nobody has ever logged in at the desktop of this machine, as on a server.
func TestAMachineWhoseKeyringHasNoCollection(t *testing.T) {
	t.Parallel()
	_, w := atDesktop(t)
	refusedOnce(t, addUser(t, w), "no keyring is in use here (it has no collection to keep anything in", "STILE_SECRETS=keyfile", "STILE_PASSPHRASE_COMMAND")
	refusedOnce(t, addUser(t, w, "STILE_SECRETS=keyring"), "giving the key to the keyring: it has no collection", "or choose another keeper (passphrase, keyfile)")
	phrase := "STILE_PASSPHRASE_COMMAND=echo correct horse"
	if r := addUser(t, w, phrase); r.Code != 0 || !strings.Contains(r.Stderr, "stile: no keyring is in use here (it has no collection") {
		t.Errorf("exit %d, %s, want that there is a passphrase", r.Code, r.Stderr)
	}
	wantKey(t, w, phrase)
}

func TestANewStoreWithALockedGNOME(t *testing.T) {
	t.Parallel()
	s, w := atDesktop(t)
	s.Unlock(t)
	s.Lock(t)
	refusedOnce(t, addUser(t, w, "STILE_PASSPHRASE_COMMAND=echo correct horse"), "asking the keyring, which would keep the key: it is locked", "unlock or restart it and try again", "STILE_SECRETS=keyfile")
	s.Unlock(t)
	added(t, w)
	wantKey(t, w)
}

func TestAnEntryThatWasRemovedIsSaid(t *testing.T) {
	t.Parallel()
	s, w := withKey(t)
	var open, locked []dbus.ObjectPath
	s.Call(t, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service.SearchItems", map[string]string{"service": "stile"})(&open, &locked)
	for _, item := range open {
		var prompt dbus.ObjectPath
		s.Call(t, item, "org.freedesktop.Secret.Item.Delete")(&prompt)
	}
	refusedOnce(t, credentials(t, w), "the keyring has no key of this secret store any more", "stile sessions edit")
}

// Somebody who has gone from the desktop is waited for, which is said; whoever is
// killed meanwhile keeps nobody else from asking.
func TestAPromptThatWaitsIsTold(t *testing.T) {
	t.Parallel()
	s, w := atDesktop(t)
	played := &keyringtest.Played{Answers: []keyringtest.Answer{keyringtest.Never, keyringtest.Opened}}
	keyringtest.Play(t, s, played)
	added(t, w)
	played.Do(func(p *keyringtest.Played) { p.Locked = true })
	cmd := w.Command(t, "stile", "credential-process", "dana")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stderr).ReadString('\n'); err != nil || line != waiting+"\n" {
		t.Errorf("standard error %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // with the signal
	wantKey(t, w)
}
