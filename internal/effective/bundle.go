package effective

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/policy"
)

// A Part is one of the permissions that a call takes.
type Part struct {
	Why      string // what it is needed for; "" for the action of the call itself
	Question Question
	// settled is the answer where no policy has a say, or what to ask about is
	// not known.
	settled *authz.Decision
}

// Settled reports whether the answer does not come from policies.
func (p *Part) Settled() bool { return p.settled != nil }

// AskAll decides q together with every other permission that AWS asks for in
// the course of the call: see [View.Parts].
func (v *View) AskAll(q Question) authz.Bundle {
	var parts []authz.Part
	for _, p := range v.Parts(q) {
		parts = append(parts, authz.Part{Why: p.Why, Decision: v.AskPart(&p)})
	}
	return authz.NewBundle(parts...)
}

// AskPart decides one part.
func (v *View) AskPart(p *Part) authz.Decision {
	if p.settled != nil {
		return *p.settled
	}
	return v.Ask(p.Question)
}

// Parts lists what the call of q takes: the action itself; the use of the KMS
// key that the resource is encrypted under, as its service uses it; iam:PassRole
// on the role it hands over, and that the service may assume it; and
// sts:TagSession and sts:SetSourceIdentity where a session is made with tags or
// with a source identity.
func (v *View) Parts(q Question) []Part {
	if a, err := arn.Parse(q.Resource); err == nil && a.Service == "secretsmanager" && !q.Example {
		q.Resource = v.wholeSecret(a)
	}
	parts := []Part{{Question: q}}
	parts = append(parts, v.keyParts(&q)...)
	parts = append(parts, v.passParts(&q)...)
	return append(parts, sessionParts(&q)...)
}

// open is a part of which it is not known what to ask.
func (q *Question) open(action, resource, why, missing string) Part {
	return q.fixed(action, resource, why, authz.Unknown, missing)
}

// fixed is a part about which no policy has a say.
func (q *Question) fixed(action, resource, why string, o authz.Outcome, note string) Part {
	d := authz.Decision{
		Outcome: o, Principal: q.Principal.String(), Action: action, Resource: resource, Deciding: []int{0},
		Layers: []authz.LayerResult{{Layer: authz.LayerKey, Side: authz.ResourceSide, Outcome: o, Note: note}},
	}
	if o == authz.Unknown {
		d.Missing = []string{note}
	}
	asked := *q
	asked.Action, asked.Resource = action, resource
	return Part{Why: why, Question: asked, settled: &d}
}

// encryption is what is known of the key a resource is encrypted under.
type encryption struct {
	what    string // "secret AppDemoSecret"
	owner   arn.AccountID
	region  string
	key     string   // as the service gives it; "" for a key that asks nobody
	keyARN  string   // key resolved, when the service was asked
	context string   // the value of the service's encryption context, "" when it may be one or another
	either  []string // the values it may be, where context is ""
	unread  string   // why it is not known
}

// keyParts is the use of the key of q's resource.
func (v *View) keyParts(q *Question) []Part {
	use, needs := catalog.KeyUseOf(q.Action)
	a, err := arn.Parse(q.Resource)
	if !needs || err != nil || q.Example {
		return nil
	}
	e, ok := v.encryptionOf(q, a)
	if !ok {
		return nil
	}
	why := e.what + " is encrypted under this key"
	if e.unread != "" {
		return []Part{q.open(use.Actions[0], "*", "it may be encrypted under a key of its owner's", "which KMS key "+e.what+" is encrypted under ("+e.unread+")")}
	}
	key, managed, known := v.resolveKey(&e)
	switch {
	case key == "" && !managed && known:
		return nil
	case managed && e.owner == q.Principal.Account():
		return v.managedParts(q, &use, &e, why)
	case managed && q.Principal.Account() == "":
		return nil
	case managed:
		return []Part{q.fixed(use.Actions[0], e.key, why, authz.ImplicitDeny, "an AWS managed key cannot be used from another account than its own")}
	case !known:
		return []Part{q.open(use.Actions[0], e.key, why, "which key "+e.key+" of account "+string(e.owner)+" is")}
	}
	var out []Part
	for _, action := range use.Actions {
		out = append(out, Part{Why: why, Question: v.throughEither(q, &use, &e, action, key)})
	}
	return out
}

