package corpus_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/corpus"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// keys is how a real request comes to have the condition keys of a case.
type keys struct {
	now            time.Time
	region         string
	callerTags     store.Tags
	resourceTags   store.Tags
	requestTags    map[string]string
	transitive     []string
	claims         map[string]string // of the caller's token
	externalID     string
	sessionName    string
	sourceIdentity string // of the caller's session
	setSource      string // that the new session is to have
	duration       int32
	temporary      bool // a user's key is a temporary one
	mfa            bool
	issued         time.Time
	organization   string
	remote         string // address the request comes from
	secure         bool   // it comes over TLS
	encryption     map[string]string
	attributes     []string // of a table's item
	leadingKey     string
}

// epoch is when it is, unless the case says so.
var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// newKeys gives the reason why a request cannot have the case's keys, as an
// aside. Keys that no document tests do not matter.
func newKeys(c *corpus.Case, req *authz.Request, pols *authz.Policies) (*keys, error) {
	k := &keys{
		now: epoch, region: "us-east-1", callerTags: store.Tags{}, resourceTags: store.Tags{}, requestTags: map[string]string{}, claims: map[string]string{},
		sessionName: "session", encryption: map[string]string{}, remote: "127.0.0.1", leadingKey: "1",
	}
	if a, err := arn.Parse(req.Resource); err == nil && a.Region != "" {
		k.region = a.Region
	}
	tested := map[string]bool{}
	for _, key := range corpus.TestedKeys(pols) {
		tested[key] = true
	}
	for _, name := range c.ContextKeys() {
		lower := strings.ToLower(name)
		if !tested[lower] && !strings.HasPrefix(lower, "kms:encryptioncontext:") && !strings.HasPrefix(lower, "aws:requesttag/") {
			continue
		}
		values, _, _ := req.Context.Get(name)
		if err := k.set(req, name, values); err != nil {
			return nil, err
		}
	}
	if k.issued.IsZero() {
		k.issued = k.now.Add(-time.Minute)
	}
	for key := range tested {
		if _, present, known := req.Context.Get(key); !present && known && alwaysThere(key, req, pols) {
			return nil, asidef("every real request has %s", key)
		}
	}
	if tested["aws:userid"] && req.Principal.ID == "" && req.Principal.Kind != authz.FederatedUser {
		return nil, aside("a real caller has a unique id")
	}
	return k, nil
}

// alwaysThere reports whether requests on the local AWS have a key whether or
// not somebody asks for it.
func alwaysThere(key string, req *authz.Request, pols *authz.Policies) bool {
	switch key {
	case "aws:currenttime", "aws:epochtime", "aws:securetransport", "aws:sourceip", "aws:useragent", "aws:requestedregion", "aws:viaawsservice":
		return true
	case "aws:tokenissuetime", "aws:multifactorauthpresent":
		return req.Principal.Kind == authz.RoleSession || req.Principal.Kind == authz.FederatedUser
	case "aws:principalorgid", "aws:principalorgpaths", "aws:principalorgmasteraccountid", "aws:resourceorgid", "aws:resourceorgpaths":
		return pols.SCPs != nil || pols.RCPs != nil
	case "sts:rolesessionname":
		return strings.HasPrefix(req.Action, "sts:AssumeRole") || req.Action == "sts:TagSession" || req.Action == "sts:SetSourceIdentity"
	case "dynamodb:leadingkeys":
		return req.Action == "dynamodb:GetItem"
	case "aws:tagkeys":
		return req.Action == "sts:TagSession"
	}
	service, _, _ := strings.Cut(req.Action, ":")
	return service == "kms" && slices.Contains([]string{"kms:calleraccount", "kms:keyspec", "kms:keyusage", "kms:keyorigin", "kms:multiregion"}, key) ||
		key == "secretsmanager:secretid"
}

