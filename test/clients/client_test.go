package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// call is one API call: the names are AWS's, the input is as AWS writes it.
type call struct {
	Profile   string         `json:"profile"`
	Service   string         `json:"service"`
	Operation string         `json:"operation"`
	Input     map[string]any `json:"input"`
}

// answer is what a client made of the answer: output, or the code, message and
// HTTP status of an error.
type answer struct {
	Output  map[string]any `json:"output"`
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Status  int            `json:"status"` // 0 where the client does not tell
	Other   string         `json:"other"`  // an error that is not AWS's
}

// client makes calls; one call at a time.
type client interface {
	call(t *testing.T, c call) answer
	// forget drops credentials kept from earlier calls.
	forget(t *testing.T)
}

// kind is a sort of client on this machine. start makes one for a world, with
// further environment variables.
type kind struct {
	name string
	// endpointURL is the program's.
	endpointURL bool
	start       func(t *testing.T, w *world, env ...string) client
}

// kinds are all clients on this machine.
func kinds(t *testing.T) []kind {
	t.Helper()
	all := []kind{{"go", true, startGo}}
	for _, p := range programs(t, "aws", "--version") {
		all = append(all, kind{"cli " + p.version, p.endpointURL, func(_ *testing.T, w *world, env ...string) client { return &awsCLI{p, w, env, map[string][]string{}} }})
	}
	for _, p := range programs(t, "python3", boto3Version...) {
		all = append(all, kind{"boto3 " + p.version, p.endpointURL, func(t *testing.T, w *world, env ...string) client { return startBoto3(t, p, w, env) }})
	}
	return all
}

// program is a client installed here.
type program struct {
	path    string
	version string
	// endpointURL says that it knows AWS_ENDPOINT_URL, for the command and for
	// the roles on the way there.
	endpointURL bool
}

// programs finds a program by what it says of its version, one for each
// version: in Debian's place, under pyenv, on the PATH.
func programs(t *testing.T, name string, versionArgs ...string) []program {
	t.Helper()
	paths := []string{"/usr/bin/" + name}
	if under, err := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".pyenv/versions/*/bin", name)); err == nil {
		paths = append(paths, under...)
	}
	if found, err := exec.LookPath(name); err == nil && !strings.Contains(found, "/shims/") {
		paths = append(paths, found)
	}
	var all []program
	seen := map[string]bool{}
	for _, path := range paths {
		cmd := exec.CommandContext(t.Context(), path, versionArgs...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
		text, err := cmd.Output()
		if err != nil {
			continue
		}
		version := botocoreVersion(string(text))
		if version == "" || seen[version] {
			continue
		}
		seen[version] = true
		all = append(all, program{path, version, knowsEndpointURL(string(text))})
	}
	if len(all) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is no %s here; .ci/run installs it", name)
		}
		t.Logf("skipped: there is no %s here", name)
	}
	return all
}

// boto3Version makes Python tell which botocore it has; it fails without boto3.
var boto3Version = []string{"-c", "import boto3, botocore; print('botocore/' + botocore.__version__)"}

var (
	versions    = regexp.MustCompile(`(aws-cli|botocore)/(\d+)\.(\d+)\.(\d+)`)
	errorOfCLI  = regexp.MustCompile(`(?s)An error occurred \(([^)]+)\) when calling the (\w+) operation(?: \([^)]*\))?: (.*)`)
	wordInNames = regexp.MustCompile(`[A-Z]+[a-z0-9]*`)
)

func botocoreVersion(text string) string {
	m := versions.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[2] + "." + m[3] + "." + m[4]
}

// knowsEndpointURL: "AWS_ENDPOINT_URL" came with botocore 1.31.0, AWS CLI
// 1.29.0 and 2.13.0 (SDKs and tools reference guide, service-specific endpoints).
func knowsEndpointURL(text string) bool {
	m := versions.FindStringSubmatch(text)
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	switch {
	case m[1] == "botocore":
		return major > 1 || minor >= 31
	case major == 2:
		return minor >= 13
	}
	return minor >= 29
}

// kebab is get-caller-identity for GetCallerIdentity.
func kebab(operation string) string {
	operation = strings.ReplaceAll(operation, "OpenIDConnect", "OpenIdConnect")
	return strings.ToLower(strings.Join(wordInNames.FindAllString(operation, -1), "-"))
}

// awsCLI runs the command line anew for every call.
type awsCLI struct {
	program
	w    *world
	env  []string
	held map[string][]string // credentials got by hand, as environment, by profile
}

// home is where this one, and no other, caches the credentials of roles.
func (a *awsCLI) home() string { return a.w.file("home of " + a.version) }

// forget drops the credentials that are held and those that the command cached.
func (a *awsCLI) forget(t *testing.T) {
	t.Helper()
	clear(a.held)
	must(t, os.RemoveAll(a.home()))
}

