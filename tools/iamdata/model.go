package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// model is the package's data, sorted, with everything left out that package
// catalog does not use (descriptions above all).
type model struct {
	version, updated string
	services         []service // by prefix
	globals          []key     // by lower-case name
	// foreign are the prefixes of condition keys that are not those of the
	// service that uses the keys: "saml" of sts, "ec2" of ec2-instance-connect.
	foreign []foreignPrefix
}

type foreignPrefix struct{ prefix, service string }

type service struct {
	prefix  string
	rcp     bool
	keys    []key
	types   []resourceType
	actions []action
}

// key is a condition key; kind is the package's word for its type.
type key struct{ name, kind string }

type resourceType struct {
	name, arn string
	keys      []string
}

type action struct {
	name, level string
	types       []use
	keys        []string
}

// use is a resource type an action is authorized on.
type use struct {
	name     string
	required bool
}

// The package's own JSON.
type (
	jsonKey  struct{ Key, Type string }
	jsonType struct {
		Key, ARN      string
		ConditionKeys []string
	}
	jsonAction struct {
		Name, AccessLevel string
		ConditionKeys     []string
		DependentActions  []string
		ResourceTypes     []struct {
			Name             string
			Required         bool
			ConditionKeys    []string
			DependentActions []string
		}
	}
)

// globalKey finds the entries of the package's one table that is code.
var globalKey = regexp.MustCompile(`key: '([^']+)',\s*category: '[^']*',\s*type: '([^']+)'`)

func read(files map[string][]byte) (*model, error) {
	var pkg struct{ Version, UpdatedAt string }
	var prefixes, rcps []string
	err := errors.Join(
		decode(files, "package.json", &pkg),
		decode(files, "data/services.json", &prefixes),
		decode(files, "data/rcpSupportedServices.json", &rcps),
	)
	if err != nil {
		return nil, err
	}
	m := &model{version: pkg.Version, updated: pkg.UpdatedAt}
	slices.Sort(prefixes)
	for _, prefix := range prefixes {
		s, err := readService(files, prefix)
		if err != nil {
			return nil, err
		}
		s.rcp = slices.Contains(rcps, prefix)
		m.services = append(m.services, s)
		m.foreign = append(m.foreign, s.foreign()...)
	}
	for _, rcp := range rcps {
		if !slices.Contains(prefixes, rcp) {
			return nil, fmt.Errorf("rcpSupportedServices.json names %q, which is no service", rcp)
		}
	}
	return m, m.readGlobals(files)
}

func decode(files map[string][]byte, path string, into any) error {
	content, ok := files[path]
	if !ok {
		return fmt.Errorf("the package has no %s", path)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("parsing %s: %w", path, err)
	}
	return nil
}

func readService(files map[string][]byte, prefix string) (service, error) {
	var keys map[string]jsonKey
	var types map[string]jsonType
	var actions map[string]jsonAction
	err := errors.Join(
		decode(files, "data/conditionKeys/"+prefix+".json", &keys),
		decode(files, "data/resourceTypes/"+prefix+".json", &types),
		decode(files, "data/actions/"+prefix+".json", &actions),
	)
	if err != nil {
		return service{}, err
	}
	s := service{prefix: prefix}
	for _, k := range keys {
		s.keys = append(s.keys, key{family(k.Key), k.Type})
	}
	for _, t := range types {
		s.types = append(s.types, resourceType{t.Key, t.ARN, families(t.ConditionKeys)})
	}
	for _, a := range actions {
		read := action{name: a.Name, level: a.AccessLevel, keys: families(a.ConditionKeys)}
		if len(a.DependentActions) > 0 {
			return service{}, fmt.Errorf("%s:%s has dependent actions, which this command drops: teach it to keep them", prefix, a.Name)
		}
		for _, t := range a.ResourceTypes {
			read.types = append(read.types, use{t.Name, t.Required})
			read.keys = append(read.keys, families(t.ConditionKeys)...)
		}
		slices.SortFunc(read.types, func(a, b use) int { return cmp.Compare(a.name, b.name) })
		s.actions = append(s.actions, read)
	}
	sortFold(s.keys, func(k key) string { return k.name })
	sortFold(s.types, func(t resourceType) string { return t.name })
	sortFold(s.actions, func(a action) string { return a.name })
	return s, s.closed()
}

// closed reports what is referred to and not there.
func (s *service) closed() error {
	for _, a := range s.actions {
		for _, u := range a.types {
			if !slices.ContainsFunc(s.types, func(t resourceType) bool { return t.name == u.name }) {
				return fmt.Errorf("%s:%s is authorized on %q, which is no resource type of the service", s.prefix, a.name, u.name)
			}
		}
	}
	for _, name := range s.named() {
		if !slices.ContainsFunc(s.keys, func(k key) bool { return k.name == name }) {
			return fmt.Errorf("%s refers to the condition key %q and does not define it", s.prefix, name)
		}
	}
	return nil
}

// named lists the condition keys that actions and resource types refer to.
func (s *service) named() []string {
	all := map[string]bool{}
	for _, t := range s.types {
		for _, k := range t.keys {
			all[k] = true
		}
	}
	for _, a := range s.actions {
		for _, k := range a.keys {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// foreign lists the prefixes of the service's keys that are not its own.
func (s *service) foreign() []foreignPrefix {
	var out []foreignPrefix
	for _, k := range s.keys {
		prefix, _, _ := strings.Cut(k.name, ":")
		pair := foreignPrefix{prefix, s.prefix}
		if prefix != "aws" && !strings.EqualFold(prefix, s.prefix) && !slices.Contains(out, pair) {
			out = append(out, pair)
		}
	}
	return out
}

// readGlobals reads the keys of every service, and adds those with the prefix
// aws: that only services list.
func (m *model) readGlobals(files map[string][]byte) error {
	const path = "dist/cjs/globalConditionKeys.js"
	for _, match := range globalKey.FindAllSubmatch(files[path], -1) {
		m.globals = append(m.globals, key{family(string(match[1])), string(match[2])})
	}
	if entries := strings.Count(string(files[path]), "category: '"); entries == 0 || entries != len(m.globals) {
		return fmt.Errorf("parsing %s: read %d of %d entries", path, len(m.globals), entries)
	}
	for _, s := range m.services {
		for _, k := range s.keys {
			known := func(g key) bool { return strings.EqualFold(g.name, k.name) }
			if strings.HasPrefix(strings.ToLower(k.name), "aws:") && !slices.ContainsFunc(m.globals, known) {
				m.globals = append(m.globals, k)
			}
		}
	}
	sortFold(m.globals, func(k key) string { return k.name })
	return nil
}

// family spells the variable part of a condition key's name one way: the
// package has ${TagKey}, <key> and tag-key.
func family(name string) string {
	if before, ok := strings.CutSuffix(name, "/tag-key"); ok {
		return before + "/${TagKey}"
	}
	return strings.NewReplacer("<", "${", ">", "}").Replace(name)
}

func families(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = family(n)
	}
	return out
}

func sortFold[T any](list []T, name func(T) string) {
	slices.SortFunc(list, func(a, b T) int {
		return cmp.Or(cmp.Compare(strings.ToLower(name(a)), strings.ToLower(name(b))), cmp.Compare(name(a), name(b)))
	})
}
