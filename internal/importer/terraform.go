package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer/tree"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// knownAfterApply is why most values of a plan are not known.
const knownAfterApply = "it is known only after apply"

// Terraform gives what will be once a plan is applied (`terraform show -json PLAN`
// or OpenTofu's). Resources that the plan leaves as they are, and the state before
// the changes, fill in what base does not know.
//
// The account of a resource is that of its ARN, of the role its provider assumes
// or the account it is confined to, of all other ARNs of that provider, or
// o.Account. A role's or policy's ARN follows from its name before it is made; one
// made with a name prefix stands under the prefix and zeros. A reference to one
// attribute of one resource is followed; other values that Terraform knows only
// after apply stay unread.
func Terraform(base *inventory.Inventory, name string, src []byte, o Options) (*inventory.Inventory, diag.List, error) {
	var plan tfPlan
	if err := json.Unmarshal(src, &plan); err != nil {
		return nil, nil, positioned(src, 0, err, 0)
	}
	if major, _, _ := strings.Cut(plan.FormatVersion, "."); major != "0" && major != "1" {
		return nil, nil, fmt.Errorf("reading Terraform plan: format version %q is not known", plan.FormatVersion)
	}
	t := &terraform{plan: &plan, options: o, file: name}
	if err := t.load(); err != nil {
		return nil, nil, err
	}
	t.locate()
	// What is before the changes fills in what the base does not know.
	t.overlay = newOverlay(nil, name)
	put, remove := func(k tfKind) func(*terraform, *tfResource) { return k.put }, func(k tfKind) func(*terraform, *tfResource) { return k.remove }
	t.run((*tfResource).exists, (*tfResource).beforehand, put)
	before := t.inv
	t.overlay = newOverlay(inventory.Merge(before, base), name)
	t.run((*tfResource).removes, (*tfResource).beforehand, remove)
	t.run((*tfResource).puts, (*tfResource).putting, put)
	t.ignored()
	t.whole()
	t.findings.Sort()
	return t.inv, t.findings, nil
}

// tfPlan is what counts here of a plan. Source: Terraform, "JSON Output Format".
type tfPlan struct {
	FormatVersion string `json:"format_version"`
	Variables     map[string]struct {
		Value json.RawMessage `json:"value"`
	} `json:"variables"`
	Errored         bool              `json:"errored"`
	Complete        *bool             `json:"complete"` // since Terraform 1.8
	Deferred        []json.RawMessage `json:"deferred_changes"`
	ResourceChanges []tfChange        `json:"resource_changes"`
	Configuration   struct {
		ProviderConfig map[string]struct {
			Expressions map[string]json.RawMessage `json:"expressions"`
		} `json:"provider_config"`
		RootModule tfModule `json:"root_module"`
	} `json:"configuration"`
}

type tfChange struct {
	Address       string          `json:"address"`
	ModuleAddress string          `json:"module_address"`
	Mode          string          `json:"mode"`
	Type          string          `json:"type"`
	Name          string          `json:"name"`
	Index         json.RawMessage `json:"index"`
	Deposed       string          `json:"deposed"`
	Change        struct {
		Actions      []string        `json:"actions"`
		Before       json.RawMessage `json:"before"`
		After        json.RawMessage `json:"after"`
		AfterUnknown json.RawMessage `json:"after_unknown"`
	} `json:"change"`
}

type tfModule struct {
	Resources   []tfConfig `json:"resources"`
	ModuleCalls map[string]struct {
		Expressions map[string]json.RawMessage `json:"expressions"`
		Module      *tfModule                  `json:"module"`
	} `json:"module_calls"`
	Outputs map[string]struct {
		Expression json.RawMessage `json:"expression"`
	} `json:"outputs"`
}

type tfConfig struct {
	Mode        string                     `json:"mode"`
	Type        string                     `json:"type"`
	Name        string                     `json:"name"`
	Provider    string                     `json:"provider_config_key"`
	Expressions map[string]json.RawMessage `json:"expressions"`
}

// terraform applies one plan.
type terraform struct {
	*overlay
	plan      *tfPlan
	options   Options
	file      string // as findings name it
	resources []*tfResource
}

// tfResource is one resource of a plan.
type tfResource struct {
	*tfChange
	number  int // in resource_changes
	modules []string
	config  *tfConfig // nil when the configuration does not have it any more
	before  value
	after   value // with unknown values
	account arn.AccountID
	region  string
	// v is before or after, as the step at hand has it; anew says that it is made.
	v    value
	anew bool
}

