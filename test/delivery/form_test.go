package delivery_test

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// form is a way in which credentials get to a client.
type form struct {
	name string
	// start starts a client that is to find the credentials of address.
	start func(t *testing.T, w *world, c client) *conversation
	// fixed forms hand credentials over once.
	fixed bool
	// files forms need clients that know token files.
	files bool
}

func forms() []form {
	return []form{
		{name: "credential_process", start: byProcess},
		{name: "exec", start: func(t *testing.T, w *world, c client) *conversation {
			flags := []string(nil)
			if c.old {
				flags = []string{"--token-in-env"}
			}
			return talk(t, w, c, w.exec(flags...), w.Env)
		}},
		{name: "exec --env", fixed: true, start: func(t *testing.T, w *world, c client) *conversation {
			return talk(t, w, c, w.exec("--env"), w.Env)
		}},
		{name: "serve, token file", files: true, start: func(t *testing.T, w *world, c client) *conversation {
			v := serve(t, w, address)
			return talk(t, w, c, nil, append(w.base, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+v.url, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+v.file))
		}},
		{name: "serve, token, a path a session", start: func(t *testing.T, w *world, c client) *conversation {
			v := serve(t, w, address)
			return talk(t, w, c, nil, append(w.base, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+v.url+"/"+address, "AWS_CONTAINER_AUTHORIZATION_TOKEN="+v.token(t)))
		}},
		{name: "serve, as the Pod Identity agent", files: true, start: func(t *testing.T, w *world, c client) *conversation {
			v := serve(t, w, address)
			return talk(t, w, c, nil, append(w.base, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+v.agent(), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+v.file))
		}},
		{name: "serve --imds, version 1 disabled", start: byIMDS("AWS_EC2_METADATA_V1_DISABLED=true")},
		{name: "serve --imds, version 1 enabled", start: byIMDS("AWS_EC2_METADATA_V1_DISABLED=false")},
		{name: "env in sh", fixed: true, start: func(t *testing.T, w *world, c client) *conversation {
			script := `eval "$(stile env --format bash --token-file ` + w.token + " " + address + `)"; exec "$@"`
			return talk(t, w, c, []string{"sh", "-ec", script, "sh"}, w.Env)
		}},
	}
}

// exec is the beginning of a command below stile exec.
func (w *world) exec(flags ...string) []string {
	return append(append([]string{"stile", "exec", "--token-file", w.token}, flags...), address, "--")
}

func byProcess(t *testing.T, w *world, c client) *conversation {
	config := w.Write(t, strings.NewReplacer("/", "-").Replace(c.name)+".config", "")
	r := w.Stile(t, []string{"AWS_CONFIG_FILE=" + config}, "config", "write", "--yes", "--token-file", w.token, address)
	if r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	return talk(t, w, c, nil, append(w.base, "AWS_CONFIG_FILE="+config, "AWS_PROFILE=orders-prod-payroll-api"))
}

func byIMDS(setting string) func(*testing.T, *world, client) *conversation {
	return func(t *testing.T, w *world, c client) *conversation {
		v := serve(t, w, "--imds", address)
		return talk(t, w, c, nil, append(w.base, "AWS_EC2_METADATA_SERVICE_ENDPOINT="+v.url, "AWS_EC2_METADATA_DISABLED=false", setting, "STEADY=1"))
	}
}

// served is a running stile serve.
type served struct {
	url, file string
	pid       int
	stop      func() // by an interrupt
	kill      func()
	errs      *strings.Builder // once it has ended
}

func (v *served) token(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(v.file)
	must(t, err)
	return string(text)
}

// agent is the URL that the Pod Identity agent would have.
func (v *served) agent() string { return strings.TrimSuffix(v.url, "/credentials") + "/v1/credentials" }

// serve starts stile serve.
func serve(t *testing.T, w *world, args ...string) *served {
	t.Helper()
	cmd := w.Command(t, "stile", append([]string{"serve", "--json", "--token-file", w.token}, args...)...)
	v := &served{errs: &strings.Builder{}}
	cmd.Stderr = v.errs
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	dec := json.NewDecoder(out)
	var what struct{ Variables map[string]string }
	if err := dec.Decode(&what); err != nil {
		t.Fatalf("stile serve ended: %v, %s", err, v.errs)
	}
	v.url = cmp.Or(what.Variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], what.Variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"])
	v.file = what.Variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]
	ended := false
	end := func(sig os.Signal) func() {
		return func() {
			if ended {
				return
			}
			ended = true
			must(t, cmd.Process.Signal(sig))
			_, _ = io.Copy(io.Discard, out)
			if err := cmd.Wait(); sig != os.Kill && cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("stile serve, interrupted: %v: %s", err, v.errs)
			}
		}
	}
	w.serving = append(w.serving, v)
	v.stop, v.kill = end(syscall.SIGTERM), end(os.Kill)
	cmd.Cancel = func() error { return nil } // stop does it, before the context ends it
	t.Cleanup(v.stop)
	return v
}
