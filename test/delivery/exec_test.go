package delivery_test

import (
	"bufio"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestAPagedCallOutlivesItsCredentials: the credentials expire between two pages
// of one call, which goes on with new ones.
func TestAPagedCallOutlivesItsCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range clients(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.shorten(short)
			flags := []string(nil)
			if c.old {
				flags = []string{"--token-in-env"}
			}
			v := talk(t, w, c, w.exec(flags...), w.Env)
			var first string
			w.hold(func(u use) {
				if u.action != "ListRoles" || first != "" {
					return
				}
				first = u.key
				if made, ok := w.session(u.key); !ok || w.refused(t.Context(), made) != nil {
					t.Errorf("the local AWS made no session %s", u.key)
				}
			})
			if got := v.call(t, "pages"); got.Error != "" || got.Out == "1" {
				t.Errorf("the call ended with %+v, want several pages", got)
			}
			calls := w.used("ListRoles")
			if last := calls[len(calls)-1]; last.key == first {
				t.Errorf("all %d pages were had with %s", len(calls), first)
			}
		})
	}
}

// TestTheTokenFileRotates: stile serve is started anew, with a new token in the
// same file, and clients that run read it again.
func TestTheTokenFileRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shorten(short)
	dir := filepath.Join(w.Dir, "tokens")
	must(t, os.Mkdir(dir, 0o700))
	old := serve(t, w, "--token-dir", dir, address)
	before := old.token(t)
	var running []*conversation
	for _, c := range clients(t) {
		if c.old {
			continue
		}
		v := talk(t, w, c, nil, append(w.base, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+old.agent(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+old.file))
		v.is(t, w, payroll)
		running = append(running, v)
	}
	old.stop()
	if _, err := os.Stat(old.file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stopped, it left its token behind: %v", err)
	}
	if next := serve(t, w, "--token-dir", dir, "--listen", hostOf(old.url), address); next.token(t) == before || next.file != old.file {
		t.Error("the new one has the old token, or another file")
	}
	w.untilAllRefused(t)
	for _, v := range running {
		v.is(t, w, payroll)
	}
}

// TestTheGoSDKsOwnProviders are put together by hand, as Go programs do. The one
// for the metadata service is tested as config.LoadDefaultConfig makes it.
func TestTheGoSDKsOwnProviders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.shorten(short)
	container := serve(t, w, address)
	token := container.token(t)
	at := func(url string) aws.CredentialsProvider {
		return endpointcreds.New(url, func(o *endpointcreds.Options) { o.AuthorizationToken = token })
	}
	process := w.Write(t, "process", "#!/bin/sh\nexport "+strings.Join(w.Env, " ")+"\nexec stile credential-process --token-file "+w.token+" "+address+"\n")
	must(t, os.Chmod(process, 0o700))
	url := ""
	for _, v := range w.base {
		if value, ok := strings.CutPrefix(v, "AWS_ENDPOINT_URL="); ok {
			url = value
		}
	}
	first := map[string]string{}
	caches := map[string]*aws.CredentialsCache{}
	for name, p := range map[string]aws.CredentialsProvider{
		"container": at(container.url), "session": at(container.url + "/" + address), "agent": at(container.agent()),
		"process": processcreds.NewProvider(process),
	} {
		caches[name] = aws.NewCredentialsCache(p, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = time.Second })
	}
	whoami := func(name string) string {
		client := sts.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: caches[name]})
		out, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if *out.Arn != payroll {
			t.Errorf("%s is %s, want %s", name, *out.Arn, payroll)
		}
		calls := w.used("GetCallerIdentity")
		return calls[len(calls)-1].key
	}
	for name := range caches {
		first[name] = whoami(name)
	}
	w.untilAllRefused(t)
	for name, key := range first {
		if whoami(name) == key {
			t.Errorf("%s goes on with what has expired", name)
		}
	}
}

// TestExecWithinExec: a route may begin below another; each child has its own
// endpoint and nothing of its parent's.
func TestExecWithinExec(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inner := append(w.exec(), "sh", "-c", `echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; go-client`)
	outer := append(w.exec(), append([]string{"sh", "-c", `echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; exec "$@"`, "sh"}, inner...)...)
	cmd := w.Command(t, outer[0], outer[1:]...)
	cmd.Stdin = strings.NewReader("whoami\n")
	out, err := cmd.Output()
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 || lines[0] == lines[1] || !strings.Contains(lines[2], payroll) {
		t.Errorf("printed %q, want two endpoints and the role", lines)
	}
}

