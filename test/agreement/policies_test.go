package agreement_test

import (
	"slices"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/policy"
)

// Random documents as people write them: a few actions, a resource or all, and
// now and then a condition that about half of all requests meet. Nothing in
// them keeps the administrators from reading.

func document(statements ...policy.Statement) string {
	return policy.NewDocument(statements...).String()
}

// reader is the condition that holds for the administrators alone, or for all
// but them.
func reader(operator string) policy.Condition {
	return policy.Cond(operator, "aws:PrincipalArn", "arn:aws:iam::*:user/Administrator")
}

// identity is an identity-based policy.
func (w *world) identity() string {
	statements := []policy.Statement{w.about("Allow", w.actions())}
	if w.one(2) {
		statements = append(statements, w.about("Allow", w.actions()))
	}
	if w.one(5) {
		statements = append(statements, w.about("Deny", w.actions()))
	}
	return document(statements...)
}

// boundary is wide, as boundaries are.
func (w *world) boundary() string {
	wide := policy.Statement{Effect: policy.Allow, Actions: w.wide(), Resources: policy.Texts("*")}
	return document(wide, w.about(pick(w, policy.Allow, policy.Deny), w.actions()))
}

func (w *world) wide() []policy.Text {
	return pick(w, policy.Texts("*"), policy.Texts("sts:*", "kms:*", "secretsmanager:*"), policy.Texts("dynamodb:*", "sts:AssumeRole", "iam:Get*"))
}

// about is a statement on some of the world's resources.
func (w *world) about(effect policy.Effect, actions []policy.Text) policy.Statement {
	s := policy.Statement{Effect: effect, Actions: actions, Resources: policy.Texts("*")}
	switch {
	case w.one(3):
		s.Resources = policy.Texts(w.resource())
	case w.one(8):
		s.Resources, s.NotResources = nil, policy.Texts(w.resource())
	}
	if effect == policy.Deny && w.one(8) {
		s.Actions, s.NotActions = nil, s.Actions
	}
	s.Conditions = w.conditions(effect)
	return s
}

// resource is the Resource element of a statement.
func (w *world) resource() string {
	id := string(pick(w, accounts...))
	return pick(w,
		"arn:aws:iam::"+id+":role/*", "arn:aws:iam::*:role/workloads/app", "arn:aws:secretsmanager:*:"+id+":secret:db-??????",
		"arn:aws:secretsmanager:"+region+":*:secret:*", "arn:aws:dynamodb:"+region+":"+id+":table/Orders", "arn:aws:kms:*:"+id+":key/*",
		"arn:aws:secretsmanager:*:"+id+":*", "arn:aws:dynamodb:*:*:table/${aws:PrincipalTag/team}", "arn:aws:iam::*:role/${aws:PrincipalTag/team, 'hub'}",
	)
}

func (w *world) actions() []policy.Text {
	if w.one(4) {
		return policy.Texts("*")
	}
	list := []string{
		"sts:AssumeRole", "sts:*", "secretsmanager:GetSecretValue", "secretsmanager:*", "secretsmanager:DescribeSecret", "kms:Decrypt", "kms:*",
		"kms:GenerateDataKey*", "kms:DescribeKey", "dynamodb:GetItem", "dynamodb:*Item", "dynamodb:Describe*", "iam:Get*", "dynamodb:List*", "*",
	}
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return policy.Texts(list[:1+w.IntN(5)]...)
}

// conditions are none, most of the time, or one or two.
func (w *world) conditions(effect policy.Effect) []policy.Condition {
	var out []policy.Condition
	for n := pick(w, 0, 0, 0, 0, 1, 1, 2); len(out) < n; {
		c := w.condition()
		if !slices.ContainsFunc(out, func(have policy.Condition) bool { return have.Operator == c.Operator && have.Key == c.Key }) {
			out = append(out, c)
		}
	}
	if len(out) == 0 && effect == policy.Deny {
		out = append(out, w.condition())
	}
	return out
}

