package lint

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint/awsauth"
	"github.com/stile-aws/stile/internal/lint/awsconfig"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/tree"
	"github.com/stile-aws/stile/policy"
)

// File checks a file of any kind it recognises by name and contents: IAM
// policies of any kind (alone or inside other JSON or YAML, such as
// CloudFormation templates and answers of the AWS CLI), AWS config and
// credentials files, aws-auth maps, and programs that ask for secrets.
func File(name string, src []byte) rule.List { return Context{}.FileIn(name, src) }

// FileIn is [File] for a file whose surroundings are known.
func (ctx Context) FileIn(name string, src []byte) rule.List {
	ctx.File = name
	written := src
	src = tree.Plain(src)
	switch recognise(name, src) {
	case credentialsFile:
		return awsconfig.Credentials(name, src)
	case configurationFile:
		return awsconfig.Config(name, src)
	case programFile:
		return ctx.Source(src)
	case jsonFile:
		return ctx.json(src, written)
	case yamlFile:
		return ctx.yaml(src)
	case unknownFile:
	}
	return unknown(name, "this is no kind of file stile checks")
}

type fileKind uint8

const (
	unknownFile fileKind = iota
	credentialsFile
	configurationFile
	programFile
	jsonFile
	yamlFile
)

// recognise goes by contents first: the articles keep a config file in
// "awsconfig-configmap.yaml".
func recognise(name string, src []byte) fileKind {
	base := strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	first := firstLine(src)
	switch {
	case strings.HasPrefix(first, "[") && !strings.ContainsAny(first, `{"`) && strings.Contains(first, "]"):
		if strings.Contains(base, "credential") {
			return credentialsFile
		}
		if base == "config" || hasProfileHeading(src) || !strings.Contains(string(src), "aws_secret_access_key") {
			return configurationFile
		}
		return credentialsFile
	case isProgram(path.Ext(base)):
		return programFile
	case strings.HasPrefix(first, "{"):
		return jsonFile
	case first != "" && (strings.Contains(first, ":") || strings.HasPrefix(first, "-") || path.Ext(base) == ".yaml" || path.Ext(base) == ".yml"):
		return yamlFile
	}
	return unknownFile
}

func firstLine(src []byte) string {
	for line := range strings.Lines(string(src)) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && line[0] != ';' {
			return line
		}
	}
	return ""
}

func hasProfileHeading(src []byte) bool {
	for line := range strings.Lines(string(src)) {
		if strings.HasPrefix(strings.TrimSpace(line), "[profile ") {
			return true
		}
	}
	return false
}

func isProgram(ext string) bool {
	switch ext {
	case ".cs", ".go", ".java", ".js", ".kt", ".php", ".ps1", ".py", ".rb", ".rs", ".scala", ".sh", ".ts":
		return true
	}
	return false
}

func unknown(file, summary string) rule.List {
	var list rule.List
	list.Add(rule.Finding{
		Pos: diag.Position{File: file}, Code: rule.UnknownFile, Summary: summary,
		Hint: "stile knows IAM policies in JSON and YAML, CloudFormation templates, Terraform plans in JSON, AWS config and credentials files, and aws-auth ConfigMaps",
	})
	return list
}

// json checks a file that holds a policy document, or has some inside. The text
// as it is written may begin with a mark, which AWS refuses in a document.
func (ctx Context) json(src, written []byte) rule.List {
	if inventory.Saved(src) {
		list := unknown(ctx.File, "the file is a saved inventory")
		list[0].Hint = "stile lint --inventory " + ctx.File + " checks it, with what is known of both sides"
		return list
	}
	root, err := policy.ParseNode(src)
	if err != nil {
		return fromPolicy(ctx.File, err)
	}
	if !isDocument(root) {
		if list, found := ctx.inside(root, src); found {
			list.Sort()
			return list
		}
	}
	list := ctx.decode(root, ctx.kindOf)
	if len(written) != len(src) {
		list = append(list, fromPolicy(ctx.File, policy.Errors{{
			Pos: policy.Pos{Line: 1, Column: 1}, Code: policy.CodeJSON,
			Msg: "AWS takes documents in UTF-8 without a byte order mark, and this one begins with a mark", Hint: "save it in UTF-8 without a mark",
		}})...)
	}
	list.Sort()
	return list
}

func fromPolicy(file string, err error) rule.List {
	var list rule.List
	list.AddDiagnostics(diag.FromPolicy(file, err))
	return list
}

func (ctx Context) yaml(src []byte) rule.List {
	docs, err := tree.ReadYAML(src)
	list := unreadable(ctx.File, err)
	found := len(list) > 0
	for _, doc := range docs {
		if awsauth.Is(doc) {
			list = append(list, awsauth.Check(ctx.File, src, doc)...)
			found = true
			continue
		}
		root, err := tree.FromYAML(src, doc)
		inside, some := ctx.inside(root, src)
		list = append(append(list, unreadable(ctx.File, err)...), inside...)
		found = found || some || err != nil
	}
	if !found {
		list = append(list, unknown(ctx.File, "the file has no policy document and no aws-auth map")...)
	}
	list.Sort()
	return list
}

