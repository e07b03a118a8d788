package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/policy"
)

// AccessLevel is AWS's own word for what an action does. The zero AccessLevel
// is none.
type AccessLevel uint8

// The access levels. AWS gives every action exactly one; Tagging and
// PermissionsManagement are ways of writing.
const (
	Read AccessLevel = iota + 1
	Write
	List
	Tagging
	PermissionsManagement
)

// String is the level as AWS writes it: "Permissions management".
func (l AccessLevel) String() string {
	switch l {
	case Read:
		return "Read"
	case Write:
		return "Write"
	case List:
		return "List"
	case Tagging:
		return "Tagging"
	case PermissionsManagement:
		return "Permissions management"
	}
	return fmt.Sprintf("AccessLevel(%d)", uint8(l))
}

// MarshalText is String, for JSON.
func (l AccessLevel) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (l *AccessLevel) UnmarshalText(text []byte) error {
	for known := Read; known <= PermissionsManagement; known++ {
		if string(text) == known.String() {
			*l = known
			return nil
		}
	}
	return fmt.Errorf("parsing access level %q: it is none of AWS's", text)
}

// Action is one action as the Service Authorization Reference describes it.
// The slices are the caller's own.
type Action struct {
	Name  string // "s3:GetObject", in AWS's own spelling
	Level AccessLevel
	// ResourceTypes are the names, within the service, of the types the action
	// can be authorized on; empty for actions that only "*" allows.
	ResourceTypes []string
	// Required are those of ResourceTypes of which every request names one.
	Required []string
	// ConditionKeys are the keys the action's requests can carry, those of its
	// resource types included, sorted; families as "aws:ResourceTag/${TagKey}".
	// Global keys that every action has are not repeated here.
	ConditionKeys []string
	// DependentActions are permissions the caller needs as well, always or in
	// some uses of the action; see PassesRole and KeyUseOf for the terms.
	DependentActions []string
}

// WildcardOnly reports whether only "*" in Resource allows the action.
func (a Action) WildcardOnly() bool { return len(a.ResourceTypes) == 0 }

// ActionOf finds an action by its whole name, in any case. ok false for a
// known service (see KnownService) means that AWS had no such action when the
// data was made; for an unknown service it means nothing.
func ActionOf(name string) (a Action, ok bool) {
	s, line, ok := actionLine(name)
	if !ok {
		return Action{}, false
	}
	return s.action(line), true
}

func actionLine(name string) (s *section, line string, ok bool) {
	prefix, operation, ok := strings.Cut(name, ":")
	if !ok {
		return nil, "", false
	}
	if s = data().service(prefix); s == nil {
		return nil, "", false
	}
	line, ok = find(s.open().actions, operation)
	return s, line, ok
}

func (s *section) action(line string) Action {
	a := Action{Name: s.prefix + ":" + field(line, 0), Level: levelOf(field(line, 1))}
	keys := map[int]bool{}
	add := func(place int, _ bool) { keys[place] = true }
	each(field(line, 2), func(place int, required bool) {
		name := field(s.types[place], 0)
		a.ResourceTypes = append(a.ResourceTypes, name)
		if required {
			a.Required = append(a.Required, name)
		}
		each(field(s.types[place], 2), add)
	})
	each(field(line, 3), add)
	a.ConditionKeys = s.keyNames(keys)
	a.DependentActions = dependentActions(a.Name)
	return a
}

// keyNames are the keys at the given places, in the section's order.
func (s *section) keyNames(places map[int]bool) []string {
	if len(places) == 0 {
		return nil
	}
	names := make([]string, 0, len(places))
	for i, line := range s.keys {
		if places[i] {
			names = append(names, field(line, 0))
		}
	}
	return names
}

func levelOf(letter string) AccessLevel {
	switch letter {
	case "R":
		return Read
	case "W":
		return Write
	case "L":
		return List
	case "T":
		return Tagging
	case "P":
		return PermissionsManagement
	}
	return 0
}

// ActionsOf lists the actions of a service ("s3", in any case) by name; nil
// for a service the catalog does not know.
func ActionsOf(service string) []Action {
	s := data().service(service)
	if s == nil {
		return nil
	}
	lines := s.open().actions
	out := make([]Action, len(lines))
	for i, line := range lines {
		out[i] = s.action(line)
	}
	return out
}