// throughEither is throughService with one of the encryption contexts that there
// may be, where the answer is the same with each of them.
func (v *View) throughEither(q *Question, use *catalog.KeyUse, e *encryption, action, key string) Question {
	open := q.throughService(use, e, action, key)
	if len(e.either) == 0 {
		return open
	}
	var asked []Question
	for _, context := range e.either {
		with := *e
		with.context = context
		asked = append(asked, q.throughService(use, &with, action, key))
	}
	first := v.Outcome(asked[0])
	if slices.ContainsFunc(asked[1:], func(other Question) bool { return v.Outcome(other) != first }) {
		return open
	}
	return asked[0]
}

// managedParts is the use of an AWS managed key: its policy lets everybody of the
// account use it through the service, so that only what is refused all the same
// is a part worth telling, by an SCP or by a statement that denies.
func (v *View) managedParts(q *Question, use *catalog.KeyUse, e *encryption, why string) []Part {
	if e.region == "" {
		return nil
	}
	made := arn.ARN{Partition: catalog.Partition(e.region), Service: "kms", Region: e.region, Account: e.owner, Owner: string(e.owner), Resource: "key/aws-" + use.ViaService}
	key, managed := made.String(), use.ViaService
	if k, _ := v.aliased(e.owner, e.region, "alias/aws/"+use.ViaService); k != nil && k.Policy != "" {
		key, managed = k.ARN, ""
	}
	var out []Part
	for _, action := range use.Actions {
		asked := q.throughService(use, e, action, key)
		asked.managed = managed
		if v.Outcome(asked) != authz.Allowed {
			out = append(out, Part{Why: why, Question: asked})
		}
	}
	return out
}

// managedPolicy is the policy of the key that AWS manages in an account for a
// service, as KMS writes it. Source: KMS guide concepts, "AWS managed keys", and
// viewing-managed key policies.
func managedPolicy(key arn.ARN, service string) string {
	return policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Principal: policy.AWS("*"), Resources: policy.Texts("*"),
		Actions: policy.Texts("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"),
		Conditions: []policy.Condition{
			policy.Cond("StringEquals", "kms:CallerAccount", string(key.Account)),
			policy.Cond("StringEquals", "kms:ViaService", service+"."+key.Region+".amazonaws.com"),
		},
	}).String()
}

// passedOn has the keys of a call's context that another call of the same caller
// to a service has, too: who calls, from where and when, not what the first call
// asks for nor what its resource is.
func passedOn(c *authz.Context, service string) authz.Context {
	var out authz.Context
	c.All(func(key string, values []string, known bool) bool {
		name := strings.ToLower(key)
		prefix, rest, _ := strings.Cut(name, ":")
		own := prefix == "aws" && (rest == "tagkeys" || strings.HasPrefix(rest, "requesttag/") || strings.HasPrefix(rest, "resource"))
		switch {
		case own, prefix != "aws" && prefix != service && catalog.KnownService(prefix):
		case known:
			out.Set(key, values...)
		default:
			out.SetUnknown(key)
		}
		return true
	})
	return out
}

// encryptionContext begins the condition keys of the pairs of an encryption context.
const encryptionContext = "kms:EncryptionContext:"

