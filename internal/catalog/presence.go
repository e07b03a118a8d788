package catalog

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/authz"
)

// Presence says whether requests of one kind carry a condition key.
type Presence uint8

// The answers. Only Never and Always are certain for every such request.
const (
	NotKnown  Presence = iota // the catalog does not say
	Never                     // no such request carries it
	WhenGiven                 // it stands for a parameter: it is there when the caller passes that, and only then
	Depends                   // on where the call comes from, on the session or on the resource: only the real request shows it
	Always                    // every such request carries it, with whatever value
)

// String is the answer in words that follow "the key is there".
func (p Presence) String() string {
	switch p {
	case Never:
		return "never"
	case WhenGiven:
		return "when given"
	case Depends:
		return "sometimes"
	case Always:
		return "always"
	case NotKnown:
	}
	return "not known"
}

// Call is a kind of request, as far as the presence of condition keys depends on it.
type Call struct {
	Action string              // "sts:AssumeRole", in any case; "" or a pattern: not known
	Caller authz.PrincipalKind // who calls
	// Issuer is the OIDC issuer of a WebIdentity caller's token, without
	// https://; "" when not known.
	Issuer string
	// ViaService is set for a call that a service makes for a principal, with
	// that principal's credentials.
	ViaService bool
}

// KeyPresence tells whether such calls carry a condition key (in any case,
// "aws:PrincipalTag/team" included), and in what circumstances, as words that
// follow "only" or "never"; "" where nothing is to be added. Keys of services
// are judged by the data: requests of another service do not carry them.
//
// Source: IAM guide reference_policies_condition-keys, "Availability" of each
// key; reference_policies_iam-condition-keys for keys of sts, SAML and OIDC.
func KeyPresence(key string, call Call) (p Presence, when string) {
	key = strings.ToLower(key)
	if family, _, ok := strings.Cut(key, "/"); ok && strings.HasPrefix(key, "aws:") {
		key = family + "/"
	}
	for i := range presences {
		if r := &presences[i]; slices.Contains(r.keys, key) {
			return r.on(call), r.when
		}
	}
	prefix, name, ok := strings.Cut(key, ":")
	switch {
	case !ok || prefix == "aws":
		return NotKnown, ""
	case prefix == "saml":
		return samlPresence(name, call), "in the exchange of a SAML assertion; namequalifier, sub and sub_type also in the session it starts"
	case strings.Contains(prefix, "."):
		return claimPresence(prefix, name, call), "in the exchange of a token of that issuer; aud, sub and amr also in the session it starts"
	}
	return servicePresence(prefix, key, call), "in requests of the actions that list it"
}

// presence is what is known of some keys.
type presence struct {
	keys []string // lower case; a family ends in "/"
	on   func(Call) Presence
	when string
}

