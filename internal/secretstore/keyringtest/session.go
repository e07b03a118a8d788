//go:build linux

package keyringtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/machine"
)

// Session is the session of somebody who has nothing else. Make one with [New].
type Session struct {
	Home    string // HOME; XDG directories are below
	Address string // of the bus

	bus   *exec.Cmd
	guard *exec.Cmd
	alive io.Closer // what the guard waits for the end of
}

const config = `<busconfig>
  <type>session</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <servicedir>/usr/share/dbus-1/services</servicedir>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>
`

// New starts a bus. The test is skipped where dbus-daemon or GNOME Keyring is not
// installed, except where CI is set: there it fails.
func New(t testing.TB) *Session {
	t.Helper()
	for _, program := range []string{"dbus-daemon", "gnome-keyring-daemon"} {
		_, err := exec.LookPath(program) // of a package of this name, or gnome-keyring
		machine.Needs(t, program, err)
	}
	home, err := os.MkdirTemp("", "keyring-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{Home: home, Address: "unix:path=" + filepath.Join(home, "bus")}
	s.startGuard(t)
	t.Cleanup(func() { s.end(t) })
	for _, dir := range []string{s.dir("run"), s.dir("data"), s.dir("config"), s.dir("cache")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.dir("bus.conf"), fmt.Appendf(nil, config, s.dir("bus")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startBus(t)
	return s
}

func (s *Session) dir(name string) string { return filepath.Join(s.Home, name) }

// guard ends all that runs with the HOME that is its argument, and removes that,
// once its standard input ends: however this process ends, that does. What is killed
// has no environment, while it is a zombie too.
const guard = `cat >/dev/null
while pids=$(grep -lszxF "HOME=$0" /proc/[0-9]*/environ); [ -n "$pids" ]; do
	for pid in $pids; do pid=${pid#/proc/}; kill -9 "${pid%%/*}" 2>/dev/null; done
done
rm -rf -- "$0"`

func (s *Session) startGuard(t testing.TB) {
	t.Helper()
	s.guard = exec.Command("sh", "-c", guard, s.Home)
	s.guard.Env, s.guard.SysProcAttr = []string{"PATH=" + os.Getenv("PATH")}, &syscall.SysProcAttr{Setsid: true} // no ^C for it
	alive, err := s.guard.StdinPipe()
	if err == nil {
		err = s.guard.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.alive = alive
}

// startBus returns when the bus can be connected to: it prints its address then.
func (s *Session) startBus(t testing.TB) {
	t.Helper()
	s.bus = s.command("dbus-daemon", "--config-file="+s.dir("bus.conf"), "--print-address", "--nofork", "--nopidfile")
	out, err := s.bus.StdoutPipe()
	if err == nil {
		err = s.bus.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon printed %q: %v", line, err)
	}
}

// Env is the environment of a program in the session.
func (s *Session) Env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.Home, "DBUS_SESSION_BUS_ADDRESS=" + s.Address,
		"XDG_RUNTIME_DIR=" + s.dir("run"), "XDG_DATA_HOME=" + s.dir("data"), "XDG_CONFIG_HOME=" + s.dir("config"), "XDG_CACHE_HOME=" + s.dir("cache"),
	}
}

func (s *Session) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = s.Env()
	return cmd
}

// Password is that of the login collection.
const Password = "correct horse"

// Unlock opens the login collection as a login does, or as its owner does over SSH:
// its password goes to gnome-keyring-daemon --unlock. One is made, and GNOME Keyring
// started, if there is none.
func (s *Session) Unlock(t testing.TB) {
	t.Helper()
	cmd := s.command("gnome-keyring-daemon", "--replace", "--unlock", "--components=secrets", "--daemonize")
	cmd.Stdin = strings.NewReader(Password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gnome-keyring-daemon --unlock: %v\n%s", err, out)
	}
}

// Lock locks the login collection.
func (s *Session) Lock(t testing.TB) {
	t.Helper()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	s.Call(t, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock", []dbus.ObjectPath{Login})(&locked, &prompt)
	if len(locked) != 1 {
		t.Fatalf("locked %v, want %s", locked, Login)
	}
}

// Login is GNOME Keyring's collection of the login.
const Login dbus.ObjectPath = "/org/freedesktop/secrets/collection/login"

// Connect is a connection to the bus.
func (s *Session) Connect(t testing.TB) *dbus.Conn {
	t.Helper()
	bus, err := dbus.Connect(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() }) // or the bus has
	return bus
}

// Call calls a method of the keyring, on a connection of its own, and gives what stores the results.
func (s *Session) Call(t testing.TB, path dbus.ObjectPath, method string, args ...any) func(results ...any) {
	t.Helper()
	bus, err := dbus.Connect(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	call := bus.Object("org.freedesktop.secrets", path).CallWithContext(t.Context(), method, 0, args...)
	return func(results ...any) {
		t.Helper()
		if err := call.Store(results...); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
}

// Signal sends a signal to GNOME Keyring. What SIGKILL is sent to has gone when this
// returns; the bus starts another at the next call.
func (s *Session) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	pids := s.processes("gnome-keyring-d")
	if len(pids) == 0 {
		t.Fatal("no GNOME Keyring runs")
	}
	for _, pid := range pids {
		var err error
		if signal == syscall.SIGKILL {
			err = end(pid)
		} else {
			err = syscall.Kill(pid, signal)
		}
		if err != nil {
			t.Fatalf("sending %v to process %d: %v", signal, pid, err)
		}
	}
}

// Break kills the bus. Nothing can be reached in the session any more.
func (s *Session) Break(t testing.TB) {
	t.Helper()
	_ = s.bus.Process.Kill() // it may have ended
	_ = s.bus.Wait()         // with the signal
}

// end ends all that runs in the session and removes its files.
func (s *Session) end(t testing.TB) {
	if s.bus != nil && s.bus.Process != nil {
		s.Break(t)
	}
	_ = s.alive.Close() // a pipe's end
	if err := s.guard.Wait(); err != nil {
		t.Errorf("ending what ran in %s: %v", s.Home, err)
	}
}

// end kills a process and waits until it has ended.
func end(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20_000)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return errors.New("it does not end")
		default:
			return nil
		}
	}
}

// Left lists the programs that run in the session, the bus too.
func (s *Session) Left() []string {
	var names []string
	for _, pid := range s.processes("") {
		names = append(names, fmt.Sprintf("%s (%d)", comm(pid), pid))
	}
	return names
}

// processes finds the session's processes of a name, all for "", by the HOME that
// they were started with.
func (s *Session) processes(name string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && s.runs(pid) && (name == "" || comm(pid) == name) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// runs reports whether a process is one of the session. Of one that has ended there
// is no environment.
func (s *Session) runs(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, env...), []byte("\x00HOME="+s.Home+"\x00"))
}

func comm(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	return strings.TrimSpace(string(name))
}
