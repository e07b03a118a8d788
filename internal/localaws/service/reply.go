package service

import (
	"maps"
	"net/http"
)

// A reply is an answer that was encoded while the World was locked, to be sent
// when it is free again: what handlers return points into the World's records,
// which the next call may change.
type reply struct {
	header http.Header
	status int
	body   []byte
}

// Header is the answer's header.
func (r *reply) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *reply) WriteHeader(status int) { r.status = status }

// Write keeps a part of the body.
func (r *reply) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

func (r *reply) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.header)
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // the client is gone if this fails
}
