package service

import (
	"bytes"
	"encoding/xml"
	"net/http"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// unservedCode is the error of requests for a service that is not here. AWS
// has no such code, so that clients can tell.
const unservedCode = "UnknownService"

// unserved says that the service asked for is none of ours. The answer to HEAD
// has no body, so that its status has to say it: clients show "Not Implemented".
func unserved(m *wire.Model, r *http.Request, scope sigv4.Scope) *wire.Error {
	e := m.NewError(unservedCode, "the local AWS does not serve what this request asks for (signed for service %q, host %q, path %q)",
		scope.Service, r.Host, r.URL.Path)
	if r.Method == http.MethodHead {
		e.Status = http.StatusNotImplemented
	}
	return e
}

// foreign is e as clients of a service read it whose way of telling errors none
// of ours has: S3 without an envelope, EC2 with one of its own (S3 API
// reference, "Error responses"; EC2 API reference, "Error codes"). ok is false
// for all others.
func foreign(signedFor string, e *wire.Error, requestID string) (body []byte, ok bool) {
	open, end := "", ""
	switch signedFor {
	case "s3", "s3express", "s3-outposts":
		open, end = "<Error>", "<RequestId>"+requestID+"</RequestId></Error>"
	case "ec2":
		open, end = "<Response><Errors><Error>", "</Error></Errors><RequestID>"+requestID+"</RequestID></Response>"
	default:
		return nil, false
	}
	var b bytes.Buffer
	b.WriteString(xml.Header + open)
	for _, part := range [][2]string{{"Code", e.Code}, {"Message", e.Message}} {
		b.WriteString("<" + part[0] + ">")
		_ = xml.EscapeText(&b, []byte(part[1])) // a buffer takes everything
		b.WriteString("</" + part[0] + ">")
	}
	b.WriteString(end)
	return b.Bytes(), true
}

// refuse answers a request that never became a call.
func (k *Kernel) refuse(w http.ResponseWriter, route route, requestID string, e *wire.Error) {
	if body, ok := foreign(route.scope.Service, e, requestID); ok && e.Code == unservedCode {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(e.Status)
		_, _ = w.Write(body) // a client that has gone
		return
	}
	route.service.model.EncodeError(w, requestID, e)
}
