package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// KeyType is the type of a condition key's values. The zero KeyType is none.
type KeyType uint8

// The types of condition keys.
const (
	String KeyType = iota + 1
	ARN
	Bool
	Numeric
	Date
	IP
	Binary
)

// String is the type as AWS's pages write it.
func (t KeyType) String() string {
	switch t {
	case String:
		return "String"
	case ARN:
		return "ARN"
	case Bool:
		return "Bool"
	case Numeric:
		return "Numeric"
	case Date:
		return "Date"
	case IP:
		return "IPAddress"
	case Binary:
		return "Binary"
	}
	return fmt.Sprintf("KeyType(%d)", uint8(t))
}

// MarshalText is String, for JSON.
func (t KeyType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// ConditionKey is a key that conditions can test.
type ConditionKey struct {
	Name string // in AWS's spelling; a family as "aws:PrincipalTag/${TagKey}"
	Type KeyType
	// Multivalued keys hold several values at once and need ForAnyValue or
	// ForAllValues.
	Multivalued bool
	// Global keys belong to no service: requests of every service can have
	// them. (Some are spelled with a service's prefix, such as
	// ec2:SourceInstanceArn: they are properties of the caller's credentials.)
	Global bool
}

// ConditionKeyOf finds a condition key by name in any case, members of
// families included ("aws:PrincipalTag/team"). The claims of OIDC issuers have
// a key each ("oidc.eks.eu-west-1.amazonaws.com/id/AB12:sub"), which is known
// for aud and sub of every issuer. ok is false for what the catalog does not
// know; as services bring new keys with new actions, that is no proof.
func ConditionKeyOf(name string) (key ConditionKey, ok bool) {
	x := data()
	for i := range x.globals {
		if sameKey(x.globals[i].Name, name) {
			k := x.globals[i]
			k.Global = true
			return k, true
		}
	}
	prefix, claim, ok := strings.Cut(name, ":")
	if !ok {
		return ConditionKey{}, false
	}
	if s := x.service(prefix); s != nil {
		if k, ok := s.conditionKey(name); ok {
			return k, true
		}
	}
	if k, ok := x.foreignKey(prefix, name); ok {
		return k, true
	}
	if strings.Contains(prefix, ".") && (strings.EqualFold(claim, "aud") || strings.EqualFold(claim, "sub")) {
		return ConditionKey{Name: name, Type: String}, true
	}
	return ConditionKey{}, false
}

// foreignKey finds a key that only services with other prefixes use.
func (x *index) foreignKey(prefix, name string) (ConditionKey, bool) {
	for _, f := range x.foreign {
		if sameKey(f.prefix, prefix) {
			if k, ok := x.service(f.service).conditionKey(name); ok {
				return k, true
			}
		}
	}
	return ConditionKey{}, false
}

func (s *section) conditionKey(name string) (ConditionKey, bool) {
	if line, ok := find(s.open().keys, name); ok {
		return conditionKey(field(line, 0), field(line, 1)), true
	}
	for _, line := range s.keys {
		if key := field(line, 0); strings.Contains(key, "${") && sameKey(key, name) {
			return conditionKey(key, field(line, 1)), true
		}
	}
	return ConditionKey{}, false
}

// sameKey reports whether name is key in any case, or a member of the family
// key: each ${…} stands for some text, which of the last may contain anything.
func sameKey(key, name string) bool {
	for {
		literal, rest, variable := strings.Cut(key, "${")
		if len(name) < len(literal) || compareFold(name[:len(literal)], literal) != 0 {
			return false
		}
		name = name[len(literal):]
		if !variable {
			return name == ""
		}
		_, key, _ = strings.Cut(rest, "}")
		next, _, _ := strings.Cut(key, "${")
		if next == "" {
			return name != "" && key == ""
		}
		at := indexFold(name, next)
		if at <= 0 {
			return false
		}
		name = name[at:]
	}
}

// indexFold is strings.Index without regard to the case of ASCII letters.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if compareFold(s[i:i+len(sub)], sub) == 0 {
			return i
		}
	}
	return -1
}

// conditionKey reads a key's type as a letter, upper case for several values.
func conditionKey(name, letter string) ConditionKey {
	k := ConditionKey{Name: name, Multivalued: letter == strings.ToUpper(letter)}
	switch strings.ToLower(letter) {
	case "s":
		k.Type = String
	case "a":
		k.Type = ARN
	case "b":
		k.Type = Bool
	case "n":
		k.Type = Numeric
	case "d":
		k.Type = Date
	case "i":
		k.Type = IP
	case "y":
		k.Type = Binary
	}
	return k
}

// ConditionKeysOf lists the condition keys of a service (in any case), with
// the global ones its actions name, by name; nil for an unknown service.
func ConditionKeysOf(service string) []ConditionKey {
	s := data().service(service)
	if s == nil {
		return nil
	}
	var out []ConditionKey
	for _, line := range s.open().keys {
		k := conditionKey(field(line, 0), field(line, 1))
		k.Global = strings.HasPrefix(k.Name, "aws:")
		out = append(out, k)
	}
	return out
}

// GlobalKeys lists the keys that belong to no service, by name.
func GlobalKeys() []ConditionKey {
	out := slices.Clone(data().globals)
	for i := range out {
		out[i].Global = true
	}
	return out
}
