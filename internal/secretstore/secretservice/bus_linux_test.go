package secretservice_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stile-aws/stile/internal/machine"
	"github.com/stile-aws/stile/internal/secretstore/secretservice"
)

func keyringAt(bus string) *secretservice.Keyring {
	return &secretservice.Keyring{Bus: bus, Ask: func(ctx context.Context, ask func(context.Context) error) error { return ask(ctx) }}
}

// The environment may name a bus that is gone, in a directory of all, where somebody
// else plays one by now.
func TestABusOfAnotherUserIsNotTold(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	daemon, err := exec.LookPath("dbus-daemon")
	machine.Needs(t, "dbus-daemon", err)
	dir, err := os.MkdirTemp("/tmp", "stile-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bus := filepath.Join(dir, "bus")
	config := filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf(`<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>`+
		`<policy context="default"><allow user="*"/><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>`, bus)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(dir, 0o755), os.Chown(dir, 65534, 65534)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), daemon, "--config-file="+config, "--print-address", "--nofork", "--nopidfile")
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed with the test's context
	if n, err := out.Read(make([]byte, 1)); n != 1 {
		t.Fatalf("dbus-daemon does not start: %v", err)
	}
	err = keyringAt("unix:path="+bus).Set(t.Context(), "stile", "/home/jane/secrets", "AGE-SECRET-KEY-1")
	if err == nil || !strings.Contains(err.Error(), "listens a process of user 65534") {
		t.Errorf("Set = %v", err)
	}
}

func TestAddressesOfABus(t *testing.T) {
	dir := t.TempDir()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "b s")})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	reached := make(chan struct{}, 8)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			reached <- struct{}{}
			_ = c.Close()
		}
	}()
	for address, want := range map[string]string{
		"tcp:host=127.0.0.1,port=1": `address "tcp:host=127.0.0.1,port=1": want unix:path= or unix:abstract=`,
		"unix:dir=/tmp":             `address "unix:dir=/tmp": want unix:path=`,
		"unix:path=%zz":             "want unix:path=",
		"unix:path=/none":           "dial unix /none",
		"unix:abstract=stile-none":  "dial unix @stile-none",
	} {
		if err := keyringAt(address).Set(t.Context(), "stile", "a", "k"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("at %s: %v, want %q", address, err, want)
		}
	}
	good := "unix:path=/none;unix:path=" + strings.ReplaceAll(dir, "-", "%2d") + "/b%20s,guid=0123"
	if err := keyringAt(good).Set(t.Context(), "stile", "a", "k"); err == nil {
		t.Error("a listener that says nothing took the key")
	}
	select {
	case <-reached:
	default:
		t.Errorf("nobody came by %s", good)
	}
}
