package secretsmanager

import (
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// request is one use of a secret that has to be allowed.
type request struct {
	action  string // without the service: "GetSecretValue"
	id      string // SecretId as the caller gave it
	keys    map[string][]string
	tags    map[string]string
	tagKeys []string
}

// secret finds the secret and asks whether the caller may do what it wants. What
// does not exist is asked for like what does, so that only callers who could
// see it learn that it is not there.
func (r request) secret(c *service.Call) (*store.Secret, *wire.Error) {
	secret, owner := find(c, r.id)
	access := gate.Access{
		Action: "secretsmanager:" + r.action, Resource: r.id, Account: owner,
		RequestTags: r.tags, TagKeys: r.tagKeys,
		Context: map[string][]string{"secretsmanager:SecretId": {r.id}},
	}
	for key, values := range r.keys {
		access.Context[key] = values
	}
	if secret != nil {
		var e *wire.Error
		if access.Policy, e = resourcePolicy(c, secret); e != nil {
			return nil, e
		}
		access.Resource, access.ResourceTags = secret.ARN().String(), secret.Tags
	}
	if e := c.Require(access); e != nil {
		return nil, e
	}
	if secret == nil {
		return nil, c.Errorf("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	return secret, nil
}

// living is secret for operations that do not work on deleted secrets.
func (r request) living(c *service.Call) (*store.Secret, *wire.Error) {
	secret, e := r.secret(c)
	if e != nil {
		return nil, e
	}
	if !secret.Deleted.IsZero() {
		return nil, c.Errorf("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return secret, nil
}

func resourcePolicy(c *service.Call, secret *store.Secret) (*authz.Policy, *wire.Error) {
	return c.Policy(secret.Policy, authz.Source{Layer: authz.LayerResource, Account: secret.Account, Name: "secret " + secret.Name})
}

// find finds a secret by name in the caller's account, or by full or partial
// ARN anywhere. A partial ARN lacks the hyphen and six letters at the end.
func find(c *service.Call, id string) (*store.Secret, arn.AccountID) {
	if !strings.HasPrefix(id, "arn:") {
		return c.Own().Secrets.In(c.Region).Secret(id, c.Now), c.Account
	}
	a, err := arn.Parse(id)
	name, ok := strings.CutPrefix(a.Resource, "secret:")
	if err != nil || !ok || a.Service != "secretsmanager" || a.Account == "" {
		return nil, c.Account
	}
	owner := c.World.Accounts[a.Account]
	if owner == nil || a.Region != c.Region {
		return nil, a.Account
	}
	secrets := owner.Secrets.In(a.Region)
	if cut := len(name) - len("-123456"); cut > 0 && name[cut] == '-' {
		if secret := secrets.Secret(name[:cut], c.Now); secret != nil && secret.Suffix == name[cut+1:] {
			return secret, a.Account
		}
	}
	return secrets.Secret(name, c.Now), a.Account
}