func (a *awsCLI) call(t *testing.T, c call) answer {
	t.Helper()
	if a.w.proxy || a.endpointURL {
		return a.run(t, c, nil)
	}
	env, failed := a.enter(t, c.Profile)
	if failed != nil {
		return *failed
	}
	if env != nil {
		c.Profile = ""
	}
	return a.run(t, c, env)
}

// enter gets a profile's credentials by hand, role by role, with --endpoint-url
// on every command: what an AWS CLI needs that knows no AWS_ENDPOINT_URL. Nil
// means that the profile has keys of its own.
func (a *awsCLI) enter(t *testing.T, name string) ([]string, *answer) {
	t.Helper()
	p, ok := findProfile(name)
	if !ok || a.held[name] != nil {
		return a.held[name], nil
	}
	in := map[string]any{"RoleArn": p.role, "RoleSessionName": p.sessionName()}
	assume := call{Service: "sts", Operation: "AssumeRole", Input: in}
	if p.externalID != "" {
		in["ExternalId"] = p.externalID
	}
	if p.duration != 0 {
		in["DurationSeconds"] = p.duration
	}
	var env []string
	if p.token != "" {
		token, err := os.ReadFile(a.w.tokenFile(p.token))
		must(t, err)
		assume.Operation = "AssumeRoleWithWebIdentity"
		in["WebIdentityToken"] = string(token)
	} else {
		var failed *answer
		if env, failed = a.enter(t, p.source); failed != nil {
			return nil, failed
		}
		if env == nil {
			assume.Profile = p.source
		}
	}
	got := a.run(t, assume, env)
	if got.Code != "" || got.Other != "" {
		return nil, &got
	}
	keys := got.Output["Credentials"].(map[string]any)
	a.held[name] = []string{
		"AWS_ACCESS_KEY_ID=" + keys["AccessKeyId"].(string), "AWS_SECRET_ACCESS_KEY=" + keys["SecretAccessKey"].(string),
		"AWS_SESSION_TOKEN=" + keys["SessionToken"].(string),
	}
	return a.held[name], nil
}

func (p profile) sessionName() string {
	if p.session == "" {
		return "session"
	}
	return p.session
}

func (a *awsCLI) run(t *testing.T, c call, env []string) answer {
	t.Helper()
	in, err := json.Marshal(c.Input)
	must(t, err)
	args := []string{c.Service, kebab(c.Operation), "--output", "json", "--region", region, "--cli-input-json", string(in)}
	if c.Profile != "" {
		args = append(args, "--profile", c.Profile)
	}
	if !a.w.proxy && !a.endpointURL {
		args = append(args, "--endpoint-url", a.w.running.URL)
	}
	cmd := exec.CommandContext(t.Context(), a.path, args...)
	cmd.Env = append(append(a.w.env("HOME="+a.home()), a.env...), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	runErr := cmd.Run()
	if runErr == nil {
		got := answer{}
		if out.Len() > 0 {
			must(t, json.Unmarshal(out.Bytes(), &got.Output))
		}
		return got
	}
	m := errorOfCLI.FindStringSubmatch(errs.String())
	if m == nil {
		return answer{Other: errs.String() + runErr.Error()}
	}
	return answer{Code: m[1], Message: strings.TrimSpace(m[3])}
}

// conversation is a client that is a program of its own: a call is a line of
// JSON, and so is the answer.
type conversation struct {
	mu    sync.Mutex
	name  string
	in    io.Writer
	out   *bufio.Reader
	alien func() string // what it wrote to standard error
}

func converse(t *testing.T, name string, env []string, program string, args ...string) client {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = env
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	must(t, cmd.Start())
	var once sync.Once
	wait := func() string {
		once.Do(func() { _ = cmd.Wait() }) // it ends when its input does
		return errs.String()
	}
	t.Cleanup(func() { _ = in.Close(); wait() })
	return &conversation{name: name, in: in, out: bufio.NewReader(out), alien: wait}
}

func (c *conversation) call(t *testing.T, q call) answer {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	line, err := json.Marshal(q)
	must(t, err)
	_, err = c.in.Write(append(line, '\n'))
	must(t, err)
	text, err := c.out.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		t.Fatalf("%s ended: %s", c.name, c.alien())
	}
	must(t, err)
	var got answer
	must(t, json.Unmarshal(text, &got))
	return got
}

// forget has nothing to do: every call has a new session.
func (c *conversation) forget(*testing.T) {}

func startBoto3(t *testing.T, p program, w *world, env []string) client {
	t.Helper()
	if !w.proxy && !p.endpointURL {
		env = append(env, "BY_HAND=1") // see calls.py
	}
	script, err := filepath.Abs("testdata/calls.py")
	must(t, err)
	return converse(t, "boto3 "+p.version, w.env(env...), p.path, script)
}

func startGo(t *testing.T, w *world, env ...string) client {
	t.Helper()
	return converse(t, "go", w.env(env...), w.goClient())
}

// unescape undoes the URL encoding that IAM gives policies.
func unescape(t *testing.T, text string) string {
	t.Helper()
	out, err := url.QueryUnescape(text)
	must(t, err)
	return out
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}
