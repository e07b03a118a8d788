package catalog

import "strings"

// ResourceType is a kind of resource of a service.
type ResourceType struct {
	Service string // the prefix of its service's actions
	Name    string // "bucket"
	// ARN is its pattern: "arn:${Partition}:s3:::${BucketName}".
	ARN string
	// ConditionKeys are the keys that tell such resources apart, sorted.
	ConditionKeys []string
}

// ResourceTypesOf lists the resource types of a service (in any case) by name;
// nil for an unknown service and for one without resource types.
func ResourceTypesOf(service string) []ResourceType {
	s := data().service(service)
	if s == nil {
		return nil
	}
	var out []ResourceType
	for _, line := range s.open().types {
		out = append(out, s.resourceType(line))
	}
	return out
}

// ResourceTypeOf finds one resource type of a service by name, as
// Action.ResourceTypes has it.
func ResourceTypeOf(service, name string) (t ResourceType, ok bool) {
	s := data().service(service)
	if s == nil {
		return ResourceType{}, false
	}
	line, ok := find(s.open().types, name)
	if !ok {
		return ResourceType{}, false
	}
	return s.resourceType(line), true
}

func (s *section) resourceType(line string) ResourceType {
	keys := map[int]bool{}
	each(field(line, 2), func(place int, _ bool) { keys[place] = true })
	return ResourceType{Service: s.prefix, Name: field(line, 0), ARN: field(line, 1), ConditionKeys: s.keyNames(keys)}
}

// Pattern is the ARN with every variable replaced by "*", as a policy would
// name all resources of the type: "arn:*:s3:::*".
func (t ResourceType) Pattern() string {
	var b strings.Builder
	for rest := t.ARN; ; {
		literal, after, ok := strings.Cut(rest, "${")
		b.WriteString(literal)
		if !ok {
			return b.String()
		}
		b.WriteByte('*')
		_, rest, _ = strings.Cut(after, "}")
	}
}
