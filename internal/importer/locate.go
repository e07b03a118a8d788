package importer

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
)

// tfExpression is an attribute as the configuration has it.
type tfExpression struct {
	Constant   json.RawMessage `json:"constant_value"`
	References []string        `json:"references"`
}

// locate finds out in which account and Region each resource is.
func (t *terraform) locate() {
	seen := map[string][]arn.AccountID{} // by provider
	for _, r := range t.resources {
		if own := r.ownARN(); own.Account != "" {
			r.account, r.region = own.Account, own.Region
			if p := r.provider(); !slices.Contains(seen[p], own.Account) {
				seen[p] = append(seen[p], own.Account)
			}
		}
	}
	for _, r := range t.resources {
		p := r.provider()
		if r.account == "" {
			r.account = t.providerAccount(p)
		}
		if r.account == "" && len(seen[p]) == 1 && r.config != nil {
			r.account = seen[p][0]
		}
		if r.account == "" {
			r.account = t.accountOfWhatItNames(r)
		}
		if r.account == "" {
			r.account = t.options.Account
		}
		for _, region := range []string{r.after.at("region").known(), r.before.at("region").known(), t.constant(t.plan.Configuration.ProviderConfig[p].Expressions["region"]), t.options.Region} {
			if r.region == "" {
				r.region = region
			}
		}
	}
}

// parents are the attributes by which a resource names what it belongs to, which
// is in the same account.
var parents = []string{"role", "user", "group", "bucket", "secret_arn", "queue_url", "key_id", "resource_arn", "topic_arn", "repository", "association_arn", "policy_arn"}

// accountOfWhatItNames is the account of what a resource without a configuration
// belongs to: one that the plan deletes.
func (t *terraform) accountOfWhatItNames(r *tfResource) arn.AccountID {
	for _, attribute := range parents {
		name := r.before.at(attribute).known()
		if parsed, err := arn.Parse(name); err == nil && parsed.Account != "" {
			return parsed.Account
		}
		if parts := strings.Split(name, "/"); strings.HasPrefix(name, "https://") && len(parts) > 3 {
			if id, err := arn.ParseAccountID(parts[3]); err == nil { // of a queue
				return id
			}
		}
		var found arn.AccountID
		for _, c := range t.resources {
			if n, known := tfNames[c.Type]; name == "" || !known || !strings.HasSuffix(c.Type, "_"+attribute) || c.latest().at(n.attribute).known() != name {
				continue
			}
			own := c.ownARN().Account
			if own == "" {
				own = t.providerAccount(c.provider())
			}
			if found != "" && own != found {
				return ""
			}
			found = own
		}
		if found != "" {
			return found
		}
	}
	return ""
}

// provider is the key of the resource's provider configuration.
func (r *tfResource) provider() string {
	if r.config == nil {
		return ""
	}
	return r.config.Provider
}

// ownARN is the ARN that the resource has, as far as the plan tells it.
func (r *tfResource) ownARN() arn.ARN {
	for _, v := range []value{r.before, r.after} {
		if parsed, err := arn.Parse(v.at("arn").known()); err == nil {
			return parsed
		}
	}
	return arn.ARN{}
}

// providerAccount is the account a provider works in: of the role it assumes, or
// the only one it is allowed.
func (t *terraform) providerAccount(key string) arn.AccountID {
	expressions := t.plan.Configuration.ProviderConfig[key].Expressions
	for _, name := range []string{"assume_role", "assume_role_with_web_identity"} {
		var blocks []map[string]json.RawMessage
		if json.Unmarshal(expressions[name], &blocks) != nil {
			var one map[string]json.RawMessage
			if json.Unmarshal(expressions[name], &one) == nil {
				blocks = append(blocks, one)
			}
		}
		// Several blocks are a chain, which ends in the last role's account.
		for _, block := range slices.Backward(blocks) {
			if parsed, err := arn.Parse(t.constant(block["role_arn"])); err == nil {
				return parsed.Account
			}
		}
	}
	var allowed tfExpression
	var ids []string
	if json.Unmarshal(expressions["allowed_account_ids"], &allowed) == nil && json.Unmarshal(allowed.Constant, &ids) == nil && len(ids) == 1 {
		if id, err := arn.ParseAccountID(ids[0]); err == nil {
			return id
		}
	}
	return ""
}

// constant is the text of an expression of the root module that is a constant, or
// a variable alone; "" for any other.
func (t *terraform) constant(text json.RawMessage) string {
	var e tfExpression
	if len(text) == 0 || json.Unmarshal(text, &e) != nil {
		return ""
	}
	raw := e.Constant
	if name, ok := strings.CutPrefix(strings.Join(e.References, " "), "var."); ok && raw == nil {
		raw = t.plan.Variables[name].Value
	}
	var out string
	if json.Unmarshal(raw, &out) != nil {
		return ""
	}
	return out
}

