package conformance_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

// The vectors are what botocore of this version sent, and what it understood of
// our answers; they are compared without Python. After a wanted change of the
// encoding, `go test ./test/conformance -record` with that botocore installed
// writes them anew, and only answers that botocore reads back as they were
// meant.
const (
	vectorsVersion = "1.43.11"
	vectorsFile    = "testdata/botocore-" + vectorsVersion + ".jsonl.gz"
	vectorsSeed    = 1000
	vectorsRounds  = 2
)

var record = flag.Bool("record", false, "write the recorded vectors anew")

// vectors is one line of the file.
type vectors struct {
	Service string
	Inputs  []inputCase
	Outputs []outputVector
	Errors  []errorVector
}

type outputVector struct {
	outputCase
	Response response
}

type errorVector struct {
	errorCase
	Response response
}

func TestRecordedVectors(t *testing.T) {
	if *record {
		recordVectors(t)
	}
	for _, v := range readVectors(t) {
		t.Run(v.Service, func(t *testing.T) {
			model := load(t, v.Service)
			var in, out, failed score
			for _, c := range v.Inputs {
				got, problem := readInput(t, model, c)
				in.add(t, c.Operation, got, normal(c.Value), problem)
			}
			in.report(t, v.Service, "inputs")
			for _, c := range v.Outputs {
				op, ok := model.Operation(c.Operation)
				if !ok {
					t.Errorf("operation %s is not in the model", c.Operation)
					continue
				}
				got, err := writeOutput(model, op, c.outputCase)
				if err != nil {
					t.Errorf("%s: %v", c.Operation, err)
				}
				out.add(t, c.Operation, readable(t, got), readable(t, c.Response), "")
			}
			out.report(t, v.Service, "outputs")
			for _, c := range v.Errors {
				failed.add(t, c.Shape, readable(t, recorded(writeError(model, c.errorCase))), readable(t, c.Response), "")
			}
			failed.report(t, v.Service, "errors")
		})
	}
}

// readable unpacks the body, so that differences can be read.
func readable(t *testing.T, r response) any {
	t.Helper()
	body, err := base64.StdEncoding.DecodeString(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]any{}
	for name, value := range r.Headers {
		headers[name] = value
	}
	return map[string]any{"status": r.Status, "headers": headers, "body": string(body)}
}

func readVectors(t *testing.T) []vectors {
	t.Helper()
	f, err := os.Open(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(unpacked)
	var all []vectors
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var v vectors
		decode(t, line, &v)
		all = append(all, v)
	}
	if len(all) != len(wire.Services()) {
		t.Errorf("vectors of %d services, want %d", len(all), len(wire.Services()))
	}
	return all
}

func recordVectors(t *testing.T) {
	t.Helper()
	for _, o := range oracles(t, ourModels) {
		if o.version != vectorsVersion {
			continue
		}
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range wire.Services() {
			line, err := json.Marshal(makeVectors(t, o, load(t, service)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, packed.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no botocore %s on this machine", vectorsVersion)
}

// makeVectors generates, encodes and has botocore confirm.
func makeVectors(t *testing.T, o oracle, model *wire.Model) vectors {
	t.Helper()
	g := o.generate(t, model.Service, vectorsSeed, vectorsRounds)
	outputs(t, model, o, g)
	failures(t, model, o, g)
	if t.Failed() {
		t.Fatalf("botocore does not agree on %s: nothing recorded", model.Service)
	}
	v := vectors{Service: model.Service, Inputs: g.Inputs}
	for _, c := range g.Outputs {
		op, _ := model.Operation(c.Operation)
		r, err := writeOutput(model, op, c)
		if err != nil {
			t.Fatal(err)
		}
		v.Outputs = append(v.Outputs, outputVector{c, r})
	}
	for _, c := range g.Errors {
		v.Errors = append(v.Errors, errorVector{c, recorded(writeError(model, c))})
	}
	return v
}

func TestADamagedVectorIsNoticed(t *testing.T) {
	var s score
	s.add(t, "GetRole", map[string]any{"RoleName": "a"}, map[string]any{"RoleName": "b"}, "")
	if len(s.failures) != 1 || s.equal != 0 {
		t.Errorf("a difference was not counted: %+v", s)
	}
	s.add(t, "ListRoles", map[string]any{}, map[string]any{"IsTruncated": false}, "")
	if s.equal != 1 || s.exact != 0 {
		t.Errorf("false and absent are to be equal and not exact: %+v", cmp.Diff(score{}, s, cmp.AllowUnexported(score{})))
	}
}
