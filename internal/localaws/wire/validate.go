package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxViolations bounds a validation message; AWS stops counting as well.
const maxViolations = 10

// Validate checks the model's constraints on a decoded input: required members,
// lengths, ranges, patterns and enums, at any depth. The message has AWS's form
// and the code is the service's own. nil means that all hold. Rules that AWS
// keeps outside its models are the handlers' business.
func (op *Operation) Validate(in any) *Error {
	if op.input == nil {
		return nil
	}
	c := checker{model: op.Model}
	if err := c.structure(op.input, reflect.ValueOf(in), ""); err != nil {
		return op.Model.NewError("InternalFailure", "%v", err)
	}
	return c.result()
}

// checker collects violations.
type checker struct {
	model      *Model
	violations []string
	first      violation // the rule that the first of them broke
	badName    string    // IAM's own sentence about a name, which it says alone
}

// violation is the kind of rule that was broken, in the spelling of the reasons
// of AWS Organizations.
type violation string

const (
	missing   violation = "INPUT_REQUIRED"
	tooLong   violation = "MAX_LENGTH_EXCEEDED"
	tooShort  violation = "MIN_LENGTH_EXCEEDED"
	tooGreat  violation = "MAX_VALUE_EXCEEDED"
	tooSmall  violation = "MIN_VALUE_EXCEEDED"
	notInEnum violation = "INVALID_ENUM"
	noMatch   violation = "INVALID_PATTERN"
)

func (c *checker) result() *Error {
	m := c.model
	switch {
	case c.badName != "" && len(c.violations) == 0:
		return m.NewError(m.validationCode(), "%s", c.badName)
	case len(c.violations) == 0:
		return nil
	case m.Service == "organizations":
		e := m.NewError(m.validationCode(), "%s", c.first.organizations())
		e.Fields = map[string]any{"Reason": string(c.first)}
		return e
	}
	noun := "errors"
	if len(c.violations) == 1 {
		noun = "error"
	}
	return m.NewError(m.validationCode(), "%d validation %s detected: %s", len(c.violations), noun, strings.Join(c.violations, "; "))
}

// validationCode is the code under which a service reports constraints: the
// query services' common error, the modelled exception where the service has
// one of its own, ValidationException elsewhere.
func (m *Model) validationCode() string {
	switch {
	case m.Protocol == Query:
		return "ValidationError"
	case m.Service == "eks":
		return "InvalidParameterException"
	case m.Service == "sso", m.Service == "sso-oidc":
		return "InvalidRequestException"
	case m.Service == "organizations":
		return "InvalidInputException"
	}
	return "ValidationException"
}

// organizations is what AWS Organizations says; it names no member. The API
// reference lists the sentences under InvalidInputException.
func (v violation) organizations() string {
	switch v {
	case missing:
		return "You must include a value for all required parameters."
	case tooLong:
		return "You provided a string parameter that is longer than allowed."
	case tooShort:
		return "You provided a string parameter that is shorter than allowed."
	case tooGreat:
		return "You provided a numeric parameter that has a larger value than allowed."
	case tooSmall:
		return "You provided a numeric parameter that has a smaller value than allowed."
	case notInEnum:
		return "You specified an invalid value."
	case noMatch:
		return "You provided a value that does not match the required pattern."
	}
	return "You provided an invalid value."
}

