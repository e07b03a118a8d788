package observe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

const streamARN = "arn:aws:dynamodb:us-east-1:222222222222:table/Orders/stream/2026-11-22T00:00:00.000"

// streaming gives the local AWS's tables, which have no streams, one each, under
// a key; its policy is as the DynamoDB API reference shows it.
type streaming struct{ door http.RoundTripper }

func (s streaming) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
	if operation != "DescribeTable" && operation != "GetResourcePolicy" {
		return s.door.RoundTrip(r)
	}
	asked, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(asked))
	if operation == "GetResourcePolicy" && bytes.Contains(asked, []byte("/stream/")) {
		return said(r, fmt.Sprintf(`{"Policy":%q,"RevisionId":"1"}`, policyOf(streamARN))), nil
	}
	resp, err := s.door.RoundTrip(r)
	if err != nil || operation != "DescribeTable" || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	var out struct{ Table map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, err
	}
	out.Table["StreamSpecification"] = map[string]any{"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}
	out.Table["LatestStreamArn"] = streamARN
	out.Table["SSEDescription"] = map[string]any{"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": fakeKey}
	body, err := json.Marshal(out)
	return said(r, string(body)), err
}

func said(r *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func TestATablesStreamHasAPolicyOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := furnish(t, localaws.Config{})
		a := fill(t, f.World, streaming{f.fakes}, whole()).Accounts[scopetest.Orders]
		want := &inventory.Resource{ARN: streamARN, Type: "dynamodb:stream", Policy: policyOf(streamARN), PolicyState: inventory.Exists, Tags: map[string]string{}}
		if diff := cmp.Diff(want, a.Resources[streamARN]); diff != "" {
			t.Errorf("stream (-want +got):\n%s", diff)
		}
		if table := a.Resources["arn:aws:dynamodb:us-east-1:222222222222:table/Orders"]; table == nil || table.KMSKey != fakeKey {
			t.Errorf("table = %+v", table)
		}
	})
}
