package service

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/sigv4"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// defaultRegion is where requests go that name no Region: the global endpoints
// of STS and IAM live there.
const defaultRegion = "us-east-1"

// router finds the service and operation of a request, as real endpoints do:
// by who signed for what, by X-Amz-Target, by host name, by what is called.
type router struct {
	services []*Service
	signing  map[string][]*Service // by the service name in signatures
	hosts    map[string]*Service   // by the label of host names
	targets  map[string]*Service   // by the prefix of X-Amz-Target
}

// route is where a request goes. Its service is never nil, so that errors have
// a protocol.
type route struct {
	service *Service
	op      *wire.Operation
	region  string
	scope   sigv4.Scope
	// host is the signing name that the host name asks for, "" on an endpoint for all.
	host string
}

func newRouter(services []*Service) *router {
	rt := &router{services: services, signing: map[string][]*Service{}, hosts: map[string]*Service{}, targets: map[string]*Service{}}
	for _, s := range services {
		rt.signing[s.model.SigningName] = append(rt.signing[s.model.SigningName], s)
		rt.hosts[s.model.EndpointPrefix] = s
		if s.model.TargetPrefix != "" {
			rt.targets[s.model.TargetPrefix] = s
		}
		for _, name := range s.Targets {
			rt.hosts[name] = s
			rt.targets[name] = s
		}
	}
	return rt
}

func (rt *router) route(r *http.Request, body []byte) (route, *wire.Error) {
	scope, signed, err := sigv4.ParseScope(r)
	out := route{scope: scope, region: scope.Region}
	byHost, region := rt.byHost(r.Host)
	if byHost != nil {
		out.host = byHost.model.SigningName
	}
	if out.region == "" {
		out.region = region
	}
	out.service = rt.find(r, body, scope, byHost)
	if out.service == nil {
		out.service = rt.alike(r, scope)
		return out, unserved(out.service.model, r, scope)
	}
	if failure, ok := errors.AsType[*sigv4.Failure](err); ok && signed {
		return out, unauthenticated(out.service.model, failure)
	}
	op, e := out.service.model.Match(r, body)
	out.op = op
	return out, e
}

// alike is a service whose errors a client can read that asks for one we do not
// have. Requests of JSON services have a target, those of query services the
// path /; of the rest, XML is what a few old ones speak, and they read query
// errors.
func (rt *router) alike(r *http.Request, scope sigv4.Scope) *Service {
	protocol := wire.RestJSON
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		protocol = wire.JSON
	case r.URL.Path == "/", slices.Contains([]string{"s3", "s3express", "s3-outposts", "route53", "cloudfront"}, scope.Service):
		protocol = wire.Query
	}
	for _, s := range rt.services {
		if s.model.Protocol == protocol {
			return s
		}
	}
	return rt.services[0]
}

// find picks the service: the signature's, checked against the host where
// several sign alike; then target, host, action and path.
func (rt *router) find(r *http.Request, body []byte, scope sigv4.Scope, byHost *Service) *Service {
	byTarget := rt.byTarget(r)
	if candidates := rt.signing[scope.Service]; len(candidates) > 0 {
		for _, s := range candidates {
			if s == byHost || s == byTarget {
				return s
			}
		}
		return candidates[0]
	}
	switch {
	case scope.Service != "":
		return byHost // signed for something we do not have
	case byTarget != nil:
		return byTarget
	case byHost != nil:
		return byHost
	}
	if s := rt.byAction(r, body); s != nil {
		return s
	}
	return rt.byPath(r, body)
}

func (rt *router) byTarget(r *http.Request) *Service {
	target := r.Header.Get("X-Amz-Target")
	i := strings.LastIndexByte(target, '.')
	if i < 0 {
		return nil
	}
	return rt.targets[target[:i]]
}

// byHost reads real host names: sts.us-east-1.amazonaws.com, iam.amazonaws.com,
// 111111111111.ddb.us-east-1.amazonaws.com, eks.us-east-1.api.aws.
func (rt *router) byHost(host string) (*Service, string) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if region, ok := strings.CutSuffix(host, ".signin.aws.amazon.com"); ok { // the console's own way of naming
		return rt.hosts["signin"], region
	}
	rest, ok := strings.CutSuffix(host, ".amazonaws.com")
	if !ok {
		if rest, ok = strings.CutSuffix(host, ".api.aws"); !ok {
			return nil, defaultRegion
		}
	}
	labels := strings.Split(rest, ".")
	for i := range labels {
		s, after := rt.hostAt(labels[i:])
		if s == nil || i+1 < len(labels) && rt.hosts[labels[i+1]] != nil { // oidc.eks.us-east-1 is EKS's
			continue
		}
		if i += after; i < len(labels) {
			return s, labels[i]
		}
		return s, defaultRegion
	}
	return nil, defaultRegion
}

// hostAt finds the service that labels begin with the name of, which may be of
// two labels (portal.sso), and how many they are.
func (rt *router) hostAt(labels []string) (*Service, int) {
	if len(labels) > 1 {
		if s := rt.hosts[labels[0]+"."+labels[1]]; s != nil {
			return s, 2
		}
	}
	return rt.hosts[strings.TrimSuffix(labels[0], "-fips")], 1
}

// maxUnsignedForm is more than the longest form that comes unsigned: that of
// AssumeRoleWithSAML, whose assertion has 100,000 characters, each escaped.
const maxUnsignedForm = 400_000

// byAction finds the query service of an unsigned request by its Action.
func (rt *router) byAction(r *http.Request, body []byte) *Service {
	action := r.URL.Query().Get("Action")
	if action == "" && len(body) < maxUnsignedForm {
		form, _ := url.ParseQuery(string(body)) // what can be read of it
		action = form.Get("Action")
	}
	if action == "" {
		return nil
	}
	for _, s := range rt.services {
		if _, ok := s.model.Operation(action); ok && s.model.Protocol == wire.Query {
			return s
		}
	}
	return nil
}

// byPath finds the rest service of an unsigned request.
func (rt *router) byPath(r *http.Request, body []byte) *Service {
	for _, s := range rt.services {
		if s.model.Protocol != wire.RestJSON {
			continue
		}
		if _, e := s.model.Match(r, body); e == nil {
			return s
		}
	}
	return nil
}
