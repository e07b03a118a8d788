package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/machine"
)

// generated is what the oracle made for one service.
type generated struct {
	Inputs  []inputCase
	Outputs []outputCase
	Errors  []errorCase
}

type inputCase struct {
	Operation string
	Value     any
	// Valid says that the value meets all constraints of the model.
	Valid   bool
	Request request
}

type outputCase struct {
	Operation string
	Value     any
}

type errorCase struct {
	Shape     string
	Code      string
	Status    int
	Fault     bool
	Operation string
	Value     map[string]any
}

type request struct {
	Method  string
	URL     string
	Headers map[string]string
	Body    []byte
}

func (r request) http(tb testing.TB) *http.Request {
	tb.Helper()
	out, err := http.NewRequestWithContext(tb.Context(), r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		tb.Fatal(err)
	}
	for name, value := range r.Headers {
		out.Header.Set(name, value)
	}
	return out
}

type response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func recorded(w *httptest.ResponseRecorder) response {
	headers := map[string]string{}
	for name, values := range w.Header() {
		headers[name] = values[0]
	}
	return response{Status: w.Code, Headers: headers, Body: base64.StdEncoding.EncodeToString(w.Body.Bytes())}
}

// parsed is botocore's reading of a response.
type parsed struct {
	Failed         string
	Value          any
	RequestID      string
	Code           string
	Message        string
	Type           string
	QueryErrorCode string
	Shape          string
}

// oracle is a botocore subprocess that answers line by line.
type oracle struct {
	python, models string
	version        string
	services       []string // of its own models
}

// oracles returns one oracle for each botocore on this machine, or skips the
// test; in CI there has to be one.
func oracles(t *testing.T, models string) []oracle {
	t.Helper()
	var found []oracle
	seen := map[string]bool{}
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		out, err := exec.CommandContext(t.Context(), python, "-c", "import botocore.session as s; print(s.__version__, *s.get_session().get_available_services())").Output()
		words := strings.Fields(string(out))
		if err != nil || len(words) == 0 || seen[words[0]] {
			continue
		}
		seen[words[0]] = true
		found = append(found, oracle{python: python, models: models, version: words[0], services: words[1:]})
	}
	if len(found) == 0 {
		machine.Needs(t, "python3 with botocore", errors.New("neither python3 nor /usr/bin/python3 has it"))
	}
	return found
}

// ask sends all questions and calls answer with each answer in turn.
func (o oracle) ask(t *testing.T, questions []any, answer func(i int, line []byte)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), o.python, "oracle.py", o.models)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- send(in, questions) }()
	lines := bufio.NewReaderSize(out, 1<<20)
	for i := range questions {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("answer %d of %d: %v\n%s", i, len(questions), err, stderr.String())
		}
		answer(i, line)
	}
	if err := errors.Join(<-sent, cmd.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
}

func send(in io.WriteCloser, questions []any) error {
	w := bufio.NewWriter(in)
	encoder := json.NewEncoder(w)
	for _, question := range questions {
		if err := encoder.Encode(question); err != nil {
			return err
		}
	}
	return errors.Join(w.Flush(), in.Close())
}

// generate asks for random values of a service's operations and errors.
func (o oracle) generate(t *testing.T, service string, seed, rounds int) generated {
	t.Helper()
	var g generated
	question := map[string]any{"do": "generate", "service": service, "seed": seed, "rounds": rounds}
	o.ask(t, []any{question}, func(_ int, line []byte) { decode(t, line, &g) })
	return g
}

// question is one response to parse.
type question struct {
	Do        string   `json:"do"`
	Service   string   `json:"service"`
	Operation string   `json:"operation"`
	Response  response `json:"response"`
}

func (o oracle) parse(t *testing.T, questions []any) []parsed {
	t.Helper()
	answers := make([]parsed, len(questions))
	o.ask(t, questions, func(i int, line []byte) { decode(t, line, &answers[i]) })
	return answers
}

// decode keeps numbers as they were written.
func decode(tb testing.TB, data []byte, into any) {
	tb.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		tb.Fatalf("decoding %.200s: %v", data, err)
	}
}
