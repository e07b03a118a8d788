// Package importer makes inventories of files that others write: the answer of
// GetAccountAuthorizationDetails, a directory that iam-collect filled, a
// Terraform plan, a CloudFormation template, and saved inventories.
//
// Start with [Read], which recognises what it is given. The first two kinds and
// saved inventories say what is; plans and templates say what will be, over a
// base inventory ([Terraform], [CloudFormation]): the result is a new inventory
// that shares with the base what they do not touch.
//
// What a file does not settle, a value known only after apply, a parameter
// without a value, is never guessed: it stands in the inventory as unread, with
// the reason (see [inventory.Unknown]), and is told as a finding. So is everything
// that was not understood.
//
// The package reads through io/fs and byte slices only: no AWS, no environment.
package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer/iamcollect"
	"github.com/stile-aws/stile/internal/inventory"
)

// Codes of the findings.
const (
	CodeUnread      = "import/unread"        // a value that decides is not known: the answer about it will be unknown
	CodeNotRead     = iamcollect.CodeNotRead // something of a kind that this package does not take over
	CodeNoAccount   = "import/no-account"    // nothing says in which account a resource is
	CodeUnknownName = "import/unknown-name"  // a resource whose name is not known, so that it can't be placed
	CodeMissing     = "import/missing"       // a change of something that neither the base nor the file has
	CodeReplaced    = "import/replaced"      // a principal made anew, whom policies that name the old one do not let in
	CodeInvalid     = iamcollect.CodeInvalid // a part of the input that is not what it should be
)

// Kind is what a file or directory is.
type Kind uint8

// The kinds of input.
const (
	Unrecognised         Kind = iota
	SavedInventory            // inventory.Save
	AuthorizationDetails      // aws iam get-account-authorization-details
	TerraformPlan             // terraform show -json PLAN
	CloudFormationStack       // a CloudFormation template, JSON or YAML
	CollectedDirectory        // what iam-collect writes
	Directory                 // a directory of files of the kinds above
)

// String names the kind as a sentence would.
func (k Kind) String() string {
	switch k {
	case SavedInventory:
		return "a saved inventory"
	case AuthorizationDetails:
		return "account authorization details"
	case TerraformPlan:
		return "a Terraform plan"
	case CloudFormationStack:
		return "a CloudFormation template"
	case CollectedDirectory:
		return "a directory of iam-collect"
	case Directory:
		return "a directory"
	case Unrecognised:
	}
	return "nothing that is known"
}

// Overlay reports whether the kind says what will be rather than what is.
func (k Kind) Overlay() bool { return k == TerraformPlan || k == CloudFormationStack }

// Options say what the input itself does not. The zero Options know nothing.
type Options struct {
	// Account is where resources are that say nothing of an account. Default: such
	// resources are left out, with a finding.
	Account arn.AccountID
	// Region is where resources are that say nothing of a Region; CloudFormation's
	// AWS::Region. Default: none is known.
	Region string
	// Parameters are values for a template's parameters. Default: the template's own.
	Parameters map[string]string
	// StackName is CloudFormation's AWS::StackName. Default: not known.
	StackName string
}

// Result is what was read.
type Result struct {
	Kind      Kind
	Inventory *inventory.Inventory
	// Findings are what could not be taken over, and why.
	Findings diag.List
}

// ErrUnrecognised is wrapped by the error of Read for an input of no kind it
// knows.
var ErrUnrecognised = errors.New("it is no kind of input stile knows")

// Recognise tells by its contents what a file is.
func Recognise(src []byte) Kind {
	switch start := bytes.TrimSpace(src[:min(len(src), 1<<16)]); {
	case inventory.Saved(src):
		return SavedInventory
	case len(start) == 0:
		return Unrecognised
	case start[0] == '{' || start[0] == '[':
		return recogniseJSON(src)
	case isTemplateYAML(src):
		return CloudFormationStack
	}
	return Unrecognised
}

// RecogniseDir tells what a directory is.
func RecogniseDir(fsys fs.FS) Kind {
	if len(iamcollect.Partitions(fsys)) > 0 {
		return CollectedDirectory
	}
	return Directory
}

// Read makes an inventory of the file or directory called name, whatever it is.
// A plan or template changes base, anything else is merged over it; base may be
// nil and is not changed. Of a directory that is not iam-collect's every file
// with a name in .json, .gz, .yaml, .yml or .template is read, those that say
// what is before plans and templates, each by name.
func Read(fsys fs.FS, name string, base *inventory.Inventory, o Options) (*Result, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("reading inventory %s: %w", name, err)
	}
	if info.IsDir() {
		sub, err := fs.Sub(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("reading inventory %s: %w", name, err)
		}
		return readDir(sub, name, base, o)
	}
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("reading inventory %s: %w", name, err)
	}
	return Bytes(name, src, base, o)
}

// Bytes is [Read] for a file whose contents are at hand; name is what findings
// and errors call it.
func Bytes(name string, src []byte, base *inventory.Inventory, o Options) (*Result, error) {
	out := &Result{Kind: Recognise(src)}
	var err error
	switch out.Kind {
	case SavedInventory:
		out.Inventory, err = inventory.Load(bytes.NewReader(src))
	case AuthorizationDetails:
		out.Inventory, out.Findings, err = Details(name, src, o)
	case TerraformPlan:
		out.Inventory, out.Findings, err = Terraform(base, name, src, o)
	case CloudFormationStack:
		out.Inventory, out.Findings, err = CloudFormation(base, name, src, o)
	default:
		return nil, fmt.Errorf("reading inventory %s: %w: a saved inventory, the output of aws iam get-account-authorization-details or terraform show -json, a CloudFormation template, or a directory of iam-collect", name, ErrUnrecognised)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if !out.Kind.Overlay() {
		out.Inventory = inventory.Merge(base, out.Inventory)
	}
	return out, nil
}

func readDir(fsys fs.FS, name string, base *inventory.Inventory, o Options) (*Result, error) {
	out := &Result{Kind: RecogniseDir(fsys), Inventory: base}
	if out.Kind == CollectedDirectory {
		inv, findings, err := Collected(fsys)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		out.Inventory, out.Findings = inventory.Merge(base, inv), findings
		return out, nil
	}
	files, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading inventory %s: %w", name, err)
	}
	var later []string
	read := 0
	one := func(file string, overlay bool) error {
		src, err := fs.ReadFile(fsys, file)
		if err != nil {
			return fmt.Errorf("reading inventory %s: %w", path.Join(name, file), err)
		}
		if !overlay && Recognise(src).Overlay() {
			later = append(later, file)
			return nil
		}
		got, err := Bytes(path.Join(name, file), src, out.Inventory, o)
		if err != nil {
			return err
		}
		read++
		out.Inventory = got.Inventory
		out.Findings.Add(got.Findings...)
		return nil
	}
	for _, f := range files {
		if f.IsDir() || !readable(f.Name()) {
			continue
		}
		if err := one(f.Name(), false); err != nil {
			return nil, err
		}
	}
	for _, file := range later {
		if err := one(file, true); err != nil {
			return nil, err
		}
	}
	if read == 0 {
		return nil, fmt.Errorf("reading inventory %s: %w: there is neither aws/PARTITION/accounts, as iam-collect writes, nor a JSON or YAML file", name, ErrUnrecognised)
	}
	return out, nil
}

func readable(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".json", ".gz", ".yaml", ".yml", ".template":
		return true
	}
	return false
}
