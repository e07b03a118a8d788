package broker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stile": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
		// poke asks a socket for credentials, as a program of another user may.
		"poke": func() {
			conn, err := net.Dial("unix", os.Args[1])
			if err == nil {
				err = client.Write(conn, client.Request{Protocol: client.Protocol, Do: client.DoGet, Address: os.Args[2]})
			}
			var got client.Reply
			if err == nil {
				err = client.Read(conn, &got)
			}
			fmt.Printf("%v %v\n", errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), got.Grant != nil)
		},
	})
}

const target = "orders-prod/payroll-api"

// world is one with a broker, which ends with the test.
func world(t *testing.T) *routetest.World {
	t.Helper()
	w := routetest.New(t)
	w.Apply(t, routetest.Example(t, "payroll"))
	w.WithBroker(t)
	w.Env = append(w.Env, "STILE_KEEP=off") // or who asks next would not need the broker
	return w
}

// key is the access key id that credential-process gives.
func key(t *testing.T, r routetest.Result) string {
	t.Helper()
	var out struct{ AccessKeyId string }
	if err := json.Unmarshal([]byte(r.Stdout), &out); r.Code != 0 || err != nil || out.AccessKeyId == "" {
		t.Errorf("exit %d, %v, stderr %q", r.Code, err, r.Stderr)
	}
	return out.AccessKeyId
}

func get(t *testing.T, w *routetest.World, env ...string) string {
	t.Helper()
	return key(t, w.Stile(t, env, "credential-process", target))
}

// status is that of the only broker.
func status(t *testing.T, w *routetest.World) client.Status {
	t.Helper()
	r := w.Stile(t, nil, "broker", "status", "--json")
	var out struct{ Brokers []client.Status }
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil || len(out.Brokers) != 1 {
		t.Fatalf("exit %d, %v, %s%s, want one broker", r.Code, err, r.Stdout, r.Stderr)
	}
	return out.Brokers[0]
}

func TestFiftyProcessesShareOneCredential(t *testing.T) {
	w := world(t)
	keys := make([]string, 50)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() { keys[i] = get(t, w) })
	}
	group.Wait()
	slices.Sort(keys)
	if keys = slices.Compact(keys); len(keys) != 1 {
		t.Errorf("%d different credentials, want one", len(keys))
	}
	s := status(t, w)
	if len(s.Sessions) != 1 || s.Sessions[0].Requests != 50 || s.Sessions[0].Expires == nil {
		t.Errorf("status is %+v", s)
	}
	r := w.Stile(t, nil, "broker", "status")
	if !strings.Contains(r.Stdout, target) || strings.Contains(r.Stdout, keys[0]) {
		t.Errorf("status says %q", r.Stdout)
	}
}

func TestOtherCommandsShareItToo(t *testing.T) {
	w := world(t)
	id := get(t, w)
	if r := w.Stile(t, nil, "env", "--format", "bash", target); !strings.Contains(r.Stdout, id) {
		t.Errorf("stile env gave others: %s", r.Stderr)
	}
	if r := w.Stile(t, nil, "exec", "--env", target, "--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID"); strings.TrimSpace(r.Stdout) != id {
		t.Errorf("stile exec gave %q, want %s: %s", r.Stdout, id, r.Stderr)
	}
}

func TestItCanBeLeftOut(t *testing.T) {
	w := world(t)
	id := get(t, w)
	if other := get(t, w, "STILE_BROKER=off"); other == id {
		t.Error("STILE_BROKER=off asked the broker")
	}
	if other := key(t, w.Stile(t, nil, "credential-process", "--no-broker", target)); other == id {
		t.Error("--no-broker asked the broker")
	}
}

func TestEnvironmentsAreKeptApart(t *testing.T) {
	w := world(t)
	id := get(t, w)
	if other := get(t, w, "AWS_REGION=eu-west-1"); other == id {
		t.Error("another environment was given the same credentials")
	}
	if same := get(t, w, "UNRELATED=1", "AWS_PAGER=cat"); same != id {
		t.Error("what does not decide made a difference")
	}
	r := w.Stile(t, nil, "broker", "stop")
	if r.Code != 0 || !strings.Contains(r.Stderr, "2 stopped") {
		t.Errorf("stop: exit %d, %q", r.Code, r.Stderr)
	}
	w.Stile(t, nil, "broker", "status", "--json").Want(t, "{\n  \"brokers\": []\n}")
}

func TestFailuresAreTold(t *testing.T) {
	w := world(t)
	w.Stile(t, nil, "credential-process", "orders-prod/nobody").Refused(t, "going to orders-prod/nobody: no way there")
	// AWS's own answer comes by the broker.
	dir := filepath.Join(w.Dir, "empty-routes")
	r := w.Stile(t, []string{"XDG_STATE_HOME=" + dir}, "credential-process", target)
	r.Refused(t, target)
}

func TestKillingTheBrokerLosesNothing(t *testing.T) {
	w := world(t)
	get(t, w)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					get(t, w)
				}
			}
		})
	}
	killed := map[int]bool{}
	for end := time.Now().Add(20 * time.Second); len(killed) < 8 && time.Now().Before(end); {
		r := w.Stile(t, nil, "broker", "status", "--json")
		var out struct{ Brokers []client.Status }
		if json.Unmarshal([]byte(r.Stdout), &out) != nil || len(out.Brokers) == 0 {
			continue
		}
		pid := out.Brokers[0].PID
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
			killed[pid] = true
		}
	}
	close(stop)
	group.Wait()
	if len(killed) < 8 {
		t.Errorf("only %d brokers came up", len(killed))
	}
	get(t, w)
}