// Services lists the prefixes of all known services, sorted.
func Services() []string {
	services := data().services
	out := make([]string, len(services))
	for i, s := range services {
		out[i] = s.prefix
	}
	return out
}

// KnownService reports whether the catalog has the actions of a service
// ("s3"), in any case. What it says of an unknown service is nothing: AWS
// opens new ones.
func KnownService(prefix string) bool { return data().service(prefix) != nil }

// ExpandAction lists the actions that a pattern of a policy stands for
// ("s3:Get*", "*"), by name; a whole name stands for itself. It is nil when no
// known action matches.
func ExpandAction(pattern string) []Action {
	var out []Action
	eachMatch(pattern, func(s *section, line string) bool {
		out = append(out, s.action(line))
		return true
	})
	return out
}

// MatchesAction reports whether a pattern of a policy stands for any known
// action. It costs less than ExpandAction.
func MatchesAction(pattern string) bool {
	found := false
	eachMatch(pattern, func(*section, string) bool {
		found = true
		return false
	})
	return found
}

// eachMatch calls yield for each action that pattern covers, until it returns false.
func eachMatch(pattern string, yield func(s *section, line string) bool) {
	if pattern == "*" {
		pattern = "*:*"
	}
	prefix, operation, ok := strings.Cut(strings.ToLower(pattern), ":")
	prefix, operation = oneStar(prefix), oneStar(operation)
	if !ok || len(prefix) > longestName || len(operation) > longestName {
		return
	}
	services := data().services
	if !strings.ContainsAny(prefix, "*?") {
		s := data().service(prefix)
		if s == nil {
			return
		}
		services = []*section{s}
	}
	for _, s := range services {
		if !policy.Glob(prefix, s.prefix) {
			continue
		}
		for _, line := range s.open().actions {
			if policy.Glob(operation, strings.ToLower(field(line, 0))) && !yield(s, line) {
				return
			}
		}
	}
}

// longestName bounds a pattern with every run of stars made one: a star at most
// between any two letters of a name, whose length IAM bounds at 128.
const longestName = 2*128 + 1

// oneStar makes each run of stars one star, which matches the same.
func oneStar(pattern string) string {
	if !strings.Contains(pattern, "**") {
		return pattern
	}
	var b strings.Builder
	for i := range len(pattern) {
		if pattern[i] != '*' || i == 0 || pattern[i-1] != '*' {
			b.WriteByte(pattern[i])
		}
	}
	return b.String()
}

// SuggestAction is the known action that name was most likely meant to be:
// "eks:ListClusters" for "eks:ListCluster". It is "" when none is near, and
// when name is right. A misspelt service is corrected too, if it has the action.
func SuggestAction(name string) string {
	prefix, operation, ok := strings.Cut(name, ":")
	if !ok || operation == "" {
		return ""
	}
	s := data().service(prefix)
	if s == nil {
		return suggestService(prefix, operation)
	}
	if _, known := find(s.open().actions, operation); known {
		return ""
	}
	if near := policy.Closest(operation, s.operations()); near != "" {
		return s.prefix + ":" + near
	}
	return ""
}

// suggestService looks for the operation in services whose prefix is near.
func suggestService(prefix, operation string) string {
	names := Services()
	for len(names) > 0 {
		near := policy.Closest(prefix, names)
		if near == "" {
			return ""
		}
		s := data().service(near).open()
		if line, ok := find(s.actions, operation); ok {
			return s.prefix + ":" + field(line, 0)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == near })
	}
	return ""
}

// operations lists the section's actions without the prefix.
func (s *section) operations() []string {
	out := make([]string, len(s.actions))
	for i, line := range s.actions {
		out[i] = field(line, 0)
	}
	return out
}

// WildcardOnly reports whether action supports no resource-level permission,
// so that only "*" in Resource allows it. False means: it does, or the catalog
// does not know the action. Patterns ("s3:List*") are never wildcard-only.
//
// Source: the Actions tables of the Service Authorization Reference; an action
// with no value in the column "Resource types" must be given "*".
func WildcardOnly(action string) bool {
	_, line, ok := actionLine(action)
	return ok && field(line, 2) == ""
}
