package delivery_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// client is a sort of client on this machine: a program that reads a word a
// call, "whoami" or "pages", and writes an answer a line.
type client struct {
	name    string
	command []string
	// old clients know no token files (botocore before 1.33, AWS CLI before 2.15).
	old bool
	// single clients are a new process for each call.
	single bool
}

// answer is what came of a call: its output, or what the client says of its failure.
type answer struct {
	Out   string `json:"out"`
	Error string `json:"error"`
}

// clients are those on this machine: Debian's and those on the PATH.
func clients(t *testing.T) []client {
	t.Helper()
	script, err := filepath.Abs("testdata/client.py")
	must(t, err)
	all := []client{{name: "go", command: []string{"go-client"}}}
	seen := map[string]bool{}
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		// The PATH may have a script there that needs our HOME; its interpreter does not.
		out, err := exec.CommandContext(t.Context(), python, "-c", "import sys; print(sys.executable)").Output()
		if err != nil {
			continue
		}
		python = strings.TrimSpace(string(out))
		for _, c := range []client{{name: "boto3", command: []string{python, script}}, {name: "aws", command: []string{"cli-client", filepath.Join(filepath.Dir(python), "aws")}, single: true}} {
			version, old := versionOf(t, &c)
			if version == "" || seen[version] {
				continue
			}
			seen[version] = true
			c.name, c.old = version, old
			all = append(all, c)
		}
	}
	for _, want := range []string{"boto3", "aws-cli"} {
		if !strings.Contains(fmt.Sprint(all), want) {
			if os.Getenv("CI") != "" {
				t.Fatalf("there is no %s here; .ci/run installs it", want)
			}
			t.Logf("skipped: there is no %s here", want)
		}
	}
	return all
}

var version = regexp.MustCompile(`(boto3|aws-cli)/(\d+)\.(\d+)\.\d+`)

// versionOf says which version a client is, "" when it is not there.
func versionOf(t *testing.T, c *client) (name string, old bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.command[0], "-c", "import boto3, botocore; print('boto3/' + botocore.__version__)")
	if c.single {
		cmd = exec.CommandContext(t.Context(), c.command[1], "--version")
	}
	out, err := cmd.Output()
	m := version.FindStringSubmatch(string(out))
	if err != nil || m == nil {
		return "", false
	}
	major, _ := strconv.Atoi(m[2])
	minor, _ := strconv.Atoi(m[3])
	least := map[string]int{"boto3/1": 33, "aws-cli/1": 31, "aws-cli/2": 15}[m[1]+"/"+strconv.Itoa(major)]
	return m[0], minor < least
}

// conversation is a client that runs.
type conversation struct {
	client
	in   io.WriteCloser
	out  *bufio.Reader
	errs *os.File // its standard error
}

// talk starts a client below a command, or by itself.
func talk(t *testing.T, w *world, c client, under, env []string) *conversation {
	t.Helper()
	command := append(append([]string(nil), under...), c.command...)
	cmd := w.Command(t, command[0], command[1:]...)
	cmd.Env = env
	errs, err := os.CreateTemp(t.TempDir(), "stderr")
	must(t, err)
	v := &conversation{client: c, errs: errs}
	v.in, err = cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	v.out, cmd.Stderr = bufio.NewReader(out), v.errs
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = v.in.Close() // it ends when its input does
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("%s ended with %v: %s", c.name, err, v.stderr())
		}
		must(t, errs.Close())
	})
	return v
}

// stderr is what the client has written to standard error so far.
func (v *conversation) stderr() string {
	text, err := os.ReadFile(v.errs.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// call makes a call.
func (v *conversation) call(t *testing.T, word string) answer {
	t.Helper()
	v.ask(t, word)
	return v.hear(t)
}

// ask begins a call, and hear has its answer: many clients can be at it at once.
func (v *conversation) ask(t *testing.T, word string) {
	t.Helper()
	_, err := io.WriteString(v.in, word+"\n")
	must(t, err)
}

func (v *conversation) hear(t *testing.T) answer {
	t.Helper()
	line, err := v.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s ended: %v\n%s", v.name, err, v.stderr())
	}
	var a answer
	decode(t, line, &a)
	return a
}

// is fails unless the client is the role, and gives the access key it used.
func (v *conversation) is(t *testing.T, w *world, arn string) (key string) {
	t.Helper()
	if got := v.call(t, "whoami"); got.Out != arn {
		t.Fatalf("%s is %q, want %s; %s\n%s", v.name, got.Out, arn, got.Error, v.stderr())
	}
	calls := w.used("GetCallerIdentity")
	return calls[len(calls)-1].key
}

// converse is the main of the clients that are this test binary.
func converse(in io.Reader, out io.Writer, answered func(word string) answer) int {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if json.NewEncoder(out).Encode(answered(lines.Text())) != nil {
			return 1
		}
	}
	return 0
}

var goConfig *aws.Config

// goAnswer makes a call by the AWS SDK for Go as a program of any user would:
// config.LoadDefaultConfig, once.
func goAnswer(word string) answer {
	ctx := context.Background()
	out, err := func() (string, error) {
		if goConfig == nil {
			cfg, err := config.LoadDefaultConfig(ctx)
			if err != nil {
				return "", err
			}
			goConfig = &cfg
		}
		if word == "pages" {
			return goPages(ctx, *goConfig)
		}
		got, err := sts.NewFromConfig(*goConfig).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return *got.Arn, nil
	}()
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Out: out}
}

func goPages(ctx context.Context, cfg aws.Config) (string, error) {
	n := 0
	pages := iam.NewListRolesPaginator(iam.NewFromConfig(cfg), &iam.ListRolesInput{MaxItems: aws.Int32(1)})
	for ; pages.HasMorePages(); n++ {
		if _, err := pages.NextPage(ctx); err != nil {
			return "", err
		}
	}
	return strconv.Itoa(n), nil
}

// cliAnswer runs an AWS CLI for every call.
func cliAnswer(aws string) func(word string) answer {
	return func(word string) answer {
		args := []string{"--endpoint-url", os.Getenv("AWS_ENDPOINT_URL"), "--output", "text", "sts", "get-caller-identity", "--query", "Arn"}
		if word == "pages" {
			args = append(args[:4:4], "iam", "list-roles", "--page-size", "1", "--query", "length(Roles)")
		}
		cmd := exec.CommandContext(context.Background(), aws, args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			return answer{Error: fmt.Sprintf("%v: %s", err, errs.String())}
		}
		return answer{Out: strings.TrimSpace(out.String())}
	}
}