// partition is that of the resource's own ARN, or of its Region.
func (r *tfResource) partition() string {
	if own := r.ownARN(); own.Partition != "" {
		return own.Partition
	}
	return catalog.Partition(r.region)
}

// configured reports whether the configuration sets an attribute, so that an
// unknown value is not merely one that AWS makes up.
func (r *tfResource) configured(attribute string) bool {
	if r.config == nil {
		return false
	}
	_, set := r.config.Expressions[attribute]
	return set
}

// given is an attribute, or nothing when it is not known because nobody set it.
func (r *tfResource) given(attribute string) value {
	v := r.v.at(attribute)
	if v.why() != "" && !r.configured(attribute) {
		return value{}
	}
	return v
}

// reference is what an expression refers to.
type reference struct {
	modules   []string
	kind      string
	name      string
	attribute string // "" when the expression indexes with something of its own
	index     string // as JSON; "" for none
	sameIndex bool   // each.key or count.index chooses the instance
}

// follow finds the one resource that an attribute refers to; false when it refers
// to several things or to something else.
func (t *terraform) follow(r *tfResource, attribute string) (*tfResource, string, bool) {
	if r.config == nil {
		return nil, "", false
	}
	ref, ok := t.resolve(r.modules, r.config.Expressions[attribute], 0)
	if !ok {
		return nil, "", false
	}
	var found *tfResource
	for _, c := range t.resources {
		if c.Type != ref.kind || c.Name != ref.name || !slices.Equal(c.modules, ref.modules) || c.Deposed != "" || !nearby(c.ModuleAddress, r.ModuleAddress) {
			continue
		}
		if ref.index != "" && string(c.Index) != ref.index || ref.sameIndex && len(c.Index) > 0 && string(c.Index) != string(r.Index) {
			continue
		}
		if found != nil {
			return nil, "", false
		}
		found = c
	}
	return found, ref.attribute, found != nil
}

// nearby reports whether one module instance is inside the other, or the same.
func nearby(a, b string) bool {
	inside := func(x, y string) bool { return x == "" || x == y || strings.HasPrefix(y, x+".") }
	return inside(a, b) || inside(b, a)
}

// resolve follows an expression of a module through variables and outputs.
func (t *terraform) resolve(modules []string, text json.RawMessage, depth int) (reference, bool) {
	var e tfExpression
	if depth > 16 || len(text) == 0 || json.Unmarshal(text, &e) != nil {
		return reference{}, false
	}
	out := reference{modules: modules}
	longest := ""
	for _, name := range e.References {
		switch {
		case name == "each.key" || name == "each.value" || name == "count.index":
			out.sameIndex = true
		case strings.HasPrefix(name, longest):
			longest = name
		case !strings.HasPrefix(longest, name):
			return reference{}, false // two things: a template or a choice
		}
	}
	head, rest, _ := strings.Cut(longest, ".")
	m := t.module(modules)
	switch {
	case m == nil || rest == "":
		return reference{}, false
	case head == "var" && len(modules) > 0:
		above := t.module(modules[:len(modules)-1])
		return t.resolve(modules[:len(modules)-1], above.ModuleCalls[modules[len(modules)-1]].Expressions[rest], depth+1)
	case head == "module":
		call, output, _ := strings.Cut(rest, ".")
		call, _ = cutIndex(call)
		inner := slices.Concat(modules, []string{call})
		if below := t.module(inner); below != nil {
			return t.resolve(inner, below.Outputs[output].Expression, depth+1)
		}
		return reference{}, false
	case !strings.HasPrefix(head, "aws_"):
		return reference{}, false
	}
	out.kind = head
	out.name, out.index = cutIndex(rest)
	if behind, ok := strings.CutPrefix(rest, out.name+bracketed(out.index)); ok {
		out.attribute = strings.TrimPrefix(behind, ".")
	}
	return out, true
}

func bracketed(index string) string {
	if index == "" {
		return ""
	}
	return "[" + index + "]"
}

// cutIndex splits "name[0].arn" into name and index.
func cutIndex(s string) (name, index string) {
	i := strings.IndexAny(s, ".[")
	if i < 0 {
		return s, ""
	}
	if s[i] == '.' {
		return s[:i], ""
	}
	end := strings.LastIndexByte(s, ']')
	if end < i {
		return s[:i], ""
	}
	return s[:i], s[i+1 : end]
}