func (w *world) condition() policy.Condition {
	c, id := policy.Cond, string(pick(w, accounts...))
	return pick(w,
		c("StringEquals", "aws:PrincipalOrgID", pick(w, w.org, "o-otherother")),
		c("StringNotEquals", "aws:PrincipalOrgID", w.org),
		c("StringNotEqualsIfExists", "aws:PrincipalOrgID", w.org),
		c("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", w.org+"/*/"+w.unit+"/*"),
		c("ForAllValues:StringNotLike", "aws:PrincipalOrgPaths", w.org+"/*/"+w.unit+"/*"),
		c("StringEquals", "aws:ResourceOrgID", "${aws:PrincipalOrgID}"),
		c("StringNotEqualsIfExists", "aws:ResourceOrgID", w.org),
		c("ForAnyValue:StringLike", "aws:ResourceOrgPaths", w.org+"/*/"+w.unit+"/*"),
		c("StringEquals", "aws:PrincipalTag/team", w.team()),
		c("StringNotEquals", "aws:PrincipalTag/team", w.team()),
		c("Null", "aws:PrincipalTag/team", pick(w, "true", "false")),
		c("StringEquals", "aws:ResourceTag/team", "${aws:PrincipalTag/team}"),
		c("StringEquals", "aws:ResourceTag/Team", w.team()),
		c("StringNotEquals", "aws:ResourceTag/team", w.team()),
		c("StringEquals", "secretsmanager:ResourceTag/team", w.team()),
		c("StringEquals", "iam:ResourceTag/team", w.team()),
		c("StringEquals", "aws:PrincipalAccount", id, string(pick(w, accounts...))),
		c("StringNotEquals", "aws:PrincipalAccount", id),
		c("StringNotEquals", "aws:ResourceAccount", "${aws:PrincipalAccount}"),
		c("StringEquals", "aws:ResourceAccount", id, string(orders)),
		c("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/workloads/*"),
		c("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::"+id+":*"),
		c("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::"+id+":role/hub"),
		c("StringEquals", "aws:PrincipalType", pick(w, "User", "AssumedRole")),
		c("BoolIfExists", "aws:PrincipalIsAWSService", "false"),
		c("Bool", "aws:ViaAWSService", pick(w, "true", "false")),
		c("StringEquals", "kms:ViaService", "secretsmanager."+region+".amazonaws.com"),
		c("StringNotEqualsIfExists", "kms:ViaService", "secretsmanager."+region+".amazonaws.com"),
		c("StringLike", "kms:EncryptionContext:SecretARN", "arn:aws:secretsmanager:*:"+id+":secret:*"),
		c("ForAnyValue:StringEquals", "kms:EncryptionContextKeys", "SecretARN"),
		c("StringEquals", "kms:CallerAccount", id, string(orders)),
		c("ForAnyValue:StringEquals", "kms:ResourceAliases", pick(w, "alias/orders", "alias/else")),
		c("ForAnyValue:StringEquals", "aws:CalledVia", "secretsmanager.amazonaws.com"),
		c("StringEquals", "aws:RequestedRegion", pick(w, region, "eu-west-1")),
		c("StringNotEquals", "aws:RequestedRegion", pick(w, region, "eu-west-1")),
		c("StringEquals", "aws:username", "ann"),
		c("StringLike", "aws:userid", "AROA*:"+pick(w, "run-*", "x")),
		c("Bool", "aws:SecureTransport", pick(w, "true", "false")),
		c("Null", "aws:SourceVpce", pick(w, "true", "false")),
		c("NotIpAddressIfExists", "aws:SourceIp", pick(w, "127.0.0.0/8", "10.0.0.0/8")),
		c("BoolIfExists", "aws:MultiFactorAuthPresent", "true"),
		c("DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"),
		c("StringEquals", "sts:ExternalId", pick(w, "x-1", "x-2")),
		c("StringLike", "sts:RoleSessionName", pick(w, "run-*", "x*")),
		c("Null", "aws:TagKeys", "true"),
		c("ForAllValues:StringEquals", "aws:TagKeys", "team"),
		c("StringEquals", "secretsmanager:VersionStage", pick(w, "AWSCURRENT", "AWSPREVIOUS")),
		c("ForAllValues:StringEquals", "dynamodb:LeadingKeys", "${aws:PrincipalTag/team}"),
		c("StringEquals", "aws:SourceAccount", id),
		c("Null", "kms:GrantIsForAWSResource", "true"),
	)
}

// scp denies something, or allows something. It always lets administrators read.
func (w *world) scp() string {
	statements := []policy.Statement{{Effect: policy.Allow, Actions: policy.Texts("*"), Resources: policy.Texts("*"), Conditions: []policy.Condition{reader("ArnEqualsIfExists")}}}
	if w.one(2) {
		s := w.about(policy.Deny, w.actions())
		s.Conditions = append(s.Conditions, reader("ArnNotEqualsIfExists"))
		return document(append(statements, s)...)
	}
	wide := policy.Statement{Effect: policy.Allow, Actions: w.wide(), Resources: policy.Texts("*")}
	return document(append(statements, wide, w.about(policy.Allow, w.actions()))...)
}