// throughService is the question that KMS asks when a service uses a key on
// the caller's behalf. Sources: KMS guide "kms:ViaService" and encrypt_context;
// IAM guide access_forward_access_sessions and, for aws:CalledVia,
// reference_policies_condition-keys, whose list has DynamoDB of these services.
func (q *Question) throughService(use *catalog.KeyUse, e *encryption, action, key string) Question {
	out := Question{Principal: q.Principal, Action: action, Resource: key, Session: q.Session, AnyTags: q.AnyTags, Context: passedOn(&q.Context, "kms"), Via: []string{"kms:ViaService"}}
	if out.Context.Set("kms:ViaService", use.ViaServiceValue(e.region)); e.region == "" {
		out.Context.SetUnknown("kms:ViaService")
	}
	if use.ContextKey != "" && action != "kms:DescribeKey" { // which is no cryptographic operation
		if name := encryptionContext + use.ContextKey; e.context != "" {
			out.Context.Set(name, e.context)
			out.Via = append(out.Via, name)
		} else {
			out.Context.SetUnknown(name)
		}
	}
	if use.ViaService == "secretsmanager" { // Secrets Manager guide security-encryption, "Encryption context"
		out.Context.SetUnknown(encryptionContext + "SecretVersionId")
	}
	if use.ViaService == "dynamodb" {
		if action != "kms:DescribeKey" {
			out.Context.Set(encryptionContext+"aws:dynamodb:subscriberId", string(e.owner))
		}
		for _, name := range []string{"aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast"} {
			out.Context.Set(name, "dynamodb.amazonaws.com")
		}
	}
	// What KMS is told of the network the first call came over is not documented.
	for _, name := range []string{"aws:SourceIp", "aws:VpcSourceIp", "aws:SourceVpc", "aws:SourceVpce"} {
		if _, present, _ := out.Context.Get(name); present || q.Endpoint != "" {
			out.Context.SetUnknown(name)
		}
	}
	return out
}

// encryptionOf says what q's resource is encrypted under; ok is false where it
// is not there at all, or nobody looked and that is taken as none.
func (v *View) encryptionOf(q *Question, a arn.ARN) (encryption, bool) {
	if a.Service == "secretsmanager" {
		e := encryption{what: "secret " + a.Name(), owner: a.Account, region: a.Region, context: q.Resource}
		s, state := findSecret(v.inv.Accounts[a.Account], a)
		switch {
		case state == inventory.Exists:
			e.key, e.keyARN = s.KMSKey, s.KeyARN
			if e.key == "" {
				e.key = "alias/aws/secretsmanager"
			}
		case state == inventory.Absent:
			return e, false
		default:
			e.unread = reasonOf(state)
		}
		return e, true
	}
	guarded := *q
	var known authz.Context
	v.resolve(&guarded, &known)
	guard, kind, _, _ := carrier(a)
	e := encryption{what: nameOf(guard, kind), owner: ownerOf(&authz.Request{Resource: q.Resource, ResourceAccount: guarded.ResourceAccount, Principal: q.Principal}), region: a.Region, context: guard}
	if guard == "" {
		e.what = a.Resource
	}
	r, state := v.resource(e.owner, a, guard, kind)
	switch {
	case state == inventory.Exists:
		e.key = r.KMSKey
	case state == inventory.Absent, v.assume(state, "whether "+e.what+" ("+string(e.owner)+") is encrypted under a KMS key was not looked for; taken to need none"):
		return e, false
	default:
		e.unread = reasonOf(state)
	}
	switch a.Service {
	case "s3":
		v.bucketEncryption(&e)
		if guard != "" {
			e.either = []string{guard, q.Resource}
		}
	case "dynamodb": // DynamoDB guide encryption.usagenotes, "DynamoDB encryption context"
		e.context, _, _ = strings.Cut(strings.TrimPrefix(a.Resource, "table/"), "/")
	}
	return e, true
}

// bucketEncryption knows that objects under a bucket key have the bucket's ARN
// as encryption context, others their own, and that only a key's ARN tells the
// Region. Source: S3 guide UsingKMSEncryption, "Encryption context".
func (v *View) bucketEncryption(e *encryption) {
	e.what, e.context = "every object of "+e.what+" that has no other key", ""
	if k, err := arn.Parse(e.key); err == nil {
		e.region = k.Region
	}
}

