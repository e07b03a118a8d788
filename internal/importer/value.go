package importer

import (
	"strings"

	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/policy"
)

// value is a part of the input that may not be known.
type value struct{ node policy.Node }

// at is the value of a member, of a member of that, and so on.
func (v value) at(names ...string) value { return value{tree.Member(v.node, names...)} }

// none reports whether the value is not given.
func (v value) none() bool { return v.node.Kind == policy.NullNode }

// text is a string, number or boolean; why says that it is not known. A value
// that is not given is "".
func (v value) text() (text, why string) {
	if why, unknown := tree.Why(v.node); unknown {
		return "", why
	}
	return v.node.Text, ""
}

// known is text where not knowing and not being given are one.
func (v value) known() string {
	text, _ := v.text()
	return text
}

// why is the reason for which the value, or something in it, is not known.
func (v value) why() string {
	why, _ := tree.WhyInside(v.node)
	return why
}

// truth reports whether the value is a true.
func (v value) truth() bool { return strings.EqualFold(v.known(), "true") }

// list is the items of a list; an unknown value is a list with it alone.
func (v value) list() []value {
	var out []value
	for _, n := range tree.List(v.node) {
		out = append(out, value{n})
	}
	return out
}

// texts is a list of strings; why is the first reason for which one is not known.
func (v value) texts() (texts []string, why string) {
	for _, item := range v.list() {
		text, unknown := item.text()
		if unknown != "" {
			return nil, unknown
		}
		texts = append(texts, text)
	}
	return texts, ""
}

// pairs is an object of strings, as of tags; nil when something is not known.
func (v value) pairs() map[string]string {
	if v.why() != "" {
		return nil
	}
	out := map[string]string{}
	for _, m := range v.node.Members {
		out[m.Name] = m.Value.Text
	}
	return out
}

// keyed is a list of objects with a key and a value, as CloudFormation has tags.
func (v value) keyed() map[string]string {
	if v.why() != "" {
		return nil
	}
	out := map[string]string{}
	for _, item := range v.list() {
		out[item.at("Key").known()] = item.at("Value").known()
	}
	return out
}

// document is the text of a policy, written as a string or as an object.
func (v value) document() (text, why string) {
	if why := v.why(); why != "" {
		return "", why
	}
	switch v.node.Kind {
	case policy.ObjectNode:
		if doc, err := policy.Decode(v.node); err == nil {
			return doc.String(), ""
		}
		return tree.JSON(v.node), ""
	case policy.StringNode:
		return strings.TrimSpace(v.node.Text), ""
	}
	return "", ""
}