// rcp denies something.
func (w *world) rcp() string {
	s := w.about(policy.Deny, policy.Texts(pick(w, "sts:AssumeRole", "secretsmanager:*", "kms:*", "dynamodb:*", "sts:*")))
	if s.NotActions != nil {
		s.Actions, s.NotActions = s.NotActions, nil
	}
	s.Principal, s.Conditions = policy.Everyone(), append(s.Conditions, reader("ArnNotEqualsIfExists"))
	return document(s)
}

// someone is a principal that exists, of the given account or another.
func (w *world) someone(id arn.AccountID) string {
	if w.one(2) {
		id = pick(w, accounts...)
	}
	return pick(w,
		"arn:aws:iam::"+string(id)+":role/hub", "arn:aws:iam::"+string(id)+":role/workloads/app", "arn:aws:iam::"+string(id)+":user/people/ann",
		"arn:aws:sts::"+string(id)+":assumed-role/app/"+pick(w, sessionName, "other"),
	)
}

// principal is a Principal element.
func (w *world) principal(id arn.AccountID) *policy.Principals {
	switch w.IntN(8) {
	case 0:
		return policy.Everyone()
	case 1, 2:
		return policy.AWS(string(pick(w, accounts...)))
	case 3:
		return policy.AWS(arn.Root(store.Partition, id).String())
	}
	return policy.AWS(w.someone(id), w.someone(id))
}

func (w *world) granting(id arn.AccountID, effect policy.Effect, actions ...string) policy.Statement {
	s := policy.Statement{Effect: effect, Principal: w.principal(id), Actions: policy.Texts(actions...), Conditions: w.conditions(effect)}
	if effect == policy.Deny {
		s.Conditions = append(s.Conditions, reader("ArnNotEqualsIfExists"))
		if w.one(5) {
			s.NotPrincipal, s.Principal = policy.AWS(w.someone(id), string(id)), nil
		}
	}
	return s
}

// trust is a role's trust policy.
func (w *world) trust(id arn.AccountID) string {
	statements := []policy.Statement{w.granting(id, policy.Allow, "sts:AssumeRole")}
	if w.one(2) {
		statements = append(statements, w.granting(id, policy.Allow, "sts:AssumeRole", "sts:TagSession"))
	}
	if w.one(6) {
		statements = append(statements, policy.Statement{
			Effect: policy.Deny, Principal: w.principal(id), Actions: policy.Texts("sts:AssumeRole"), Conditions: w.conditions(policy.Deny),
		})
	}
	return document(statements...)
}

// keyPolicy is a key's policy, which mostly delegates to its account.
func (w *world) keyPolicy(id arn.AccountID) string {
	statements := []policy.Statement{{Effect: policy.Allow, Principal: policy.AWS("arn:aws:iam::" + string(id) + ":user/Administrator"), Actions: policy.Texts("kms:*")}}
	if !w.one(3) {
		statements = append(statements, policy.Statement{Effect: policy.Allow, Principal: policy.AWS(arn.Root(store.Partition, id).String()), Actions: policy.Texts("kms:*")})
	}
	for range w.IntN(3) {
		statements = append(statements, w.granting(id, policy.Allow, "kms:Decrypt", "kms:DescribeKey", pick(w, "kms:Encrypt", "kms:GenerateDataKey*")))
	}
	if w.one(6) {
		statements = append(statements, w.granting(id, policy.Deny, pick(w, "kms:Decrypt", "kms:*")))
	}
	for i := range statements {
		statements[i].Resources = policy.Texts("*")
	}
	return document(statements...)
}

// resourcePolicy is a secret's or a table's policy.
func (w *world) resourcePolicy(id arn.AccountID, service string) string {
	action := map[string]string{"secretsmanager": "secretsmanager:GetSecretValue", "dynamodb": "dynamodb:GetItem"}[service]
	statements := []policy.Statement{w.granting(id, policy.Allow, pick(w, action, service+":*"))}
	if w.one(2) {
		statements = append(statements, w.granting(id, policy.Allow, action, service+":Describe*"))
	}
	if w.one(5) {
		statements = append(statements, w.granting(id, policy.Deny, pick(w, action, service+":*")))
	}
	for i := range statements {
		statements[i].Resources = policy.Texts("*")
		if service == "dynamodb" {
			statements[i].Resources = policy.Texts("arn:aws:dynamodb:" + region + ":" + string(id) + ":table/Orders")
		}
	}
	return document(statements...)
}
