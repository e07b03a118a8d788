package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/inventory"
)

// Encode writes the plan for `apply` to execute later. Plans hold no secret,
// but they tell who can do what: keep the file at mode 0600.
func (p *Plan) Encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		return nil, fmt.Errorf("encoding plan of scope %q: %w", p.Scope, err)
	}
	return out.Bytes(), nil
}

// Decode reads what Encode wrote. A plan of another format is refused, and one
// whose steps could not be carried out as they are.
func Decode(src []byte) (*Plan, error) {
	var head struct {
		Format json.RawMessage `json:"format"`
	}
	if err := json.Unmarshal(src, &head); err != nil {
		return nil, fmt.Errorf("parsing plan: %w", err)
	}
	if string(head.Format) != strconv.Itoa(Format) {
		return nil, fmt.Errorf("parsing plan: not a plan of this version of stile (want \"format\": %d); run stile plan --out again", Format)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("parsing plan: %w", err)
	}
	if err := p.checkSteps(); err != nil {
		return nil, err
	}
	return &p, nil
}

// checkSteps refuses steps that no plan of ours has.
func (p *Plan) checkSteps() error {
	ids := map[string]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case s.ID == "" || ids[s.ID]:
			return fmt.Errorf("parsing plan: step %d has the id %q, which is empty or another step's", i+1, s.ID)
		case s.Verb != Create && s.Verb != Update && s.Verb != Delete:
			return fmt.Errorf("parsing plan: step %s has the verb %q; want %s, %s or %s", s.ID, s.Verb, Create, Update, Delete)
		case s.Op.kinds() != 1:
			return fmt.Errorf("parsing plan: step %s has %d operations; want one", s.ID, s.Op.kinds())
		}
		ids[s.ID] = true
	}
	for i := range p.Steps {
		for _, id := range p.Steps[i].After {
			if !ids[id] {
				return fmt.Errorf("parsing plan: step %s waits for %s, which is no step of the plan", p.Steps[i].ID, id)
			}
		}
	}
	return nil
}

// kinds counts the fields that are set.
func (o *Op) kinds() int {
	n := 0
	for _, set := range []bool{o.Provider != nil, o.Role != nil, o.Inline != nil, o.Detach != nil, o.Merge != nil} {
		if set {
			n++
		}
	}
	return n
}

// Kinds of Documents.
const (
	docProvider   = "oidc-provider"
	docRole       = "role"
	docRolePolicy = "role-policy"
	docUserPolicy = "user-policy"
	docSecret     = string(compile.SecretPolicy)
	docKey        = string(compile.KeyPolicy)
)

// Reread asks for every record the plan was made from, to see whether one moved.
func (p *Plan) Reread() inventory.Request {
	var req inventory.Request
	for _, key := range sortedKeys(p.Documents) {
		d := p.Documents[key]
		a := req.Account(d.Account)
		switch d.Kind {
		case docProvider:
			a.Providers = append(a.Providers, d.Name)
		case docRole:
			a.Roles = append(a.Roles, d.Name)
		case docRolePolicy:
			a.Roles = union(a.Roles, []string{owner(d.Name)})
		case docUserPolicy:
			a.Users = union(a.Users, []string{owner(d.Name)})
		case docSecret:
			a.Secrets = append(a.Secrets, d.Name)
		case docKey:
			a.Keys = append(a.Keys, d.Name)
		}
	}
	return req
}

// owner is the role or user of "NAME/POLICY".
func owner(name string) string {
	who, _, _ := strings.Cut(name, "/")
	return who
}

// Moved lists the records the plan was made from that are different in inv,
// which was filled by what Reread asks for.
func (p *Plan) Moved(inv *inventory.Inventory) []string {
	m := &maker{in: Input{Inventory: inv}, docs: map[string]Document{}}
	var out []string
	for _, key := range sortedKeys(p.Documents) {
		if d := p.Documents[key]; m.digestNow(d) != d.Digest {
			out = append(out, key)
		}
	}
	return out
}

func (m *maker) digestNow(d Document) string {
	a := m.account(d.Account)
	switch d.Kind {
	case docProvider:
		have, state := inventory.Get(a.Providers, d.Name)
		return Digest(have, state)
	case docRole:
		have, state := a.Role(d.Name)
		return Digest(have, state)
	case docRolePolicy, docUserPolicy:
		who, name, _ := strings.Cut(d.Name, "/")
		there, _ := a.Inline(strings.TrimSuffix(d.Kind, "-policy"), who)
		text, exists := there[name]
		return Digest(text, stateOf(exists))
	case docSecret, docKey:
		text, state := compile.TargetKind(d.Kind).PolicyOf(a, d.Name)
		return Digest(text, state)
	}
	return "unknown kind " + d.Kind
}

// Set is as much of the declarations as it takes to enter the plan's accounts.
func (p *Plan) Set() *access.Set {
	home := access.Home{Account: string(p.Home.Account), Region: p.Home.Region}
	return &access.Set{Scope: access.Scope{Metadata: access.Metadata{Name: p.Scope}, Home: home}, Accounts: p.Reach}
}