// load reads the values of the resources that count.
func (t *terraform) load() error {
	for i := range t.plan.ResourceChanges {
		c := &t.plan.ResourceChanges[i]
		if c.Mode == "data" || !strings.HasPrefix(c.Type, "aws_") && !strings.HasPrefix(c.Type, "awscc_") {
			continue
		}
		r := &tfResource{tfChange: c, number: i, modules: moduleNames(c.ModuleAddress)}
		r.config = t.configOf(r)
		if err := r.read(); err != nil {
			return fmt.Errorf("reading Terraform plan: /resource_changes/%d (%s): %w", i, c.Address, err)
		}
		t.resources = append(t.resources, r)
	}
	return nil
}

// read reads the values before and after. Of kinds that are not taken over only
// the ARN counts, which tells the account.
func (r *tfResource) read() error {
	if _, known := tfKinds[r.Type]; !known {
		var own struct {
			ARN string `json:"arn"`
		}
		if json.Unmarshal(r.Change.Before, &own) == nil && own.ARN != "" {
			r.before = value{policy.Node{Kind: policy.ObjectNode, Members: []policy.Member{{Name: "arn", Value: tree.Text(policy.Pos{}, own.ARN)}}}}
		}
		return nil
	}
	var err error
	if r.before, err = tfValue(r.Change.Before, nil); err == nil {
		r.after, err = tfValue(r.Change.After, r.Change.AfterUnknown)
	}
	return err
}

// tfValue reads a value and marks what of it is not known yet.
func tfValue(text, unknown json.RawMessage) (value, error) {
	var known, mark policy.Node
	var err error
	if len(text) > 0 {
		if known, err = policy.ParseNode(text); err != nil {
			return value{}, errors.New(strings.TrimSpace(err.Error()))
		}
	}
	if len(unknown) > 0 {
		if mark, err = policy.ParseNode(unknown); err != nil {
			return value{}, errors.New(strings.TrimSpace(err.Error()))
		}
	}
	return value{marked(known, mark)}, nil
}

// marked puts unknown values where mark has true.
func marked(n, mark policy.Node) policy.Node {
	switch mark.Kind {
	case policy.BoolNode:
		if mark.Text == "true" {
			return tree.Unknown(n.Pos, knownAfterApply)
		}
	case policy.ObjectNode:
		if n.Kind != policy.ObjectNode && n.Kind != policy.NullNode {
			return n
		}
		n.Kind = policy.ObjectNode
		n.Members = slices.Clone(n.Members)
		for _, m := range mark.Members {
			i := slices.IndexFunc(n.Members, func(have policy.Member) bool { return have.Name == m.Name })
			switch {
			case i >= 0:
				n.Members[i].Value = marked(n.Members[i].Value, m.Value)
			case hasTrue(m.Value):
				n.Members = append(n.Members, policy.Member{Name: m.Name, Value: marked(policy.Node{}, m.Value)})
			}
		}
	case policy.ListNode:
		n.Items = slices.Clone(n.Items)
		for i, m := range mark.Items {
			if i < len(n.Items) {
				n.Items[i] = marked(n.Items[i], m)
			}
		}
	}
	return n
}

func hasTrue(mark policy.Node) bool {
	return mark.Kind == policy.BoolNode && mark.Text == "true" ||
		slices.ContainsFunc(mark.Items, hasTrue) ||
		slices.ContainsFunc(mark.Members, func(m policy.Member) bool { return hasTrue(m.Value) })
}

// moduleNames are the names of the modules of "module.a[0].module.b".
func moduleNames(address string) []string {
	var out []string
	for rest := address; rest != ""; {
		var name string
		rest = strings.TrimPrefix(rest, "module.")
		if i := strings.IndexAny(rest, ".["); i >= 0 {
			name, rest = rest[:i], rest[i:]
		} else {
			name, rest = rest, ""
		}
		if strings.HasPrefix(rest, "[") {
			// A key may hold any character; the bracket that closes ends the text or
			// stands before a dot.
			end := strings.Index(rest, "].")
			if end < 0 {
				end = len(rest) - 1
			}
			rest = rest[end+1:]
		}
		rest = strings.TrimPrefix(rest, ".")
		out = append(out, name)
	}
	return out
}

// module is the configuration of a module.
func (t *terraform) module(names []string) *tfModule {
	m := &t.plan.Configuration.RootModule
	for _, name := range names {
		if m = m.ModuleCalls[name].Module; m == nil {
			return nil
		}
	}
	return m
}