// decode checks the document a tree holds. Where a statement cannot be read,
// the others are still checked.
func (ctx Context) decode(root policy.Node, kindOf func(*policy.Document) policy.Kind) rule.List {
	return ctx.decoded(root, kindOf).list
}

func (ctx Context) decoded(root policy.Node, kindOf func(*policy.Document) policy.Kind) *report {
	r := &report{ctx: ctx}
	doc, err := policy.Decode(root)
	if err != nil {
		for _, d := range diag.FromPolicy(ctx.File, err) {
			if !tree.Unresolved(d.Summary) {
				r.diagnostic(d)
			}
		}
		r.list = withoutMisspelt(r.list, root)
		doc, r.partial = readable(root), true
	}
	if len(doc.Statements) > 0 {
		r.doc, r.kind = doc, kindOf(doc)
		r.check()
	}
	return r
}

// withoutMisspelt takes out elements that are missing from a statement because
// they are misspelt there, which has its own finding.
func withoutMisspelt(list rule.List, root policy.Node) rule.List {
	meant := map[spot]string{} // by place of a misspelt name
	for _, f := range list {
		if f.Code == "policy/unknown-element" && f.Fix != "" {
			meant[spot{f.Pos.Line, f.Pos.Column}] = f.Fix
		}
	}
	if len(meant) == 0 {
		return list
	}
	elements := map[spot][]string{} // by place of a statement
	for _, st := range append([]policy.Node{tree.Member(root, "Statement")}, tree.Member(root, "Statement").Items...) {
		for _, m := range st.Members {
			if element := meant[spotOf(m.NamePos)]; element != "" {
				elements[spotOf(st.Pos)] = append(elements[spotOf(st.Pos)], element)
			}
		}
	}
	return slices.DeleteFunc(list, func(f rule.Finding) bool {
		return f.Code == "policy/missing-element" &&
			slices.ContainsFunc(elements[spot{f.Pos.Line, f.Pos.Column}], func(e string) bool { return strings.Contains(f.Summary, e) })
	})
}

// readable is the document of those statements of a tree that can be read.
func readable(root policy.Node) *policy.Document {
	out := &policy.Document{Version: policy.Version2012, Pos: root.Pos}
	if v := tree.Member(root, "Version").Text; v == string(policy.Version2008) || tree.Member(root, "Version").Kind == policy.NullNode {
		out.Version = policy.Version(v)
	}
	statements := tree.Member(root, "Statement")
	for _, st := range append([]policy.Node{statements}, statements.Items...) {
		if st.Kind != policy.ObjectNode {
			continue
		}
		single, err := policy.Decode(policy.Node{Kind: policy.ObjectNode, Pos: root.Pos, Members: []policy.Member{{Name: "Statement", Value: st}}})
		if err == nil {
			out.Statements = append(out.Statements, single.Statements...)
		}
	}
	return out
}

// kind is what a document is used as, as far as its contents tell.
func (ctx Context) kindOf(doc *policy.Document) policy.Kind {
	if ctx.Kind != nil {
		return *ctx.Kind
	}
	return guessKind(doc)
}

// guessKind tells the kind of policy by its principals and actions.
func guessKind(doc *policy.Document) policy.Kind {
	named, onlySTS, onlyKMS := false, true, true
	for i := range doc.Statements {
		st := &doc.Statements[i]
		named = named || st.Principal != nil || st.NotPrincipal != nil
		for _, texts := range [][]policy.Text{st.Actions, st.NotActions} {
			for _, a := range texts {
				service, _, _ := strings.Cut(strings.ToLower(a.Value), ":")
				onlySTS = onlySTS && service == "sts"
				onlyKMS = onlyKMS && service == "kms"
			}
		}
	}
	switch {
	case !named:
		return policy.Identity
	case onlySTS:
		return policy.Trust
	case onlyKMS:
		return policy.Key
	}
	return policy.Resource
}

// Source checks a program for secrets asked for by name. It sees literals in
// single lines only.
func (ctx Context) Source(src []byte) rule.List {
	quoted := regexp.MustCompile(`(?i)\bsecret_?id\b["']?\s*(?::=|[:=(,])\s*[@$]?(?:aws\.String\()?["'` + "`" + `]([^"'` + "`" + `]+)["'` + "`" + `]`)
	option := regexp.MustCompile(`--secret-id[ =]+["']?([A-Za-z0-9/_+=.@:-]+)`)
	var list rule.List
	number := 0
	for line := range strings.Lines(string(src)) {
		number++
		for _, re := range []*regexp.Regexp{quoted, option} {
			at := re.FindStringSubmatchIndex(line)
			if at == nil {
				continue
			}
			id := line[at[2]:at[3]]
			if strings.ContainsAny(id, "${<") && !strings.HasPrefix(id, "arn:") {
				continue // built at run time
			}
			pos := diag.Position{File: ctx.File, Line: number, Column: at[2] + 1}
			list = append(list, SecretID(pos, id, "", "")...)
		}
	}
	return list
}
