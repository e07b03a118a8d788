// Package conformance compares package wire with botocore, which knows the AWS
// protocols from the other side: random valid inputs serialised by botocore are
// read by us, random outputs and all errors written by us are parsed by
// botocore. Every case has to be equal; what cannot be compared, and why, is in
// KNOWN.md.
package conformance_test

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/wire"
)

const requestID = "7c1f4a2e-0d53-4f6c-9a51-3a2b7f6f2f10"

// seed makes a run repeatable; another number gives other values.
const seed = 1

// rounds is the number of cases an operation: all members, required ones only,
// a random selection.
const rounds = 3

// score counts the cases of one service.
type score struct {
	total, equal, exact int
	failures            []string
}

func (s *score) add(t *testing.T, name string, got, want any, problem string) {
	t.Helper()
	s.total++
	if problem == "" && cmp.Equal(got, want) {
		s.exact++
		s.equal++
		return
	}
	if problem == "" && cmp.Equal(pruned(got), pruned(want)) {
		s.equal++
		return
	}
	if problem == "" {
		problem = cmp.Diff(pruned(want), pruned(got))
	}
	s.failures = append(s.failures, fmt.Sprintf("%s: %s", name, problem))
}

// report prints the table's row and every difference.
func (s *score) report(t *testing.T, service, what string) {
	t.Helper()
	t.Logf("%-16s %-8s %5d cases %5d equal (%.2f %%) %5d exact", service, what, s.total, s.equal, 100*float64(s.equal)/float64(max(s.total, 1)), s.exact)
	if s.total == 0 {
		t.Errorf("%s %s: nothing was compared", service, what)
	}
	for _, failure := range s.failures {
		t.Errorf("%s %s %s", service, what, failure)
	}
}

func TestBotocoreAgreesOnOurModels(t *testing.T) {
	againstBotocore(t, ourModels)
}

// Debian's botocore brings models of 2022: constraints and statuses that AWS
// changed since are compared on our models only, everything else on both.
func TestBotocoreAgreesOnItsOwnModels(t *testing.T) {
	againstBotocore(t, ownModels)
}

const (
	ourModels = "../../internal/localaws/wire/models"
	ownModels = "own"
)

func againstBotocore(t *testing.T, models string) {
	t.Helper()
	for _, o := range oracles(t, models) {
		t.Run("botocore "+o.version, func(t *testing.T) {
			for _, service := range wire.Services() {
				if models == ownModels && !slices.Contains(o.services, service) {
					continue // AWS did not have it when this botocore was made
				}
				t.Run(service, func(t *testing.T) {
					t.Parallel()
					model := load(t, service)
					g := o.generate(t, service, seed, rounds)
					inputs(t, model, o, g)
					outputs(t, model, o, g)
					failures(t, model, o, g)
				})
			}
		})
	}
}

func inputs(t *testing.T, model *wire.Model, o oracle, g generated) {
	t.Helper()
	var s score
	for _, c := range g.Inputs {
		if _, ok := model.Operation(c.Operation); !ok {
			continue // removed from AWS since this botocore
		}
		c.Valid = c.Valid && o.models == ourModels
		got, problem := readInput(t, model, c)
		s.add(t, c.Operation, got, normal(c.Value), problem)
	}
	s.report(t, model.Service, "inputs")
}

// readInput runs one request through Match, Decode and, where the value is
// valid, Validate.
func readInput(t *testing.T, model *wire.Model, c inputCase) (value any, problem string) {
	t.Helper()
	inType, _, _ := operationTypes(model.Service, c.Operation)
	return readInputAs(t, model, c, inType)
}

func readInputAs(t *testing.T, model *wire.Model, c inputCase, inType reflect.Type) (value any, problem string) {
	t.Helper()
	r := c.Request.http(t)
	body, e := wire.ReadBody(r, 1<<20)
	if e != nil {
		return nil, e.Error()
	}
	op, e := model.Match(r, body)
	if e != nil {
		return nil, e.Error()
	}
	if op.Name != c.Operation {
		return nil, "matched " + op.Name
	}
	in := reflect.New(inType)
	if e := op.Decode(r, body, in.Interface()); e != nil {
		return nil, e.Error()
	}
	if c.Valid {
		if e := op.Validate(in.Interface()); e != nil {
			return nil, e.Error()
		}
	}
	return plain(in), ""
}

