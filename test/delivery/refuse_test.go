package delivery_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// listener is something of stile's that gives credentials to whoever may have them.
type listener struct {
	name string
	host string // HOST:PORT
	path string // where the credentials are
	// header is what lets a request in, "NAME: VALUE".
	header string
	token  string // where metadata tokens are, "" for the others
}

// request is one as it goes over the wire. The zero value is answered.
type request struct {
	method, path, host string
	headers            []string
	naked              bool // without what lets it in
}

// text writes the request.
func (l *listener) text(r request) string {
	or := func(a, b string) string {
		if a == "" {
			return b
		}
		return a
	}
	headers := append([]string{"Host: " + or(r.host, l.host), "Connection: close"}, r.headers...)
	if !r.naked {
		headers = append(headers, l.header)
	}
	return or(r.method, "GET") + " " + or(r.path, l.path) + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

// send sends a request and gives the status and the whole answer.
func (l *listener) send(t *testing.T, text string) (status int, answer string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.host)
	must(t, err)
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Logf("sending: %v", err) // it may be refused before it is read
	}
	all, err := io.ReadAll(conn)
	if err != nil && len(all) == 0 {
		t.Fatal(err)
	}
	return statusOf(string(all)), string(all)
}

func statusOf(answer string) int {
	var status int
	if _, err := fmt.Sscanf(answer, "HTTP/1.1 %d", &status); err != nil {
		return 0
	}
	return status
}

func hostOf(url string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return host
}

// listeners starts one of each sort.
func listeners(t *testing.T, w *world) []listener {
	t.Helper()
	container, metadata, below := serve(t, w, address), serve(t, w, "--imds", address), beneath(t, w)
	const at = "/latest/meta-data/iam/security-credentials/payroll-api"
	imds := listener{name: "serve --imds", host: hostOf(metadata.url), path: at, token: "/latest/api/token"}
	_, answer := imds.send(t, imds.text(request{method: "PUT", path: imds.token, headers: []string{"X-aws-ec2-metadata-token-ttl-seconds: 600"}, naked: true}))
	_, token, _ := strings.Cut(answer, "\r\n\r\n")
	imds.header = "X-aws-ec2-metadata-token: " + token
	return []listener{
		{name: "serve", host: hostOf(container.url), path: "/credentials", header: "Authorization: " + container.token(t)},
		{name: "a session's path", host: hostOf(container.url), path: "/credentials/" + address, header: "Authorization: " + container.token(t)},
		{name: "the agent's path", host: hostOf(container.url), path: "/v1/credentials", header: "Authorization: " + container.token(t)},
		{name: "exec", host: hostOf(below.url), path: "/credentials", header: "Authorization: " + below.token(t)},
		imds,
	}
}

// beneath starts a child of stile exec, and tells where it finds its credentials.
func beneath(t *testing.T, w *world) *served {
	t.Helper()
	script := `echo "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; echo "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"; cat >/dev/null`
	command := append(w.exec(), "sh", "-c", script)
	cmd := w.Command(t, command[0], command[1:]...)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Cancel = func() error { return nil } // stop does it, before the context ends it
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	v := &served{errs: &strings.Builder{}, pid: cmd.Process.Pid}
	for _, at := range []*string{&v.url, &v.file} {
		line, err := lines.ReadString('\n')
		must(t, err)
		*at = strings.TrimSpace(line)
	}
	var once sync.Once
	v.stop = func() {
		once.Do(func() {
			must(t, in.Close())
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("stile exec ended with %v", err)
			}
		})
	}
	v.kill = func() {
		once.Do(func() {
			must(t, cmd.Process.Kill())
			_ = in.Close() // its child ends by that
			_ = cmd.Wait() // killed
		})
	}
	t.Cleanup(v.stop)
	return v
}

// TestOnlyWhoMayIsAnswered sends each listener what is answered, and then what
// differs from it in one thing.
func TestOnlyWhoMayIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, l := range listeners(t, w) {
		t.Run(l.name, func(t *testing.T) {
			if status, answer := l.send(t, l.text(request{})); status != http.StatusOK || !strings.Contains(answer, "ASIA") {
				t.Fatalf("who may is answered with %s", answer)
			}
			_, port, _ := net.SplitHostPort(l.host)
			name, value, _ := strings.Cut(l.header, ": ")
			for _, c := range []struct {
				what   string
				change request
				status int
			}{
				{"a foreign Host, as after DNS rebinding", request{host: "evil.example:" + port}, 403},
				{"a foreign Host without port", request{host: "evil.example"}, 403},
				{"localhost by name", request{host: "localhost:" + port}, 403},
				{"another loopback address", request{host: "127.0.0.2:" + port}, 403},
				{"a foreign Host in the request line", request{path: "http://evil.example" + l.path}, 403},
				{"a cross-origin request", request{headers: []string{"Origin: https://evil.example"}}, 403},
				{"a page's own origin", request{headers: []string{"Origin: http://" + l.host}}, 403},
				{"a browser's navigation", request{headers: []string{"Sec-Fetch-Site: none"}}, 403},
				{"a forwarded request", request{headers: []string{"X-Forwarded-For: 10.0.0.1"}}, 403},
				{"a forwarded request, by the standard", request{headers: []string{"Forwarded: for=10.0.0.1"}}, 403},
				{"no token", request{naked: true}, 401},
				{"an empty token", request{naked: true, headers: []string{name + ": "}}, 401},
				{"another token", request{naked: true, headers: []string{name + ": " + value + "x"}}, 401},
				{"the beginning of the token", request{naked: true, headers: []string{name + ": " + value[:8]}}, 401},
				{"another path", request{path: l.path + "/x"}, 404},
				{"a path that climbs", request{path: "/x/.." + l.path}, 404},
				{"a path that climbs, encoded", request{path: "/%2e%2e" + l.path}, 404},
				{"a doubled slash", request{path: "/" + l.path}, 404},
				{"the root", request{path: "/"}, 404},
				{"HEAD", request{method: "HEAD"}, 405},
				{"POST", request{method: "POST", headers: []string{"Content-Length: 0"}}, 405},
				{"DELETE", request{method: "DELETE"}, 405},
				{"OPTIONS, as before a cross-origin request", request{method: "OPTIONS"}, 405},
				{"TRACE, which would echo the token", request{method: "TRACE"}, 405},
				{"a method of no protocol", request{method: "STEAL"}, 405},
				{"a tunnel", request{method: "CONNECT", path: l.host}, 0},
				{"headers without end", request{headers: []string{"X-Long: " + strings.Repeat("x", 1<<20)}}, 431},
				{"two Hosts", request{headers: []string{"Host: evil.example"}}, 400},
			} {
				status, answer := l.send(t, l.text(c.change))
				if status != c.status && (c.status != 0 || status < 400) {
					t.Errorf("%s: %d, want %d: %.200s", c.what, status, c.status, answer)
				}
				if strings.Contains(answer, "ASIA") || strings.Contains(answer, value) {
					t.Errorf("%s: the answer has credentials or the token in it", c.what)
				}
				w.quiet(t, answer)
			}
		})
	}
}