var presences = [...]presence{
	{keys: []string{"aws:currenttime", "aws:epochtime", "aws:securetransport", "aws:useragent", "aws:requestedregion", "aws:principaltype", "aws:viaawsservice", "aws:principalaccount"}, on: constantly(Always)},
	{keys: []string{"aws:principalarn", "aws:userid", "aws:principalisawsservice"}, on: signed, when: "in signed requests"},
	{keys: []string{"aws:username"}, on: byCaller(Always, authz.User), when: "for IAM users"},
	{keys: []string{"aws:principalservicename", "aws:principalservicenameslist"}, on: byCaller(Always, authz.Service), when: "when an AWS service calls for itself"},
	{keys: []string{"aws:principalorgid", "aws:principalorgpaths"}, on: byCaller(Depends, withAccount[:]...), when: "for principals whose account is in an organization"},
	{keys: []string{"aws:principaltag/"}, on: byCaller(Depends, authz.User, authz.RoleSession, authz.FederatedUser), when: "for users, roles and sessions with that tag"},
	{keys: []string{"aws:multifactorauthpresent", "aws:tokenissuetime"}, on: temporary, when: "with temporary credentials"},
	{keys: []string{"aws:multifactorauthage"}, on: byCaller(Depends, withAccount[:]...), when: "for principals that signed in with MFA"},
	{keys: []string{"aws:federatedprovider", "aws:sourceidentity", "aws:chatbotsourcearn", "identitystore:userid"}, on: byCaller(Depends, authz.RoleSession), when: "in role sessions that were started with one"},
	{
		keys: []string{"aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4", "ec2:sourceinstancearn", "ec2:roledelivery"},
		on:   byCaller(Depends, authz.RoleSession), when: "in sessions of EC2 instance roles",
	},
	{
		keys: []string{"lambda:sourcefunctionarn", "ssm:sourceinstancearn", "glue:roleassumedby", "glue:credentialissuingservice"},
		on:   byCaller(Depends, authz.RoleSession), when: "in role sessions that the service started",
	},
	{keys: []string{"aws:assumedroot"}, on: byCaller(Depends, authz.Root), when: "in sessions of sts:AssumeRoot"},
	{
		keys: []string{"aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:sourcevpcarn", "aws:vpcsourceip", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "aws:referer"},
		on:   constantly(Depends), when: "by the way the request came: aws:SourceIp when not through a VPC endpoint, the others when through one",
	},
	{keys: []string{"aws:calledvia", "aws:calledviafirst", "aws:calledvialast"}, on: viaService, when: "when a service calls for a principal, with the principal's credentials"},
	{keys: []string{"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths"}, on: byCaller(Depends, authz.Service), when: "when an AWS service calls for itself, because of some resource"},
	{keys: []string{"aws:requesttag/", "aws:tagkeys"}, on: tagging, when: "when tags are passed"},
	{keys: []string{"aws:resourcetag/"}, on: onResource, when: "when the resource has that tag, and the service supports it"},
	{keys: []string{"aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths"}, on: constantly(Depends), when: "for most services; the latter two where the resource's account is in an organization"},
	{keys: []string{"sts:externalid"}, on: calling(WhenGiven, "sts:assumerole"), when: "when an external id is passed to sts:AssumeRole"},
	{keys: []string{"sts:rolesessionname"}, on: calling(Always, assuming[:]...), when: "when a role is assumed"},
	{
		keys: []string{"sts:sourceidentity"}, on: calling(WhenGiven, append([]string{"sts:setsourceidentity", "sts:getfederationtoken"}, assuming[:]...)...),
		when: "when a role is assumed with a source identity",
	},
	{
		keys: []string{"sts:transitivetagkeys"}, on: calling(WhenGiven, append([]string{"sts:tagsession"}, assuming[:]...)...),
		when: "when a role is assumed with transitive tags",
	},
	{keys: []string{"sts:awsservicename", "sts:durationseconds"}, on: calling(Depends, "sts:getservicebearertoken", "sts:getwebidentitytoken"), when: "when a bearer token is asked for"},
	{keys: []string{"iam:passedtoservice", "iam:associatedresourcearn"}, on: calling(Depends, "iam:passrole"), when: "in iam:PassRole"},
	{
		keys: []string{"kms:viaservice"}, on: func(c Call) Presence {
			if ServiceOf(c.Action) != "kms" && c.Action != "" || !c.ViaService {
				return Never
			}
			return Always
		}, when: "when a service calls AWS KMS for a principal",
	},
}

// assuming are the calls that start a session of a role.
var assuming = [...]string{"sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity"}

// withAccount are the kinds of principal that belong to an account.
var withAccount = [...]authz.PrincipalKind{authz.Root, authz.User, authz.RoleSession, authz.FederatedUser}

// constantly is p for every call.
func constantly(p Presence) func(Call) Presence { return func(Call) Presence { return p } }