func outputs(t *testing.T, model *wire.Model, o oracle, g generated) {
	t.Helper()
	var questions []any
	var cases []outputCase
	var s score
	for _, c := range g.Outputs {
		op, ok := model.Operation(c.Operation)
		if !ok {
			continue
		}
		response, err := writeOutput(model, op, c)
		if err != nil {
			s.add(t, c.Operation, nil, nil, err.Error())
			continue
		}
		cases = append(cases, c)
		questions = append(questions, question{"parse", model.Service, c.Operation, response})
	}
	for i, answer := range o.parse(t, questions) {
		problem := answer.Failed
		if problem == "" && answer.RequestID != requestID {
			problem = "request id " + answer.RequestID
		}
		s.add(t, cases[i].Operation, normal(answer.Value), normal(cases[i].Value), problem)
	}
	s.report(t, model.Service, "outputs")
}

func writeOutput(model *wire.Model, op *wire.Operation, c outputCase) (response, error) {
	_, outType, _ := operationTypes(model.Service, c.Operation)
	return writeOutputAs(op, c, outType)
}

func writeOutputAs(op *wire.Operation, c outputCase, outType reflect.Type) (response, error) {
	out := reflect.New(outType)
	if err := fill(out.Elem(), c.Value); err != nil {
		return response{}, err
	}
	w := httptest.NewRecorder()
	if err := op.Encode(w, requestID, out.Interface()); err != nil {
		return response{}, err
	}
	return recorded(w), nil
}

// failures compares every modelled error: code, message, status, fault and
// members.
func failures(t *testing.T, model *wire.Model, o oracle, g generated) {
	t.Helper()
	var questions []any
	statuses := make([]int, len(g.Errors))
	for i, c := range g.Errors {
		w := writeError(model, c)
		statuses[i] = w.Code
		questions = append(questions, question{"parse", model.Service, c.Operation, recorded(w)})
	}
	var s score
	for i, answer := range o.parse(t, questions) {
		c := g.Errors[i]
		got := map[string]any{
			"code": answer.Code, "message": answer.Message, "status": statuses[i], "shape": answer.Shape,
			"value": normal(answer.Value), "requestID": answer.RequestID,
		}
		want := map[string]any{
			"code": c.Code, "message": message(c), "status": wantStatus(c), "shape": c.Shape,
			"value": normal(c.Value), "requestID": requestID,
		}
		if o.models == ownModels {
			delete(got, "status")
			delete(want, "status")
		}
		if model.Protocol == wire.Query {
			got["type"], want["type"] = answer.Type, "Sender"
			if wantStatus(c) >= 500 {
				want["type"] = "Receiver"
			}
			// The models of IAM and STS call the member "message", AWS and we
			// write <Message>, and botocore minds the case. The text has been
			// compared above.
			delete(want["value"].(map[string]any), "Message")
			delete(got["value"].(map[string]any), "Message")
		}
		s.add(t, c.Shape, got, want, answer.Failed)
	}
	s.report(t, model.Service, "errors")
}

func message(c errorCase) string {
	text, _ := c.Value["Message"].(string)
	return text
}

func wantStatus(c errorCase) int {
	switch {
	case c.Status != 0:
		return c.Status
	case c.Fault:
		return 500
	}
	return 400
}

// writeError gives the error by the name of its shape, as handlers may.
func writeError(model *wire.Model, c errorCase) *httptest.ResponseRecorder {
	e := model.NewError(c.Shape, "%s", message(c))
	e.Fields = map[string]any{}
	for name, value := range c.Value {
		if name != "Message" {
			e.Fields[name] = value
		}
	}
	w := httptest.NewRecorder()
	model.EncodeError(w, requestID, e)
	return w
}

func TestEqualOutputsGiveEqualBytes(t *testing.T) {
	model := load(t, "dynamodb")
	op, _ := model.Operation("GetItem")
	var first []byte
	for range 20 {
		var value any
		decode(t, []byte(`{"Item":{"c":{"S":"3"},"a":{"S":"1"},"b":{"M":{"y":{"N":"2"},"x":{"N":"1"}}}}}`), &value)
		_, outType, _ := operationTypes("dynamodb", "GetItem")
		out := reflect.New(outType)
		if err := fill(out.Elem(), value); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := op.Encode(w, requestID, out.Interface()); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = w.Body.Bytes()
		}
		if !bytes.Equal(first, w.Body.Bytes()) {
			t.Fatalf("the same output was written as %s and as %s", first, w.Body.Bytes())
		}
	}
}