func (t *terraform) configOf(r *tfResource) *tfConfig {
	m := t.module(r.modules)
	if m == nil {
		return nil
	}
	for i := range m.Resources {
		if c := &m.Resources[i]; c.Type == r.Type && c.Name == r.Name && c.Mode != "data" {
			return c
		}
	}
	return nil
}

func (r *tfResource) is(action string) bool { return slices.Contains(r.Change.Actions, action) }

// exists reports whether the resource is there before the plan is applied.
func (r *tfResource) exists() bool {
	return !r.before.none() && r.Deposed == "" && !slices.Equal(r.Change.Actions, []string{"create"})
}

func (r *tfResource) removes() bool { return r.is("delete") && !r.before.none() }

func (r *tfResource) puts() bool {
	return (r.is("create") || r.is("update")) && !r.after.none() && r.Deposed == ""
}

func (r *tfResource) beforehand() { r.v, r.anew = r.before, false }
func (r *tfResource) putting()    { r.v, r.anew = r.after, r.is("create") }

// run applies one step to the resources of each phase: first the things
// themselves, then what is of them.
func (t *terraform) run(which func(*tfResource) bool, step func(*tfResource), apply func(tfKind) func(*terraform, *tfResource)) {
	for phase := range tfPhases {
		for _, r := range t.resources {
			kind, ok := tfKinds[r.Type]
			if !ok || kind.phase != phase || !which(r) {
				continue
			}
			if r.account == "" && !kind.global {
				t.find(t.at(r), diag.Warning, CodeNoAccount, "nothing says in which account it is", "name the account that the provider works in")
				continue
			}
			step(r)
			apply(kind)(t, r)
		}
	}
}

// at is where a resource stands in the plan, by its address there; a JSON pointer
// stands in the place of the line.
func (t *terraform) at(r *tfResource) place {
	return place{pos: diag.Position{File: t.file + "#/resource_changes/" + strconv.Itoa(r.number)}, address: r.Address}
}

// ignored tells which resources decide about access and were not looked at. What
// one that stands for others makes may be anything.
func (t *terraform) ignored() {
	told := map[string]bool{}
	for _, r := range t.resources {
		_, known := tfKinds[r.Type]
		if known || slices.Equal(r.Change.Actions, []string{"no-op"}) {
			continue
		}
		makes := strings.HasPrefix(r.Type, "aws_cloudformation_stack") || strings.HasPrefix(r.Type, "awscc_iam_") || strings.HasPrefix(r.Type, "awscc_cloudformation_stack")
		if makes {
			t.hidden(r.account, "what "+r.Address+" makes", "resources of type "+r.Type+" are not read")
		}
		if told[r.Type] {
			continue
		}
		switch told[r.Type] = true; {
		case makes:
			t.find(t.at(r), diag.Warning, CodeNotRead, "what resources of type "+r.Type+" make is not read", "")
		case tfDecides(r.Type):
			t.find(t.at(r), diag.Info, CodeNotRead, "resources of type "+r.Type+" are not read", "")
		}
	}
}

// whole tells that the plan says of itself that it is not all there will be.
func (t *terraform) whole() {
	why := ""
	switch {
	case t.plan.Errored:
		why = "planning ended in an error"
	case len(t.plan.Deferred) > 0:
		why = "it puts " + strconv.Itoa(len(t.plan.Deferred)) + " resources off to a later plan"
	case t.plan.Complete != nil && !*t.plan.Complete:
		why = "it says so, as one made with -target does"
	default:
		return
	}
	t.find(place{pos: diag.Position{File: t.file}}, diag.Warning, CodeNotRead, "the plan does not have all that the configuration will change: "+why, "plan all of it")
	told := map[arn.AccountID]bool{}
	for _, r := range t.resources {
		if !told[r.account] {
			t.hidden(r.account, "what the plan leaves out", why)
		}
		told[r.account] = true
	}
}

// tfDecides reports whether a type's name says that it is about access.
func tfDecides(kind string) bool {
	if slices.Contains([]string{"aws_iam_instance_profile", "aws_iam_user_login_profile", "aws_iam_access_key", "aws_iam_account_alias"}, kind) {
		return false
	}
	return strings.Contains(kind, "policy") || strings.Contains(kind, "permission") || strings.Contains(kind, "grant") ||
		slices.ContainsFunc([]string{"aws_iam_", "aws_ssoadmin_", "aws_ram_", "aws_organizations_", "aws_lakeformation_"}, func(p string) bool { return strings.HasPrefix(kind, p) })
}