// resolveKey gives the ARN of e's key, "" when there is none to ask; managed
// tells a key that AWS manages, known that it is known which key it is.
func (v *View) resolveKey(e *encryption) (key string, managed, known bool) {
	text := e.key
	if e.keyARN != "" {
		text = e.keyARN
	}
	a, err := arn.Parse(text)
	if err != nil && text != "" {
		if !strings.HasPrefix(text, "alias/") {
			text = "key/" + text
		}
		a = arn.ARN{Partition: catalog.Partition(e.region), Service: "kms", Region: e.region, Account: e.owner, Owner: string(e.owner), Resource: text}
	}
	switch {
	case text == "":
		return "", false, true
	case strings.HasPrefix(a.Resource, "alias/aws/") || strings.HasPrefix(e.key, "alias/aws/"):
		return "", true, true
	case a.Type() == "alias":
		k, state := v.aliased(a.Account, a.Region, a.Resource)
		if k == nil {
			return "", false, state == inventory.Absent
		}
		return k.ARN, k.AWSManaged, true
	}
	if k := v.keyOf(a.String()); k != nil && k.AWSManaged {
		return "", true, true
	}
	return a.String(), false, true
}

// sessionParts are the permissions that go with making a session. Source: IAM
// guide id_session-tags, "Permissions required to pass session tags", and
// id_credentials_temp_control-access_monitor, "Permissions required to set a
// source identity".
func sessionParts(q *Question) []Part {
	if !strings.HasPrefix(strings.ToLower(q.Action), "sts:assumerole") {
		return nil
	}
	tags, identity := false, false
	q.Context.All(func(key string, _ []string, _ bool) bool {
		key = strings.ToLower(key)
		tags = tags || strings.HasPrefix(key, "aws:requesttag/") || key == "aws:tagkeys"
		identity = identity || key == "sts:sourceidentity"
		return true
	})
	var out []Part
	add := func(action, why string) {
		asked := *q
		asked.Action = action
		out = append(out, Part{Why: why, Question: asked})
	}
	if tags {
		add("sts:TagSession", "the session is made with tags")
	}
	if identity {
		add("sts:SetSourceIdentity", "the session is made with a source identity")
	}
	return out
}

// passedTo is the service principal to which an action (lower case) hands a
// role, "" where that is not known: several services have several. Source: each
// service's guide, its service or execution role.
func passedTo(action string) string {
	switch service := catalog.ServiceOf(action); service {
	case "batch", "cloudformation", "codebuild", "codedeploy", "codepipeline", "ec2", "events", "firehose", "glue", "lambda", "pipes", "sagemaker", "scheduler", "states":
		return service + ".amazonaws.com"
	case "ecs":
		return "ecs-tasks.amazonaws.com"
	}
	switch action {
	case "eks:createcluster":
		return "eks.amazonaws.com"
	case "eks:createpodidentityassociation", "eks:updatepodidentityassociation":
		return "pods.eks.amazonaws.com"
	}
	return ""
}

// passParts is iam:PassRole on the role that q hands over, and that the service
// may assume it.
func (v *View) passParts(q *Question) []Part {
	if q.PassRole == "" {
		return nil
	}
	service := passedTo(strings.ToLower(q.Action))
	pass := Question{Principal: q.Principal, Action: "iam:PassRole", Resource: q.PassRole, Session: q.Session, AnyTags: q.AnyTags, Context: passedOn(&q.Context, "iam")}
	if given, _, _ := pass.Context.Get("iam:PassedToService"); len(given) == 1 {
		service = given[0]
	} else if service != "" {
		pass.Context.Set("iam:PassedToService", service)
	}
	parts := []Part{{Why: "the call hands this role to a service", Question: pass}}
	if service != "" {
		assume := Question{Principal: authz.Principal{Kind: authz.Service, ServiceName: service}, Action: "sts:AssumeRole", Resource: q.PassRole}
		parts = append(parts, Part{Why: service + " must be able to assume the role it is handed", Question: assume})
	}
	return parts
}
