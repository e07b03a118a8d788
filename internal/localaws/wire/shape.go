package wire

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// kind is the type of a shape.
type kind uint8

const (
	kindString kind = iota + 1
	kindBoolean
	kindInteger // integer and long: the Go field says how wide
	kindFloat   // float and double
	kindBlob
	kindTimestamp
	kindList
	kindMap
	kindStructure
)

// limit is a bound of a length or a value. A bound is exact as an integer where
// the model writes one.
type limit struct {
	set   bool
	text  string
	value float64
}

// shape is a type of the model with its constraints.
type shape struct {
	name            string
	kind            kind
	members         []*member // of a structure, by name
	element         *member   // of a list
	key, value      *member   // of a map
	min, max        limit
	pattern         *pattern // nil: any
	enum            []string
	flattened       bool
	sensitive       bool
	payload         string
	locationName    string
	timestampFormat string
	namespace       *namespaceFile
	eventStream     bool

	// Of an exception:
	errorCode string
	status    int
	fault     bool
}

// member is the use of a shape in a structure, list or map.
type member struct {
	name            string
	field           string // the Go field
	locationName    string // as the model states it; may be empty
	wire            string // locationName, the shape's, or name
	shape           *shape
	location        string
	timestampFormat string
	flattened       bool
	attribute       bool
	required        bool
	namespace       *namespaceFile
}

// linker turns the shapes of a file into linked shapes, cycles included.
type linker struct {
	file   map[string]shapeFile
	shapes map[string]*shape
}

func (l *linker) shape(name string) (*shape, error) {
	if s, ok := l.shapes[name]; ok {
		return s, nil
	}
	f, ok := l.file[name]
	if !ok {
		return nil, fmt.Errorf("shape %q is not defined", name)
	}
	k, err := parseKind(f.Type)
	if err != nil {
		return nil, fmt.Errorf("shape %q: %w", name, err)
	}
	s := &shape{
		name: name, kind: k, enum: f.Enum, flattened: f.Flattened, sensitive: f.Sensitive, payload: f.Payload,
		locationName: f.LocationName, timestampFormat: f.TimestampFormat, namespace: f.XMLNamespace,
		eventStream: f.EventStream, fault: f.Fault,
	}
	l.shapes[name] = s
	if f.Min != nil {
		s.min = parseLimit(f.Min.String())
	}
	if f.Max != nil {
		s.max = parseLimit(f.Max.String())
	}
	if f.Pattern != "" {
		s.pattern = &pattern{source: f.Pattern}
	}
	if f.Exception {
		s.errorCode = cmp.Or(f.Error.Code, name)
		s.status = cmp.Or(f.Error.HTTPStatusCode, http.StatusBadRequest)
		s.fault = f.Fault || s.status >= http.StatusInternalServerError
		if f.Fault && f.Error.HTTPStatusCode == 0 {
			s.status = http.StatusInternalServerError
		}
	}
	return s, l.members(s, f)
}

func (l *linker) members(s *shape, f shapeFile) error {
	var err error
	if f.Member != nil {
		if s.element, err = l.member("member", *f.Member); err != nil {
			return err
		}
	}
	if f.Key != nil {
		if s.key, err = l.member("key", *f.Key); err != nil {
			return err
		}
	}
	if f.Value != nil {
		if s.value, err = l.member("value", *f.Value); err != nil {
			return err
		}
	}
	for name, mf := range f.Members {
		m, err := l.member(name, mf)
		if err != nil {
			return err
		}
		m.required = slices.Contains(f.Required, name)
		s.members = append(s.members, m)
	}
	slices.SortFunc(s.members, func(a, b *member) int { return cmp.Compare(a.name, b.name) })
	switch {
	case s.kind == kindList && s.element == nil:
		return fmt.Errorf("list %q has no member", s.name)
	case s.kind == kindMap && (s.key == nil || s.value == nil):
		return fmt.Errorf("map %q has no key or no value", s.name)
	}
	return nil
}

func (l *linker) member(name string, f memberFile) (*member, error) {
	s, err := l.shape(f.Shape)
	if err != nil {
		return nil, err
	}
	return &member{
		name: name, field: upperFirst(name), locationName: f.LocationName, wire: cmp.Or(f.LocationName, s.locationName, name),
		shape: s, location: f.Location, timestampFormat: cmp.Or(f.TimestampFormat, s.timestampFormat),
		flattened: f.Flattened || s.flattened, attribute: f.XMLAttribute, namespace: cmp.Or(f.XMLNamespace, s.namespace),
	}, nil
}

// find returns the member of a structure by its model name, or nil.
func (s *shape) find(name string) *member {
	i, ok := slices.BinarySearchFunc(s.members, name, func(m *member, name string) int { return cmp.Compare(m.name, name) })
	if !ok {
		return nil
	}
	return s.members[i]
}

func parseKind(name string) (kind, error) {
	switch name {
	case "string", "character":
		return kindString, nil
	case "boolean":
		return kindBoolean, nil
	case "integer", "long":
		return kindInteger, nil
	case "float", "double":
		return kindFloat, nil
	case "blob":
		return kindBlob, nil
	case "timestamp":
		return kindTimestamp, nil
	case "list":
		return kindList, nil
	case "map":
		return kindMap, nil
	case "structure":
		return kindStructure, nil
	}
	return 0, fmt.Errorf("type %q is not known", name)
}

func parseLimit(text string) limit {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return limit{}
	}
	if value == math.Trunc(value) && math.Abs(value) < 1<<62 {
		text = strconv.FormatInt(int64(value), 10)
	}
	return limit{set: true, text: text, value: value}
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