// set arranges for one key. The error is an aside.
func (k *keys) set(req *authz.Request, name string, values []string) error {
	lower := strings.ToLower(name)
	service, _, _ := strings.Cut(req.Action, ":")
	assumes := req.Action == "sts:AssumeRole" || req.Action == "sts:TagSession" || req.Action == "sts:SetSourceIdentity"
	switch {
	case lower == "aws:tagkeys":
		return k.setTagKeys(req, values)
	case lower == "sts:transitivetagkeys" && assumes:
		k.transitive = values
		return nil
	case lower == "dynamodb:attributes" && (req.Action == "dynamodb:GetItem" || req.Action == "dynamodb:PutItem"):
		k.attributes = values
		return nil
	case len(values) != 1:
		return asidef("no real request has %s with %d values", lower, len(values))
	}
	value := values[0]
	family, rest, _ := strings.Cut(name, "/")
	switch strings.ToLower(family) {
	case "aws:principaltag":
		k.callerTags[rest] = value
		return nil
	case "aws:resourcetag", service + ":resourcetag":
		if service == "dynamodb" || service == "secretsmanager" || service == "kms" || strings.HasPrefix(req.Action, "sts:AssumeRole") {
			k.resourceTags[rest] = value
			return nil
		}
	case "aws:requesttag":
		if taggable(req.Action) {
			k.requestTags[rest] = value
			return nil
		}
	}
	if pair, ok := cutPrefixFold(name, "kms:EncryptionContext:"); ok && service == "kms" {
		k.encryption[pair] = value
		return nil
	}
	if claim, ok := strings.CutPrefix(name, strings.TrimPrefix(req.Principal.Provider.Resource, "oidc-provider/")+":"); ok && (claim == "aud" || claim == "sub") {
		k.claims[claim] = value
		return nil
	}
	return k.setGlobal(req, lower, value)
}

func taggable(action string) bool {
	return action == "sts:TagSession" || strings.HasSuffix(action, ":TagResource")
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func (k *keys) setTagKeys(req *authz.Request, values []string) error {
	if !taggable(req.Action) || len(values) == 0 || slices.Contains(values, "") {
		return asidef("no real %s has these aws:TagKeys", req.Action)
	}
	for _, key := range values {
		if _, ok := k.requestTags[key]; !ok {
			k.requestTags[key] = "value"
		}
	}
	return nil
}

// setGlobal arranges for a key that has a place of its own.
func (k *keys) setGlobal(req *authz.Request, key, value string) error {
	assumes := req.Action == "sts:AssumeRole"
	var err error
	switch {
	case key == "aws:currenttime":
		k.now, err = parseDate(value)
	case key == "aws:epochtime":
		var seconds int64
		seconds, err = strconv.ParseInt(value, 10, 64)
		k.now = time.Unix(seconds, 0).UTC()
	case key == "aws:tokenissuetime":
		k.temporary = true
		k.issued, err = parseDate(value)
		k.now = k.issued.Add(time.Minute)
	case key == "aws:multifactorauthpresent" && (value == "true" || value == "false"):
		k.temporary, k.mfa = true, value == "true"
	case key == "aws:requestedregion":
		k.region = value
	case key == "aws:sourceip":
		k.remote = value
	case key == "aws:securetransport" && (value == "true" || value == "false"):
		k.secure = value == "true"
	case key == "aws:principalorgid":
		k.organization = value
	case key == "aws:sourceidentity" && req.Principal.Kind == authz.RoleSession:
		k.sourceIdentity = value
	case key == "dynamodb:leadingkeys" && req.Action == "dynamodb:GetItem":
		k.leadingKey = value
	case key == "kms:calleraccount" && value == string(req.Principal.Account()):
	case key == "sts:sourceidentity" && req.Action == "sts:SetSourceIdentity":
		k.setSource = value
	case key == "sts:externalid" && assumes:
		k.externalID = value
	case key == "sts:rolesessionname" && assumes:
		k.sessionName = value
	case key == "sts:durationseconds" && assumes:
		var seconds int
		seconds, err = strconv.Atoi(value)
		k.duration = int32(seconds)
	default:
		return asidef("no real request has this value of %s, or any", key)
	}
	if err != nil {
		return asidef("no real request has this value of %s", key)
	}
	return nil
}

// parseDate reads what the local AWS could put into a request: whole seconds.
func parseDate(value string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, value); err == nil && t.Nanosecond() == 0 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, aside("no date of a request")
}

// arrive makes a request to the local AWS look as if it came from where the
// case says.
func (k *keys) arrive(r *http.Request) {
	r.RemoteAddr = net.JoinHostPort(k.remote, "40000")
	if k.secure {
		r.TLS = &tls.ConnectionState{}
	}
}
