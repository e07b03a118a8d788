package importer

import (
	"bytes"
	"encoding/json"
	"strings"
)

// recogniseJSON looks at the names of a JSON object's members, or of the first
// object of a list. The decoder stops at the first name that tells.
func recogniseJSON(src []byte) Kind {
	dec := json.NewDecoder(bytes.NewReader(src))
	token, err := dec.Token()
	if token == json.Delim('[') {
		token, err = dec.Token()
	}
	if err != nil || token != json.Delim('{') {
		return Unrecognised
	}
	names := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return Unrecognised
		}
		names[name] = true
		if kind := kindOf(names); kind != Unrecognised {
			return kind
		}
		if name == "Resources" {
			if hasTypes(dec) {
				return CloudFormationStack
			}
			return Unrecognised
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return Unrecognised
		}
	}
	return Unrecognised
}

func kindOf(names map[string]bool) Kind {
	switch {
	case names["RoleDetailList"] || names["UserDetailList"] || names["GroupDetailList"]:
		return AuthorizationDetails
	case names["AWSTemplateFormatVersion"]:
		return CloudFormationStack
	case names["format_version"] && (names["resource_changes"] || names["planned_values"]):
		return TerraformPlan
	}
	return Unrecognised
}

// hasTypes reports whether the object that follows has one whose Type is
// CloudFormation's.
func hasTypes(dec *json.Decoder) bool {
	var resources map[string]struct{ Type string }
	if dec.Decode(&resources) != nil {
		return false
	}
	for _, r := range resources {
		if isResourceType(r.Type) {
			return true
		}
	}
	return false
}

// isResourceType reports whether CloudFormation may have such a type.
func isResourceType(t string) bool {
	return strings.HasPrefix(t, "AWS::") || strings.HasPrefix(t, "Custom::") || strings.HasSuffix(t, "::MODULE")
}

// isTemplateYAML looks for lines that only templates have, without reading the
// YAML: a template may be broken, and is still one.
func isTemplateYAML(src []byte) bool {
	resources := false
	for line := range strings.Lines(string(src)) {
		line = strings.TrimRight(line, " \r\n")
		switch {
		case strings.HasPrefix(line, "AWSTemplateFormatVersion:"):
			return true
		case line == "Resources:":
			resources = true
		case resources && isTypeLine(strings.TrimSpace(line)):
			return true
		}
	}
	return false
}

func isTypeLine(line string) bool {
	value, ok := strings.CutPrefix(line, "Type:")
	return ok && isResourceType(strings.Trim(strings.TrimSpace(value), `"'`))
}
