package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Profiles that ask stile for their credentials.
func (w *world) writeProcessProfiles(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(w.file("config"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	for name, address := range map[string]string{
		"by-stile": "orders-prod/payroll-api", "by-stile-chain": "orders-prod/target-account-iam-role", "by-stile-nowhere": "orders-prod/nowhere",
	} {
		_, err := f.WriteString("[profile " + name + "]\nregion = " + region + "\ncredential_process = " + w.stile + " credential-process " + address + "\n")
		must(t, err)
	}
	must(t, f.Close())
}

// TestCredentialProcess lets every client get its credentials from stile.
func TestCredentialProcess(t *testing.T) {
	t.Parallel()
	all := kinds(t)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, d)
			w.writeProcessProfiles(t)
			for _, k := range all {
				t.Run(k.name, func(t *testing.T) {
					t.Parallel()
					c := k.start(t, w)
					role := func(profile, prefix string) {
						got := want(t, c, step{call: whoami(profile), output: in{"Account": "222222222222"}})
						if arn, _ := lookup(got.Output, "Arn").(string); !strings.HasPrefix(arn, "arn:aws:sts::222222222222:assumed-role/"+prefix) {
							t.Errorf("profile %s is %s", profile, arn)
						}
					}
					role("by-stile", "payroll-api/")
					role("by-stile-chain", "target-account-iam-role/")
					want(t, c, step{call: call{Profile: "by-stile", Service: "secretsmanager", Operation: "GetSecretValue", Input: in{"SecretId": w.secret}}, output: in{"SecretString": secretText}})
					want(t, c, step{call: call{Profile: "by-stile-chain", Service: "eks", Operation: "ListClusters", Input: in{}}, output: in{"clusters.0": "target"}})
					if got := c.call(t, whoami("by-stile-nowhere")); got.Other == "" {
						t.Errorf("a role that no declaration has: %+v, want the client to report what stile said", got)
					}
				})
			}
		})
	}
}

// TestExec runs clients below stile exec, which gives them an endpoint for
// their credentials, or an environment.
func TestExec(t *testing.T) {
	t.Parallel()
	clis, pythons := programs(t, "aws", "--version"), programs(t, "python3", boto3Version...)
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, d)
			for _, p := range clis {
				args := []string{p.path, "sts", "get-caller-identity", "--query", "Arn", "--output", "text"}
				t.Run("cli "+p.version, func(t *testing.T) { w.execs(t, p, w.givenEndpoint(p, args)) })
			}
			for _, p := range pythons {
				script := "import boto3, os; print(boto3.client('sts', endpoint_url=os.environ.get('AWS_ENDPOINT_URL')).get_caller_identity()['Arn'])"
				t.Run("boto3 "+p.version, func(t *testing.T) { w.execs(t, p, []string{p.path, "-c", script}) })
			}
			t.Run("a command that fails", func(t *testing.T) {
				if out, code := w.runStile(t, "exec", "orders-prod/payroll-api", "--", "/bin/sh", "-c", "exit 7"); code != 7 {
					t.Errorf("exit %d, want the command's 7: %s", code, out)
				}
			})
		})
	}
}

// givenEndpoint adds --endpoint-url for an AWS CLI that knows no AWS_ENDPOINT_URL.
func (w *world) givenEndpoint(p program, args []string) []string {
	if w.proxy || p.endpointURL {
		return args
	}
	return append(args, "--endpoint-url", w.running.URL)
}

// execs runs a command that prints who it is, in each way that stile exec has.
// Clients from before AWS_ENDPOINT_URL know no token files either.
func (w *world) execs(t *testing.T, p program, command []string) {
	t.Helper()
	endpoint := []string(nil)
	if !p.endpointURL {
		endpoint = []string{"--token-in-env"}
	}
	for _, flags := range [][]string{endpoint, {"--env"}} {
		for address, prefix := range map[string]string{
			"orders-prod/payroll-api": "payroll-api/", "orders-prod/target-account-iam-role": "target-account-iam-role/",
		} {
			args := append(append([]string{"exec"}, flags...), address, "--")
			out, code := w.runStile(t, append(args, command...)...)
			if arn := strings.TrimSpace(out); code != 0 || !strings.HasPrefix(arn, "arn:aws:sts::222222222222:assumed-role/"+prefix) {
				t.Errorf("stile %v %v: exit %d, %s", args, command, code, arn)
			}
		}
	}
}