func (c *checker) violate(kind violation, shown, path, constraint string) {
	if len(c.violations) == 0 {
		c.first = kind
	}
	if len(c.violations) < maxViolations {
		c.violations = append(c.violations, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", shown, path, constraint))
	}
}

func (c *checker) structure(s *shape, v reflect.Value, path string) error {
	return c.model.members(s, v, func(mb *member, v reflect.Value) error {
		at := lowerFirst(mb.name)
		if path != "" {
			at = path + "." + at
		}
		field := v
		v, ok := present(field)
		if !ok {
			if mb.required {
				c.violate(missing, "null", at, "Member must not be null")
			}
			return nil
		}
		if plainZero(v, field) {
			return nil
		}
		return c.value(mb.shape, v, at)
	})
}

// plainZero reports whether field is a number that the SDK holds without a
// pointer and that is zero: it cannot be told from one that was not sent.
func plainZero(v, field reflect.Value) bool {
	return (v.CanInt() || v.CanFloat()) && field.Kind() == v.Kind() && v.IsZero()
}

func (c *checker) value(s *shape, v reflect.Value, path string) error {
	v, ok := indirect(v)
	if !ok {
		return nil
	}
	switch s.kind {
	case kindStructure:
		return c.structure(s, v, path)
	case kindList:
		c.length(s, v.Len(), v, path)
		for i := range v.Len() {
			if err := c.value(s.element.shape, v.Index(i), path+"."+strconv.Itoa(i+1)+".member"); err != nil {
				return err
			}
		}
	case kindMap:
		c.length(s, v.Len(), v, path)
		for _, key := range sortedKeys(v) {
			if err := c.value(s.key.shape, key, path+".key"); err != nil {
				return err
			}
			if err := c.value(s.value.shape, v.MapIndex(key), path+"."+key.String()+".member"); err != nil {
				return err
			}
		}
	case kindString:
		if v.Kind() == reflect.String {
			c.text(s, v, path)
		}
	case kindBlob:
		if v.Kind() == reflect.Slice {
			c.length(s, v.Len(), v, path)
		}
	case kindInteger, kindFloat:
		c.number(s, v, path)
	}
	return nil
}

func (c *checker) text(s *shape, v reflect.Value, path string) {
	text := v.String()
	c.length(s, utf8.RuneCountInString(text), v, path)
	if len(s.enum) > 0 && !slices.Contains(s.enum, text) {
		c.violate(notInEnum, shown(s, v), path, "Member must satisfy enum value set: ["+strings.Join(s.enum, ", ")+"]")
	}
	if s.pattern == nil || s.pattern.matches(text) {
		return
	}
	if c.model.Service == "iam" && s.pattern.source == iamNames {
		// What IAM says instead of quoting the pattern.
		c.badName = fmt.Sprintf("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", path)
		return
	}
	c.violate(noMatch, shown(s, v), path, "Member must satisfy regular expression pattern: "+s.pattern.source)
}

// iamNames is the pattern of names in the IAM model.
const iamNames = `[\w+=,.@-]+`

func (c *checker) length(s *shape, n int, v reflect.Value, path string) {
	if s.min.set && float64(n) < s.min.value {
		c.violate(tooShort, shown(s, v), path, "Member must have length greater than or equal to "+s.min.text)
	}
	if s.max.set && float64(n) > s.max.value {
		c.violate(tooLong, shown(s, v), path, "Member must have length less than or equal to "+s.max.text)
	}
}

func (c *checker) number(s *shape, v reflect.Value, path string) {
	var n float64
	switch {
	case v.CanInt():
		n = float64(v.Int())
	case v.CanFloat():
		n = v.Float()
	default:
		return
	}
	if s.min.set && n < s.min.value {
		c.violate(tooSmall, shown(s, v), path, "Member must have value greater than or equal to "+s.min.text)
	}
	if s.max.set && n > s.max.value {
		c.violate(tooGreat, shown(s, v), path, "Member must have value less than or equal to "+s.max.text)
	}
}

// shown is a value as the message quotes it. Sensitive values are starred and
// long ones cut, because the message reaches logs.
func shown(s *shape, v reflect.Value) string {
	const most = 2048
	if s.sensitive {
		return "'***'"
	}
	var text string
	switch s.kind {
	case kindString:
		text = v.String()
	case kindInteger:
		text = strconv.FormatInt(v.Int(), 10)
	case kindFloat:
		text = floatText(v.Float())
	case kindList:
		text = "[" + strings.Join(listed(s, v), ", ") + "]"
	case kindMap:
		text = "{" + strings.Join(listed(s, v), ", ") + "}"
	default:
		return "'***'"
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return "'" + text + "'"
}

// listed shows the elements of a list of strings and the keys of a map.
func listed(s *shape, v reflect.Value) []string {
	var out []string
	if s.kind == kindMap {
		for _, key := range sortedKeys(v) {
			out = append(out, key.String())
		}
		return out
	}
	if s.element.shape.kind != kindString || s.element.shape.sensitive {
		return []string{fmt.Sprintf("%d elements", v.Len())}
	}
	for i := range v.Len() {
		if item, ok := indirect(v.Index(i)); ok {
			out = append(out, item.String())
		}
	}
	return out
}

// pattern is a Java regular expression of a model, compiled when first needed.
type pattern struct {
	source string
	once   sync.Once
	match  func(string) bool
}

// matches reports whether the whole text matches. A pattern that Go cannot
// compile constrains nothing; TestEveryPatternCompiles keeps them out.
func (p *pattern) matches(text string) bool {
	p.once.Do(func() {
		match, err := compilePattern(p.source)
		if err != nil {
			match = func(string) bool { return true }
		}
		p.match = match
	})
	return p.match(text)
}