// TestExecEndsWithItsChild: nothing listens any more, and nothing is on disk.
func TestExecEndsWithItsChild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := beneath(t, w)
	if info, err := os.Stat(filepath.Dir(v.file)); err != nil || info.Mode().Perm() != 0o700 || !strings.HasPrefix(v.file, w.Runtime) {
		t.Errorf("the token is in %s, %v, %v; want a directory of this user alone, in memory", v.file, info, err)
	}
	v.stop()
	if _, err := os.Stat(filepath.Dir(v.file)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left behind: %v", filepath.Dir(v.file), err)
	}
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", hostOf(v.url)); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
}

// TestKilledExecLeavesNothingThatOpens: a killed stile leaves a token that lets
// nobody in anywhere, and the next one takes it away. One that runs keeps its own.
func TestKilledExecLeavesNothingThatOpens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	killed, alive := beneath(t, w), beneath(t, w)
	dir := filepath.Dir(killed.file)
	killed.kill()
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", hostOf(killed.url)); err == nil {
		_ = conn.Close()
		t.Error("it still listens")
	}
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		w.quiet(t, string(text))
		return err
	}))
	w.Stile(t, nil, append(w.exec()[1:], "true")...).Want(t, "")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the next one leaves %s: %v", dir, err)
	}
	if _, err := os.Stat(alive.file); err != nil {
		t.Errorf("the next one took the token of one that runs: %v", err)
	}
}

// TestSecretsAreInNoEnvironment: what a child of exec can print, and what
// everybody may see of stile's own processes.
func TestSecretsAreInNoEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := beneath(t, w)
	for _, name := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(v.pid), name))
		must(t, err)
		w.quiet(t, string(text))
		if strings.Contains(string(text), v.token(t)) {
			t.Errorf("the endpoint's token is in %s", name)
		}
	}
}

// TestKeysWithoutAnEnd: botocore insists on a session token and an end in what an
// endpoint gives it, and gets them for keys that have neither.
func TestKeysWithoutAnEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range clients(t) {
		flags := []string{"stile", "exec", "tooling", "--"}
		if c.old {
			flags = []string{"stile", "exec", "--token-in-env", "tooling", "--"}
		}
		talk(t, w, c, flags, w.Env).is(t, w, "arn:aws:iam::111111111111:user/Administrator")
	}
}

// TestALoginIsNeeded: the person's session has no sign-in, and nobody can be asked.
func TestALoginIsNeeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n  - name: acme\n    identityCenter: {startURL: \"https://acme.awsapps.com/start\", region: us-east-1}\n")
	config := w.Write(t, "people.config", "[profile people]\ncredential_process = stile credential-process 111111111111/Admin\n")
	env := append(append([]string(nil), w.base...), "HOME="+w.Dir, "AWS_CONFIG_FILE="+config, "AWS_PROFILE=people", "STILE_NO_LOGIN=1")
	for _, c := range clients(t) {
		v := talk(t, w, c, nil, env)
		got := v.call(t, "whoami")
		if said := got.Error + v.stderr(); got.Error == "" || !strings.Contains(said, "stile login") {
			t.Errorf("%s says %q, want that stile login is needed", c.name, said)
		}
	}
	for _, args := range [][]string{{"exec", "111111111111/Admin", "--", "true"}, {"env", "111111111111/Admin"}, {"serve", "111111111111/Admin"}} {
		if r := w.Stile(t, []string{"STILE_NO_LOGIN=1"}, args...); r.Code != 1 || !strings.Contains(r.Stderr, "stile login") || r.Stdout != "" {
			t.Errorf("stile %s: %+v, want that stile login is needed", args[0], r)
		}
	}
}

// TestStandardInputIsTheChilds: not a byte is taken from it.
func TestStandardInputIsTheChilds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	command := append(w.exec(), "sh", "-c", `read -r a; echo "$a"; exec cat`)
	cmd := w.Command(t, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	for _, line := range []string{"one\n", "\x00two\n", "three\n"} {
		_, err := in.Write([]byte(line))
		must(t, err)
		if got, err := lines.ReadString('\n'); err != nil || got != line {
			t.Errorf("the child read %q, %v, want %q", got, err, line)
		}
	}
	must(t, in.Close())
	must(t, cmd.Wait())
}
