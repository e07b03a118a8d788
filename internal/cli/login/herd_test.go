package login_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/login/logintest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

func TestFieldsOfOtherToolsSurviveARefresh(t *testing.T) {
	w := logintest.New(t)
	w.Stile(t, nil, "login").Want(t, "")
	w.Expire(t)
	if r := w.Stile(t, nil, "credential-process", "team-1/Admin"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	path, fields := w.Token(t)
	if fields["somebodyElses"] != "kept" || fields["startUrl"] != "https://acme.awsapps.com/start" {
		t.Errorf("fields %v, want those of others kept", fields)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestRefusedSignInIsToldToAllWhoWait(t *testing.T) {
	w := logintest.New(t)
	deny := w.Browser(t, "denier", `sleep 1; exec stile local sign-in --user alice --deny "$1"`)
	addresses := logintest.Fifty()[:12]
	for i, r := range w.Herd(t, addresses, deny) {
		if r.Code == 0 || !strings.Contains(r.Stderr, "denied in the browser") {
			t.Errorf("%s: exit %d, %q, want that it was denied", addresses[i], r.Code, r.Stderr)
		}
	}
	// One that came after the refusal may ask once more.
	if n := w.Pages(t); n > 2 {
		t.Errorf("%d pages were opened, want 1", n)
	}
	if r := w.Stile(t, nil, "credential-process", addresses[0]); r.Code != 0 {
		t.Errorf("afterwards: %s", r.Stderr)
	}
}

func TestKilledSignInIsTakenOver(t *testing.T) {
	w := logintest.New(t)
	cmd := w.Command(t, "stile", "credential-process", "team-0/Admin")
	cmd.Env = append(cmd.Env, w.Browser(t, "nobody", `: >`+filepath.Join(w.Dir, "asked")))
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
	w := logintest.New(t)
	if r := w.Stile(t, nil, "credential-process", "team-0/Admin"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	err := filepath.WalkDir(w.Dir, func(path string, e os.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.Dir, path)
		ours := strings.HasPrefix(rel, "runtime") || strings.HasPrefix(rel, ".cache") || strings.HasPrefix(rel, ".aws") || strings.HasPrefix(rel, "state/stile/locks")
		if err != nil || !e.Type().IsRegular() || !ours {
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

// Nothing of the user's own key is anywhere but in the secret store.
func TestKeysAreInTheSecretStoreAlone(t *testing.T) {
	w := logintest.New(t)
	w.Dana(t)
	who := w.Stile(t, nil, "whoami", "dana:100000000003/work")
	if want := "arn:aws:sts::100000000003:assumed-role/work/dana"; !strings.HasPrefix(who.Stdout, want+"\n") {
		t.Errorf("whoami = %q, %q, want %s", who.Stdout, who.Stderr, want)
	}
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