func TestKillingCallersLosesNothing(t *testing.T) {
	w := world(t)
	for i := range 24 {
		cmd := w.Command(t, "stile", "credential-process", target)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(i)*3*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // killed, or not
		timer.Stop()
	}
	id := get(t, w)
	if again := get(t, w); again != id {
		t.Errorf("got %s, then %s", id, again)
	}
	if s := status(t, w); s.Waiting != 0 {
		t.Errorf("%d clients are still waited for", s.Waiting)
	}
}

// A broker that hangs is not waited for longer than a person would.
func TestABrokerThatHangsIsDoneWithout(t *testing.T) {
	w := world(t)
	id := get(t, w)
	pid := status(t, w).PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	if other := get(t, w); other == id {
		t.Error("a stopped broker has answered")
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	w := world(t)
	get(t, w)
	socket := status(t, w).Socket
	poke, err := exec.LookPath("poke")
	if err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		cmd := exec.CommandContext(t.Context(), poke, socket, target)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	open := func(path string, mode os.FileMode) {
		t.Helper()
		for ; path != "/"; path = filepath.Dir(path) {
			info, err := os.Stat(path)
			if err == nil && info.IsDir() && info.Mode().Perm()&0o011 != 0o011 {
				err = os.Chmod(path, info.Mode().Perm()|0o011)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(socket, mode); err != nil {
			t.Fatal(err)
		}
	}
	for path := poke; path != "/"; path = filepath.Dir(path) {
		if info, err := os.Stat(path); err == nil {
			if err := os.Chmod(path, info.Mode().Perm()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := ask(); got != "false false" { // it cannot even connect
		t.Errorf("through a private directory: %s", got)
	}
	open(filepath.Dir(socket), 0o666)
	if got := ask(); got != "true false" { // hung up on
		t.Errorf("through an open one: %s", got)
	}
}

// Whatever is in the place of its files, credentials are to be had.
func TestWhatIsInTheWayOfABrokerIsNoHindrance(t *testing.T) {
	w := world(t)
	place, err := client.Find(w.Env)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{place.Socket, place.Lock, place.Queue} {
		for name, leave := range map[string]func() error{
			"garbage":           func() error { return os.WriteFile(path, []byte("\xff garbage"), 0o600) },
			"an empty file":     func() error { return os.WriteFile(path, nil, 0) },
			"a directory":       func() error { return os.MkdirAll(filepath.Join(path, "inside"), 0o700) },
			"a circle of links": func() error { return os.Symlink(path, path) },
		} {
			w.Stile(t, nil, "broker", "stop")
			err := errors.Join(os.RemoveAll(place.Dir), os.Mkdir(place.Dir, 0o700), leave())
			if err != nil {
				t.Fatal(err)
			}
			r := w.Stile(t, nil, "credential-process", target)
			if key(t, r); r.Stderr != "" {
				t.Errorf("with %s at %s: %s", name, filepath.Base(path), r.Stderr)
			}
		}
	}
}

func TestItsMemoryIsItsOwn(t *testing.T) {
	w := world(t)
	get(t, w)
	routetest.WantOwnMemory(t, status(t, w).PID)
}

func TestADirectoryOfSomebodyElseIsNotUsed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	w := world(t)
	dir := filepath.Join(w.Runtime, "stile")
	_ = os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	get(t, w) // by itself
	w.Stile(t, nil, "broker", "status").Refused(t, "must be a directory of this user")
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("files were made there: %v", left)
	}
}

func TestWithoutARuntimeDirectory(t *testing.T) {
	w := world(t)
	w.Env = append(w.Env, "XDG_RUNTIME_DIR=/proc") // where nothing can be made
	id := get(t, w)
	if again := get(t, w); again != id {
		t.Errorf("got %s, then %s, want the broker of /tmp", id, again)
	}
	if s := status(t, w); !strings.HasPrefix(s.Socket, "/tmp/stile-") {
		t.Errorf("its socket is %s", s.Socket)
	}
}

func TestAChangeOfWhatWasAppliedIsSeenAtOnce(t *testing.T) {
	w := world(t)
	get(t, w)
	files, err := filepath.Glob(filepath.Join(w.Dir, "state", "stile", "scopes", "*", "routes.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	w.Stile(t, nil, "credential-process", target).Refused(t, "going to "+target)
}

func TestStatusListsWhatIsHeldAndNoMore(t *testing.T) {
	w := world(t)
	w.Stile(t, nil, "credential-process", "orders-prod/nobody").Refused(t, "going to orders-prod/nobody")
	if s := status(t, w); len(s.Sessions) != 0 {
		t.Errorf("after an address that leads nowhere: %+v, want none", s.Sessions)
	}
	get(t, w)
	if s := status(t, w); len(s.Sessions) != 1 || s.Sessions[0].Address != target {
		t.Errorf("then: %+v, want %s alone", s.Sessions, target)
	}
}

func TestStatusWithoutABroker(t *testing.T) {
	w := routetest.New(t)
	w.WithBroker(t)
	w.Stile(t, nil, "broker", "status").Want(t, "")
	if r := w.Stile(t, nil, "broker", "stop"); r.Code != 0 {
		t.Errorf("stop: exit %d, %s", r.Code, r.Stderr)
	}
}
