package wire

import (
	"cmp"
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
}

// segment is one part of a path: literal text, or the label of a member.
type segment struct {
	text   string
	label  string
	greedy bool // the label takes the rest of the path, as {Key+} does
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
		)
	})
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
	for i, seg := range rt.segments {
		switch {
		case i >= len(path):
			return false
		case seg.greedy:
			return strings.Join(path[i:], "/") != ""
		case seg.label != "" && path[i] == "", seg.label == "" && path[i] != seg.text:
			return false
		}
	}
	rest := path[len(rt.segments):]
	return len(rest) == 0 || len(rest) == 1 && rest[0] == ""
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
		if mb.location == "querystring" && !query.Has(mb.wire) || mb.location == "header" && header.Get(mb.wire) == "" {
			return false
		}
	}
	return true
}

// labels returns the unescaped values of a path that matchPath accepts.
func (rt *route) labels(path []string) (map[string]string, error) {
	labels := map[string]string{}
	for i, seg := range rt.segments {
		if seg.label == "" || i >= len(path) {
			continue
		}
		raw := path[i]
		if seg.greedy {
			raw = strings.Join(path[i:], "/")
		}
		value, err := url.PathUnescape(raw)
		if err != nil {
			return nil, err
		}
		labels[seg.label] = value
	}
	return labels, nil
}
