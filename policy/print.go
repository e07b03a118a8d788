package policy

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// JSON prints the document without white space, elements in the order the
// documentation lists them, lists of one value as the value alone. Parsing the
// result gives a document [Equal] to d. The same condition key twice under one
// operator, which Parse never yields, is printed as it stands and refused by
// Parse and by AWS.
func (d *Document) JSON() []byte {
	var p printer
	p.document(d)
	return p.Bytes()
}

// Indent prints the document for people, indented by two spaces.
func (d *Document) Indent() []byte {
	var out bytes.Buffer
	// JSON's output is always well-formed, so Indent cannot fail.
	_ = json.Indent(&out, d.JSON(), "", "  ")
	return out.Bytes()
}

// String is JSON as a string.
func (d *Document) String() string { return string(d.JSON()) }

// Size counts the characters of a document's text as IAM does against its
// quotas: white space does not count. White space inside strings is counted,
// because AWS does not say that it is not.
func Size(src string) int {
	n, inString, escaped := 0, false, false
	for _, r := range src {
		if !inString && (r == ' ' || r == '\t' || r == '\n' || r == '\r') {
			continue
		}
		n++
		switch {
		case escaped:
			escaped = false
		case inString && r == '\\':
			escaped = true
		case r == '"':
			inString = !inString
		}
	}
	return n
}

// Size is the size of d as [JSON] prints it, counted as IAM counts.
func (d *Document) Size() int { return utf8.RuneCount(d.JSON()) }

// printer writes compact JSON.
type printer struct {
	bytes.Buffer
}

// str writes a JSON string. Unlike encoding/json it leaves <, > and & alone:
// they would cost five characters more against the quota.
func (p *printer) str(s string) {
	enc := json.NewEncoder(p)
	enc.SetEscapeHTML(false)
	// Strings always encode.
	_ = enc.Encode(s)
	p.Truncate(p.Len() - 1) // the line feed Encode adds
}

// name begins a member of an object.
func (p *printer) name(s string) {
	if last := p.Bytes()[p.Len()-1]; last != '{' {
		p.WriteByte(',')
	}
	p.str(s)
	p.WriteByte(':')
}

func (p *printer) document(d *Document) {
	p.WriteByte('{')
	if d.Version != "" {
		p.name("Version")
		p.str(string(d.Version))
	}
	if d.ID != "" {
		p.name("Id")
		p.str(d.ID)
	}
	p.name("Statement")
	if d.Single && len(d.Statements) == 1 {
		p.statement(&d.Statements[0])
	} else {
		p.WriteByte('[')
		for i := range d.Statements {
			if i > 0 {
				p.WriteByte(',')
			}
			p.statement(&d.Statements[i])
		}
		p.WriteByte(']')
	}
	p.WriteByte('}')
}

func (p *printer) statement(st *Statement) {
	p.WriteByte('{')
	if st.Sid != "" {
		p.name("Sid")
		p.str(st.Sid)
	}
	p.name("Effect")
	p.str(string(st.Effect))
	p.principals("Principal", st.Principal)
	p.principals("NotPrincipal", st.NotPrincipal)
	for _, e := range [...]struct {
		name   string
		values []Text
	}{{"Action", st.Actions}, {"NotAction", st.NotActions}, {"Resource", st.Resources}, {"NotResource", st.NotResources}} {
		if e.values != nil {
			p.name(e.name)
			p.texts(e.values)
		}
	}
	p.conditions(st.Conditions)
	p.WriteByte('}')
}

// texts writes one value alone, others as a list.
func (p *printer) texts(values []Text) {
	if len(values) == 1 {
		p.str(values[0].Value)
		return
	}
	p.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			p.WriteByte(',')
		}
		p.str(v.Value)
	}
	p.WriteByte(']')
}

func (p *printer) principals(name string, pr *Principals) {
	if pr == nil {
		return
	}
	p.name(name)
	if pr.Everyone {
		p.str("*")
		return
	}
	p.WriteByte('{')
	for _, group := range grouped(len(pr.Entries), func(i int) string { return pr.Entries[i].Type }) {
		values := make([]Text, len(group))
		for i, number := range group {
			values[i] = pr.Entries[number].Value
		}
		p.name(pr.Entries[group[0]].Type)
		p.texts(values)
	}
	p.WriteByte('}')
}

// grouped gives the numbers of n things, those of one name together, in the
// order in which each name is met first.
func grouped(n int, name func(i int) string) [][]int {
	var groups [][]int
	at := make(map[string]int)
	for i := range n {
		group, met := at[name(i)]
		if !met {
			group = len(groups)
			at[name(i)] = group
			groups = append(groups, nil)
		}
		groups[group] = append(groups[group], i)
	}
	return groups
}

func (p *printer) conditions(conds []Condition) {
	if len(conds) == 0 {
		return
	}
	p.name("Condition")
	p.WriteByte('{')
	for _, group := range grouped(len(conds), func(i int) string { return conds[i].Operator }) {
		p.name(conds[group[0]].Operator)
		p.WriteByte('{')
		for _, number := range group {
			p.name(conds[number].Key)
			p.texts(conds[number].Values)
		}
		p.WriteByte('}')
	}
	p.WriteByte('}')
}