func signed(c Call) Presence {
	switch c.Caller {
	case authz.Anonymous, authz.WebIdentity, authz.SAML:
		return Never
	case authz.Root, authz.User, authz.RoleSession, authz.FederatedUser, authz.Service:
	}
	return Always
}

// byCaller is p for the kinds of caller given, and Never for all others.
func byCaller(p Presence, kinds ...authz.PrincipalKind) func(Call) Presence {
	return func(c Call) Presence {
		if slices.Contains(kinds, c.Caller) {
			return p
		}
		return Never
	}
}

// calling is p for the actions given (lower case), Never for other whole
// actions.
func calling(p Presence, actions ...string) func(Call) Presence {
	return func(c Call) Presence {
		switch action := strings.ToLower(c.Action); {
		case action == "" || strings.ContainsAny(action, "*?"):
			return NotKnown
		case slices.Contains(actions, action):
			return p
		}
		return Never
	}
}

// temporary: users and root users have long-term credentials or a session.
func temporary(c Call) Presence {
	switch c.Caller {
	case authz.RoleSession, authz.FederatedUser:
		return Always
	case authz.User, authz.Root, authz.Service:
		return Depends
	case authz.Anonymous, authz.WebIdentity, authz.SAML:
	}
	return Never
}

func viaService(c Call) Presence {
	if c.ViaService {
		return Depends
	}
	return Never
}

// tagging: the actions that take tags list the keys. The data is not perfect
// for actions that write.
func tagging(c Call) Presence {
	a, ok := ActionOf(c.Action)
	if ok && (a.Level == Read || a.Level == List) && !slices.Contains(a.ConditionKeys, "aws:TagKeys") && !slices.Contains(a.ConditionKeys, "aws:RequestTag/${TagKey}") {
		return Never
	}
	return WhenGiven
}

func onResource(c Call) Presence {
	if WildcardOnly(c.Action) {
		return Never
	}
	return Depends
}

// samlPresence: IAM guide, "Available keys for SAML-based AWS STS federation".
func samlPresence(name string, c Call) Presence {
	switch c.Caller {
	case authz.SAML:
		return Depends
	case authz.RoleSession:
		if slices.Contains([]string{"namequalifier", "sub", "sub_type"}, name) {
			return Depends
		}
	case authz.Anonymous, authz.Root, authz.User, authz.FederatedUser, authz.WebIdentity, authz.Service:
	}
	return Never
}

// claimPresence: IAM guide, "Available keys for AWS OIDC federation".
func claimPresence(issuer, claim string, c Call) Presence {
	standard := slices.Contains([]string{"aud", "sub", "amr"}, claim)
	switch c.Caller {
	case authz.WebIdentity:
		switch {
		case c.Issuer == "" || strings.EqualFold(c.Issuer, issuer) && (claim == "amr" || !standard):
			return Depends
		case strings.EqualFold(c.Issuer, issuer):
			return Always
		}
	case authz.RoleSession:
		if standard || slices.Contains(builtinIssuers[:], issuer) {
			return Depends
		}
	case authz.Anonymous, authz.Root, authz.User, authz.FederatedUser, authz.SAML, authz.Service:
	}
	return Never
}

// builtinIssuers need no provider in IAM; sts:AssumeRole lists their keys,
// because sessions keep them.
var builtinIssuers = [...]string{"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}

// servicePresence judges a key of a service by the data: Never for an action
// of another service that does not list it. An action of the key's own service
// that does not list it may still carry it, as AWS's pages leave some out.
func servicePresence(prefix, key string, c Call) Presence {
	a, known := ActionOf(c.Action)
	switch {
	case !known || !KnownService(prefix):
		return NotKnown
	case slices.ContainsFunc(a.ConditionKeys, func(k string) bool { return sameKey(k, key) }):
		if strings.HasPrefix(key, "kms:encryptioncontext") {
			return WhenGiven
		}
		return Depends
	case strings.EqualFold(ServiceOf(a.Name), prefix):
		return NotKnown
	}
	return Never
}