// TestProviders chains the SDK's own providers by hand, as Go programs do.
func TestProviders(t *testing.T) {
	t.Parallel()
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, d)
			cfg := w.goConfig(t)
			hub := cfg.Copy()
			hub.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), hubRole, stscreds.IdentityTokenFile(w.tokenFile("ci"))))
			target := cfg.Copy()
			target.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(hub), targetRole, func(o *stscreds.AssumeRoleOptions) {
				o.RoleSessionName = "xactarget"
				o.Duration = 15 * time.Minute
			}))
			out, err := sts.NewFromConfig(target).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			must(t, err)
			if got, want := aws.ToString(out.Arn), "arn:aws:sts::222222222222:assumed-role/target-account-iam-role/xactarget"; got != want {
				t.Errorf("the end of the chain is %s, want %s", got, want)
			}
			credentials, err := target.Credentials.Retrieve(t.Context())
			must(t, err)
			if left := time.Until(credentials.Expires); left > 15*time.Minute || left < 14*time.Minute {
				t.Errorf("the session lasts %v, want what was asked for", left)
			}
		})
	}
}

// goConfig is the SDK's configuration for a world's door, without credentials.
func (w *world) goConfig(t *testing.T) aws.Config {
	t.Helper()
	options := []func(*config.LoadOptions) error{
		config.WithRegion(region), config.WithSharedConfigFiles([]string{}), config.WithSharedCredentialsFiles([]string{}),
		config.WithCredentialsProvider(aws.AnonymousCredentials{}),
	}
	if w.proxy {
		bundle, err := os.ReadFile(w.running.CABundle)
		must(t, err)
		options = append(options, config.WithCustomCABundle(bytes.NewReader(bundle)), config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(w.throughProxy)))
	} else {
		options = append(options, config.WithBaseEndpoint(w.running.URL))
	}
	cfg, err := config.LoadDefaultConfig(t.Context(), options...)
	must(t, err)
	return cfg
}

// TestStartedByHand follows what stile local start prints: a shell evaluates it,
// and the AWS CLI works.
func TestStartedByHand(t *testing.T) {
	t.Parallel()
	clis := programs(t, "aws", "--version")
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := &world{door: d, dir: t.TempDir()}
			self, err := os.Executable()
			must(t, err)
			w.stile = w.file("stile")
			must(t, os.Symlink(self, w.stile))
			exports, stop := w.startByHand(t)
			for _, p := range clis {
				args := []string{p.path, "--profile", "tooling", "--output", "text", "--query", "Arn", "sts", "get-caller-identity"}
				if !d.proxy && !p.endpointURL {
					args = append(args, "--endpoint-url", "$AWS_ENDPOINT_URL")
				}
				script := exports + "\n" + strings.Join(args, " ") + "\n" + w.stile + " local token payroll/api"
				cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
				cmd.Env = w.bareEnv()
				out, err := cmd.CombinedOutput()
				arn, token, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
				if err != nil || arn != "arn:aws:iam::111111111111:user/Administrator" || strings.Count(token, ".") != 2 {
					t.Errorf("%s: %v\n%s", script, err, out)
				}
			}
			stop()
		})
	}
}

func (w *world) bareEnv() []string {
	return []string{"PATH=/usr/bin:/bin", "HOME=" + w.dir, "LC_ALL=C.UTF-8", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true"}
}

// startByHand runs stile local start and returns what it prints, and a function
// that interrupts it and checks that it ends well.
func (w *world) startByHand(t *testing.T) (exports string, stop func()) {
	t.Helper()
	args := []string{"local", "start", "--account", "tooling=111111111111", "--account", "orders-prod=222222222222", "--cluster", "tooling/ci",
		"--listen", "127.0.0.1:0", "--credentials", w.file("local-credentials")}
	if w.proxy {
		args = append(args, "--proxy", "--ca-bundle", w.file("ca.pem"))
	}
	cmd := exec.CommandContext(t.Context(), w.stile, args...)
	cmd.Env = w.bareEnv()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	for !strings.Contains(exports, "AWS_REGION") {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("stile local start ended: %v\n%s", err, errs.String())
		}
		exports += line
	}
	return exports, func() {
		must(t, cmd.Process.Signal(syscall.SIGINT))
		rest, err := io.ReadAll(lines)
		must(t, err)
		if err := cmd.Wait(); err != nil {
			t.Errorf("interrupted, it ended with %v: %s%s", err, rest, errs.String())
		}
		left, err := filepath.Glob(w.file(".local/state/stile/local/*.json"))
		must(t, err)
		if len(left) > 0 {
			t.Errorf("it left %v behind, with its control token", left)
		}
	}
}

// TestControlSteersWhatIsRunning moves the clock of a running local AWS by the
// command line and sees a token expire for a client.
func TestControlSteersWhatIsRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, doors[0])
	c := startGo(t, w)
	want(t, c, step{call: whoami("payroll"), output: in{"Account": "222222222222"}})
	w.mustStile(t, "local", "clock", "advance", "2h")
	want(t, c, step{call: whoami("payroll"), code: "ExpiredTokenException", status: 400, message: "Token expired: current date/time "})
	var denials []json.RawMessage
	must(t, json.Unmarshal([]byte(w.mustStile(t, "local", "denials")), &denials))
}
