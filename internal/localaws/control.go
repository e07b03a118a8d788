package localaws

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/oidc"
	"github.com/stile-aws/stile/internal/localaws/service"
)

// The control endpoints speak JSON, only to loopback, and only to who has the
// control token in the header X-Stile-Token (a header that no web page can send
// across origins), asks for an address or localhost, and is no web page:
//
//	GET    /_stile/clock           {"now"}
//	POST   /_stile/clock           {"advance": "1h"} -> {"now"}
//	GET    /_stile/faults          [fault…]
//	POST   /_stile/faults          a service.Fault, durations as strings -> {"id"}
//	DELETE /_stile/faults[/ID]     one fault, or all
//	POST   /_stile/propagation     {"account": "", "delay": "10s"}
//	POST   /_stile/token           {"account", "cluster", "namespace", "serviceAccount", "audience", "lifetime"} -> {"token"}
//	GET    /_stile/identity-center instances of IAM Identity Center, without secrets
//	POST   /_stile/sign-in         {"url", "user", "deny"}: answers its pages as a browser would -> {"next"}
//	GET    /_stile/denials         the latest denials, explained, newest first
//	GET    /_stile/accounts        accounts and clusters, without secrets
//	GET    /_stile/state           everything, secrets included
const (
	controlPrefix = "/_stile/"
	// ControlHeader carries the control token.
	ControlHeader  = "X-Stile-Token"
	maxControlBody = 1 << 16
)

func isControl(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, controlPrefix) }

func randomToken() string {
	b := make([]byte, 24)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_stile/clock", s.getClock)
	mux.HandleFunc("POST /_stile/clock", s.postClock)
	mux.HandleFunc("GET /_stile/faults", s.getFaults)
	mux.HandleFunc("POST /_stile/faults", s.postFault)
	mux.HandleFunc("DELETE /_stile/faults", s.deleteFaults)
	mux.HandleFunc("DELETE /_stile/faults/{id}", s.deleteFault)
	mux.HandleFunc("POST /_stile/propagation", s.postPropagation)
	mux.HandleFunc("POST /_stile/token", s.postToken)
	mux.HandleFunc("GET /_stile/identity-center", s.getIdentityCenters)
	mux.HandleFunc("POST /_stile/sign-in", s.postAnswer)
	mux.HandleFunc("GET /_stile/denials", s.getDenials)
	mux.HandleFunc("GET /_stile/accounts", s.getAccounts)
	mux.HandleFunc("GET /_stile/state", s.getState)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.mayControl(r) {
			http.Error(w, "the control endpoints answer loopback with the right "+ControlHeader+" only", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) mayControl(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() || r.Header.Get("Origin") != "" || !isAddress(r.Host) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(r.Header.Get(ControlHeader)), []byte(s.token)) == 1
}

// isAddress is false for names other than localhost: a web page can make its own
// name mean this machine.
func isAddress(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost"
}

// duration is a time.Duration that reads "1h30m".
type duration struct{ time.Duration }

// UnmarshalText reads what time.ParseDuration reads.
func (d *duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// MarshalText writes what UnmarshalText reads.
func (d duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	_ = enc.Encode(v) // the client is gone if this fails
}

// read decodes a control request's body; false means that it was answered.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		http.Error(w, "reading request: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func (s *Server) getClock(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]time.Time{"now": s.world.Now()})
}

func (s *Server) postClock(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Advance duration `json:"advance"`
	}
	if !read(w, r, &in) {
		return
	}
	if err := s.world.Advance(in.Advance.Duration); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	s.getClock(w, r)
}

// controlFault is a service.Fault with durations people can write.
type controlFault struct {
	service.Fault
	Delay duration `json:"delay,omitzero"`
	For   duration `json:"for,omitzero"`
}

func (s *Server) getFaults(w http.ResponseWriter, _ *http.Request) {
	out := []controlFault{}
	for _, f := range s.faults.List() {
		out = append(out, controlFault{f, duration{f.Delay}, duration{f.For}})
	}
	reply(w, out)
}

func (s *Server) postFault(w http.ResponseWriter, r *http.Request) {
	var in controlFault
	if !read(w, r, &in) {
		return
	}
	fault := in.Fault
	fault.Delay, fault.For = in.Delay.Duration, in.For.Duration
	id, err := s.AddFault(fault)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, map[string]string{"id": id})
}

func (s *Server) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.faults.Clear()
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) deleteFault(w http.ResponseWriter, r *http.Request) {
	if !s.faults.Remove(r.PathValue("id")) {
		http.Error(w, "no such fault is on", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) postPropagation(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Account arn.AccountID `json:"account"`
		Delay   duration      `json:"delay"`
	}
	if !read(w, r, &in) {
		return
	}
	s.world.SetDelay(in.Account, in.Delay.Duration)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) postToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Account        arn.AccountID `json:"account"`
		Cluster        string        `json:"cluster"`
		Namespace      string        `json:"namespace"`
		ServiceAccount string        `json:"serviceAccount"`
		Audience       string        `json:"audience"`
		Lifetime       duration      `json:"lifetime"`
	}
	if !read(w, r, &in) {
		return
	}
	if in.Audience == "" {
		in.Audience = "sts.amazonaws.com"
	}
	token, ok, err := s.ServiceAccountToken(in.Account, in.Cluster, oidc.TokenRequest{
		Namespace: in.Namespace, ServiceAccount: in.ServiceAccount,
		Audiences: []string{in.Audience}, Lifetime: in.Lifetime.Duration,
	})
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case !ok:
		http.Error(w, "account "+string(in.Account)+" has no cluster "+in.Cluster, http.StatusNotFound)
	default:
		reply(w, map[string]string{"token": token})
	}
}

func (s *Server) getDenials(w http.ResponseWriter, _ *http.Request) {
	reply(w, s.gate.Denials().Recent())
}

func (s *Server) getAccounts(w http.ResponseWriter, _ *http.Request) {
	type cluster struct {
		Name   string `json:"name"`
		Region string `json:"region"`
		Issuer string `json:"issuer"`
	}
	type account struct {
		ID       arn.AccountID `json:"id"`
		Name     string        `json:"name"`
		Clusters []cluster     `json:"clusters"`
	}
	s.world.RLock()
	out := []account{}
	for _, id := range s.world.AccountIDs() {
		a := account{ID: id, Name: s.world.Accounts[id].Name, Clusters: []cluster{}}
		for url, c := range s.world.Issuers {
			if c.Account == id {
				a.Clusters = append(a.Clusters, cluster{c.Cluster, c.Region, url})
			}
		}
		out = append(out, a)
	}
	s.world.RUnlock()
	reply(w, out)
}

func (s *Server) getState(w http.ResponseWriter, _ *http.Request) {
	data, err := s.world.Dump()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // the client is gone if this fails
}