// TestMetadataTokensNeedATime holds the bounds of EC2's own.
func TestMetadataTokensNeedATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := serve(t, w, "--imds", address)
	l := listener{host: hostOf(server.url)}
	for _, c := range []struct {
		ttl    string // "" for none
		method string
		status int
	}{
		{"1", "PUT", 200}, {"21600", "PUT", 200}, {"", "PUT", 400}, {"0", "PUT", 400}, {"-1", "PUT", 400}, {"21601", "PUT", 400},
		{"99999999999999999999", "PUT", 400}, {"1.5", "PUT", 400}, {"sixty", "PUT", 400}, {"60", "GET", 405}, {"60", "POST", 405},
	} {
		r := request{method: c.method, path: "/latest/api/token", naked: true}
		if c.ttl != "" {
			r.headers = []string{"X-aws-ec2-metadata-token-ttl-seconds: " + c.ttl}
		}
		if status, answer := l.send(t, l.text(r)); status != c.status {
			t.Errorf("%s with %q: %s, want %d", c.method, c.ttl, answer, c.status)
		}
	}
	// Version 1 has no tokens, and is refused so that clients do not fall back to it.
	if status, _ := l.send(t, l.text(request{path: "/latest/meta-data/iam/security-credentials/", naked: true})); status != 401 {
		t.Errorf("version 1: %d, want 401", status)
	}
}

// TestAnotherUsersProcessIsRefused has a process of user nobody send what is
// answered when our own sends it, token and all.
func TestAnotherUsersProcessIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can be another user; internal/deliver/endpoint tests the other way round")
	}
	w := newWorld(t)
	const script = `import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_connection((host, int(port)))
s.sendall(sys.stdin.buffer.read())
while True:
    b = s.recv(65536)
    if not b: break
    sys.stdout.buffer.write(b)
`
	for _, l := range listeners(t, w) {
		for uid, want := range map[uint32]int{0: 200, 65534: 403} {
			cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", script, l.host)
			cmd.Dir, cmd.Env = "/", []string{}
			cmd.Stdin = strings.NewReader(l.text(request{}))
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, err := cmd.Output()
			if err != nil || statusOf(string(out)) != want {
				t.Errorf("%s, a process of user %d: %v, %s, want %d", l.name, uid, err, out, want)
			}
		}
	}
}

// TestSlowAndManyClients: who does not end its request is cut off, and does not
// keep a thousand others from being answered, by one session.
func TestSlowAndManyClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]bool{}
	for _, l := range listeners(t, w) {
		if seen[l.host] { // another path of the same server
			continue
		}
		seen[l.host] = true
		t.Run(l.name, func(t *testing.T) {
			before := w.sessions()
			slow, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.host)
			must(t, err)
			defer slow.Close()
			_, err = io.WriteString(slow, strings.TrimSuffix(l.text(request{}), "\r\n\r\n")+"\r\nX-Slow: ")
			must(t, err)
			var many sync.WaitGroup
			failed := make(chan string, 1000)
			for range 1000 {
				many.Go(func() {
					conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.host)
					if err != nil {
						failed <- err.Error()
						return
					}
					defer conn.Close()
					_, _ = io.WriteString(conn, l.text(request{})) // the answer tells
					if all, err := io.ReadAll(conn); statusOf(string(all)) != http.StatusOK || !bytes.Contains(all, []byte("ASIA")) {
						failed <- fmt.Sprintf("%v: %.300s", err, all)
					}
				})
			}
			many.Wait()
			close(failed)
			if n := len(failed); n > 0 {
				t.Errorf("%d of 1,000 requests at once were not answered, the first: %s", n, <-failed)
			}
			if n := w.sessions() - before; n != 0 {
				t.Errorf("%d sessions were made for them, want none: there is one", n)
			}
			if rest, err := io.ReadAll(slow); err != nil && len(rest) == 0 && !strings.Contains(err.Error(), "reset") || bytes.Contains(rest, []byte("ASIA")) {
				t.Errorf("the slow client: %v, %s, want to be cut off", err, rest)
			}
		})
	}
}
