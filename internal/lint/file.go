package lint

import (
	"path"
	"regexp"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/policy"
)

// CodeUnknownFile is reported for a file of a kind the package does not know.
const CodeUnknownFile = "file/unknown"

// File checks a file of any kind it recognises by name and contents: IAM
// policies of any kind (alone or inside other JSON or YAML, such as
// CloudFormation templates and answers of the AWS CLI), AWS config and
// credentials files, aws-auth maps, and programs that ask for secrets.
func File(name string, src []byte) diag.List { return Context{}.FileIn(name, src) }

// FileIn is [File] for a file whose surroundings are known.
func (ctx Context) FileIn(name string, src []byte) diag.List {
	ctx.File = name
	switch recognise(name, src) {
	case credentialsFile:
		return Credentials(name, src)
	case configurationFile:
		return Config(name, src)
	case programFile:
		return ctx.Source(src)
	case jsonFile:
		return ctx.json(src)
	case yamlFile:
		return ctx.yaml(src)
	case unknownFile:
	}
	return diag.List{{
		Pos: diag.Position{File: name}, Severity: diag.Info, Code: CodeUnknownFile,
		Summary: "this is no kind of file stile checks",
		Hint:    "it knows IAM policies in JSON and YAML, AWS config and credentials files, aws-auth ConfigMaps and CloudFormation templates",
	}}
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

// json checks a file that holds a policy document, or has some inside.
func (ctx Context) json(src []byte) diag.List {
	root, err := policy.ParseNode(src)
	if err != nil {
		return diag.FromPolicy(ctx.File, err)
	}
	doc, err := policy.Decode(root)
	if err == nil {
		return ctx.guess(doc)
	}
	if list, found := ctx.inside(root); found && !isDocument(root) {
		return list
	}
	return diag.FromPolicy(ctx.File, err)
}

func (ctx Context) yaml(src []byte) diag.List {
	docs, list := readYAML(ctx.File, src)
	found := len(list) > 0
	for _, doc := range docs {
		if isAWSAuth(doc) {
			list = append(list, awsAuth(ctx.File, src, doc)...)
			found = true
			continue
		}
		inside, some := ctx.inside(fromYAML(src, doc))
		list = append(list, inside...)
		found = found || some
	}
	if !found {
		list.Add(diag.Diagnostic{
			Pos: diag.Position{File: ctx.File}, Severity: diag.Info, Code: CodeUnknownFile,
			Summary: "the file has no policy document and no aws-auth map",
		})
	}
	list.Sort()
	return list
}

// guess checks a document of which only the contents are known.
func (ctx Context) guess(doc *policy.Document) diag.List {
	return ctx.check(doc, guessKind(doc))
}

func (ctx Context) check(doc *policy.Document, kind policy.Kind) diag.List {
	switch kind {
	case policy.Trust:
		return Trust(doc, ctx)
	case policy.Key:
		return Key(doc, ctx)
	case policy.Resource:
		return Resource(doc, ctx)
	default:
		return Identity(doc, ctx)
	}
}

// guessKind tells the kind of policy by its principals and actions.
func guessKind(doc *policy.Document) policy.Kind {
	named, onlySTS, onlyKMS := false, true, true
	for _, st := range doc.Statements {
		named = named || st.Principal != nil || st.NotPrincipal != nil
		for _, a := range append(st.Actions, st.NotActions...) {
			service, _, _ := strings.Cut(strings.ToLower(a.Value), ":")
			onlySTS = onlySTS && service == "sts"
			onlyKMS = onlyKMS && service == "kms"
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

// inside checks the policy documents anywhere in a tree; found is false when
// there is none.
func (ctx Context) inside(root policy.Node) (list diag.List, found bool) {
	resolve := &resolver{account: ctx.Account}
	root = resolve.node(root)
	w := &walker{ctx: ctx, keys: secretKeys(root)}
	w.visit(root, place{})
	w.list.Sort()
	return asTemplate(w.list), w.found
}

// secretKeys maps the logical names of a template's secrets to their KMS keys,
// "" for the AWS managed one.
func secretKeys(root policy.Node) map[string]string {
	keys := map[string]string{}
	for _, m := range member(root, "Resources").Members {
		if member(m.Value, "Type").Text == "AWS::SecretsManager::Secret" {
			keys[m.Name] = member(member(m.Value, "Properties"), "KmsKeyId").Text
		}
	}
	return keys
}

// member is the value under a name of an object, the zero Node when there is
// none.
func member(n policy.Node, name string) policy.Node {
	for _, m := range n.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return policy.Node{}
}

// walker looks for policy documents in a tree.
type walker struct {
	ctx   Context
	keys  map[string]string // see secretKeys
	list  diag.List
	found bool
}

// place is where in the tree the walker is.
type place struct {
	element  string // the name the value stands under
	resource string // the type of the CloudFormation resource around it
	name     string // its role's or policy's name
	secret   *Secret
	depth    int
}

func (w *walker) visit(n policy.Node, at place) {
	if at.depth > 40 {
		return
	}
	at.depth++
	switch n.Kind {
	case policy.ListNode:
		for _, item := range n.Items {
			w.visit(item, at)
		}
	case policy.ObjectNode:
		if isDocument(n) {
			w.document(n, at)
			return
		}
		at = w.enter(n, at)
		for _, m := range n.Members {
			at.element = m.Name
			w.visit(m.Value, at)
		}
	case policy.StringNode:
		if strings.HasPrefix(strings.TrimSpace(n.Text), "{") && strings.Contains(n.Text, `"Statement"`) {
			w.text(n, at)
		}
	case policy.NullNode, policy.NumberNode, policy.BoolNode:
	}
}

// isDocument reports whether an object is meant to be a policy document.
func isDocument(n policy.Node) bool {
	for _, m := range n.Members {
		if m.Name != "Statement" {
			continue
		}
		statements := m.Value.Items
		if m.Value.Kind == policy.ObjectNode {
			statements = []policy.Node{m.Value}
		}
		for _, st := range statements {
			for _, e := range st.Members {
				if e.Name == "Effect" || e.Name == "Action" {
					return true
				}
			}
		}
	}
	return false
}

// enter notes what an object says about the documents inside.
func (w *walker) enter(n policy.Node, at place) place {
	for _, m := range n.Members {
		switch {
		case m.Name == "Type" && strings.HasPrefix(m.Value.Text, "AWS::"):
			at.resource, at.name, at.secret = m.Value.Text, "", nil
		case m.Name == "RoleName" || m.Name == "PolicyName" || m.Name == "ManagedPolicyName":
			if m.Value.Kind == policy.StringNode && !unresolved(m.Value.Text) && at.name == "" {
				at.name = m.Value.Text
			}
		case m.Name == "SecretId" && at.resource == "AWS::SecretsManager::ResourcePolicy":
			logical := strings.TrimSuffix(strings.TrimPrefix(m.Value.Text, placeholder), "⟩")
			if key, ok := w.keys[logical]; ok {
				at.secret = &Secret{KMSKey: key}
			}
		}
	}
	return at
}

// text checks a document written as a string.
func (w *walker) text(n policy.Node, at place) {
	doc, err := policy.Parse([]byte(n.Text))
	if err != nil {
		w.found = true
		for _, d := range diag.FromPolicy(w.ctx.File, err) {
			d.Pos = diag.At(w.ctx.File, n.Pos)
			w.list.Add(d)
		}
		return
	}
	before := len(w.list)
	w.check(doc, at)
	for i := before; i < len(w.list); i++ {
		w.list[i].Pos = diag.At(w.ctx.File, n.Pos)
	}
}

func (w *walker) document(n policy.Node, at place) {
	doc, err := policy.Decode(n)
	if err != nil {
		w.found = true
		for _, d := range diag.FromPolicy(w.ctx.File, err) {
			if !unresolved(d.Summary) {
				w.list.Add(d)
			}
		}
		return
	}
	w.check(doc, at)
}

func (w *walker) check(doc *policy.Document, at place) {
	w.found = true
	ctx := w.ctx
	if ctx.Account == "" && at.resource != "" {
		ctx.Account = arn.AccountID(ownAccount)
	}
	if at.name != "" {
		ctx.Name = at.name
	}
	if at.secret != nil {
		ctx.Secret = at.secret
	}
	kind := guessKind(doc)
	switch {
	case strings.EqualFold(at.element, "AssumeRolePolicyDocument"):
		kind = policy.Trust
	case at.element == "KeyPolicy":
		kind = policy.Key
	case at.element == "ResourcePolicy" || strings.HasSuffix(at.resource, "Policy") && kind == policy.Trust && !strings.HasPrefix(at.resource, "AWS::IAM::"):
		kind = policy.Resource
	case strings.HasPrefix(at.resource, "AWS::IAM::"):
		kind = policy.Identity
	}
	w.list = append(w.list, ctx.check(doc, kind)...)
}

// Source checks a program for secrets asked for by name. It sees literals in
// single lines only.
func (ctx Context) Source(src []byte) diag.List {
	quoted := regexp.MustCompile(`(?i)\bsecret_?id\b["']?\s*(?::=|[:=(,])\s*[@$]?(?:aws\.String\()?["'` + "`" + `]([^"'` + "`" + `]+)["'` + "`" + `]`)
	option := regexp.MustCompile(`--secret-id[ =]+["']?([A-Za-z0-9/_+=.@:-]+)`)
	var list diag.List
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
