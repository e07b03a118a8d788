package wire

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is a compiled requestUri.
type route struct {
	segments []segment
	query    []literal // what the model writes after "?"
	needs    []*member // required members in query or headers
	literals int
	// deprecated routes come last: S3 has operations with the request of
	// their successors.
	deprecated bool
}

// segment is one part of a path: literal text, or the label of a member.
type segment struct {
	text   string
	label  string
	greedy bool // the label may hold slashes, as {Key+} does
}

// literal is a query parameter that a route asks for; hasValue is false for
// "?acl".
type literal struct {
	name, value string
	hasValue    bool
}

func parseRoute(uri string) route {
	path, query, _ := strings.Cut(uri, "?")
	var rt route
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		switch {
		case part == "":
		case strings.HasPrefix(part, "{"):
			name := strings.TrimSuffix(part[1:], "}")
			rt.segments = append(rt.segments, segment{label: strings.TrimSuffix(name, "+"), greedy: strings.HasSuffix(name, "+")})
		default:
			rt.segments = append(rt.segments, segment{text: part})
			rt.literals++
		}
	}
	for _, part := range strings.Split(query, "&") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		rt.query = append(rt.query, literal{name: name, value: value, hasValue: ok})
	}
	return rt
}

// sortRoutes orders the operations of a rest protocol for Match: more literal
// segments first, then more query literals, then more required query and header
// members, which is what tells CopyObject from PutObject.
func (m *Model) sortRoutes() {
	if m.Protocol != RestJSON && m.Protocol != RestXML {
		return
	}
	for _, name := range m.names {
		op := m.operations[name]
		if op.input != nil {
			for _, mb := range op.input.members {
				if mb.required && (mb.location == "querystring" || mb.location == "header") {
					op.route.needs = append(op.route.needs, mb)
				}
			}
		}
		m.routes = append(m.routes, op)
	}
	slices.SortStableFunc(m.routes, func(a, b *Operation) int {
		return cmp.Or(
			cmp.Compare(b.route.literals, a.route.literals),
			cmp.Compare(len(b.route.query), len(a.route.query)),
			cmp.Compare(len(b.route.segments), len(a.route.segments)),
			cmp.Compare(len(b.route.needs), len(a.route.needs)),
			compareBool(a.route.deprecated, b.route.deprecated),
		)
	})
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// Match finds the operation of an HTTP request: by the parameter Action (query),
// by X-Amz-Target (json), or by method, path and query (rest). body is what
// ReadBody returned.
func (m *Model) Match(r *http.Request, body []byte) (*Operation, *Error) {
	if m.Protocol != RestXML && strings.Contains(strings.ToLower(r.Header.Get("Content-Encoding")), "gzip") {
		e := m.malformed("Content-Encoding gzip is not accepted")
		e.Status = http.StatusUnsupportedMediaType
		return nil, e
	}
	switch m.Protocol {
	case Query:
		return m.matchQuery(r, body)
	case JSON:
		return m.matchTarget(r)
	}
	return m.matchRoute(r)
}

func (m *Model) matchQuery(r *http.Request, body []byte) (*Operation, *Error) {
	action := formValue(r, body, "Action")
	if action == "" {
		return nil, m.NewError("MissingAction", "The request is missing an action or a required parameter.")
	}
	version := cmp.Or(formValue(r, body, "Version"), "NO_VERSION_SPECIFIED")
	op, ok := m.operations[action]
	if !ok || version != m.APIVersion {
		return nil, m.NewError("InvalidAction", "Could not find operation %s for version %s", action, version)
	}
	return op, nil
}

// formValue is the first value of a parameter in the form body or the URL,
// without parsing the whole form. A value that cannot be unescaped is absent;
// Decode will say so.
func formValue(r *http.Request, body []byte, name string) string {
	for _, form := range []string{string(body), r.URL.RawQuery} {
		for pair := range strings.SplitSeq(form, "&") {
			value, ok := strings.CutPrefix(pair, name+"=")
			if !ok {
				continue
			}
			if plain, err := url.QueryUnescape(value); err == nil {
				return plain
			}
		}
	}
	return ""
}

func (m *Model) matchTarget(r *http.Request) (*Operation, *Error) {
	target := r.Header.Get("X-Amz-Target")
	name, ok := strings.CutPrefix(target, m.TargetPrefix+".")
	if op := m.operations[name]; ok && op != nil {
		return op, nil
	}
	return nil, m.NewError("UnknownOperationException", "%s has no operation %q", m.Service, target)
}

func (m *Model) matchRoute(r *http.Request) (*Operation, *Error) {
	query := r.URL.Query()
	path := splitPath(r)
	for _, op := range m.routes {
		if op.method == r.Method && op.route.matchPath(path) && op.route.matchQuery(query) && op.route.matchNeeds(query, r.Header) {
			return op, nil
		}
	}
	// A request that lacks only a required member is that operation's, and
	// Validate refuses it.
	for _, op := range m.routes {
		if op.method == r.Method && op.route.matchPath(path) && op.route.matchQuery(query) {
			return op, nil
		}
	}
	return nil, m.NewError("UnknownOperationException", "%s has no operation at %s %s", m.Service, r.Method, r.URL.EscapedPath())
}

// splitPath returns the path's segments, still escaped, because a label may
// carry an escaped slash.
func splitPath(r *http.Request) []string {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func (rt *route) matchPath(path []string) bool {
	_, ok := rt.align(path)
	return ok
}

// align gives each segment of the route its part of the path. A greedy label
// leaves to the segments after it one part each.
func (rt *route) align(path []string) ([]string, bool) {
	parts := make([]string, 0, len(rt.segments))
	for i, seg := range rt.segments {
		take := 1
		if seg.greedy {
			take = len(path) - (len(rt.segments) - i - 1)
		}
		if take < 1 || take > len(path) {
			return nil, false
		}
		part := strings.Join(path[:take], "/")
		if seg.label != "" && part == "" || seg.label == "" && part != seg.text {
			return nil, false
		}
		parts = append(parts, part)
		path = path[take:]
	}
	return parts, len(path) == 0 || len(path) == 1 && path[0] == ""
}

func (rt *route) matchQuery(query url.Values) bool {
	for _, lit := range rt.query {
		values, ok := query[lit.name]
		if !ok || lit.hasValue && !slices.Contains(values, lit.value) {
			return false
		}
	}
	return true
}

func (rt *route) matchNeeds(query url.Values, header http.Header) bool {
	for _, mb := range rt.needs {
		if mb.location == "querystring" && !query.Has(mb.wire) || mb.location == "header" && len(header.Values(mb.wire)) == 0 {
			return false
		}
	}
	return true
}

// labels returns the unescaped values of a path that matchPath accepts.
func (rt *route) labels(path []string) (map[string]string, error) {
	parts, ok := rt.align(path)
	if !ok {
		return nil, errors.New("the path is not this operation's")
	}
	labels := map[string]string{}
	for i, seg := range rt.segments {
		if seg.label == "" {
			continue
		}
		value, err := url.PathUnescape(parts[i])
		if err != nil {
			return nil, err
		}
		labels[seg.label] = value
	}
	return labels, nil
}
