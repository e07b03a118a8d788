package corpus_test

import (
	"bytes"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// resource makes what the request is on.
func (w *world) resource(state *store.World) error {
	document, err := w.canonical(state)
	if err != nil || w.req.Resource == "*" {
		return err
	}
	a, err := arn.Parse(w.req.Resource)
	if err != nil {
		return aside("the resource is no ARN")
	}
	if a.Account != w.owner || a.Partition != store.Partition || a.Region != "" && a.Region != w.keys.region {
		return aside("the resource is of another partition, Region or account than its ARN says")
	}
	account := state.Accounts[a.Account]
	switch a.Service + "/" + a.Type() {
	case "dynamodb/table":
		w.table(account, a, document)
	case "secretsmanager/secret":
		return w.secret(account, a, document)
	case "kms/key":
		w.key(account, a, document)
	case "iam/role":
		w.target(state, a, document)
	case "iam/user":
		w.user(state, a, "")
	case "sts/federated-user":
	default:
		return asidef("no resource %s %s is made", a.Service, a.Type())
	}
	return nil
}

func (w *world) table(account *store.Account, a arn.ARN, document string) {
	t := &store.Table{
		Name: a.Name(), ID: a.Name(), Account: a.Account, Region: a.Region, Key: store.TableKey{Partition: "id"},
		Attributes: map[string]string{"id": "S"}, Tags: w.keys.resourceTags,
	}
	if document != "" {
		t.Policy = store.NewVersioned(time.Time{}, &store.TablePolicy{Text: document})
	}
	tables := account.DynamoDB.Make(a.Region)
	tables.Tables = map[string]*store.Table{t.Name: t}
}

func (w *world) secret(account *store.Account, a arn.ARN, document string) error {
	name := strings.TrimPrefix(a.Resource, "secret:")
	cut := len(name) - len("-AbCdEf")
	if cut <= 0 || name[cut] != '-' {
		return aside("the ARN of a secret ends with six characters")
	}
	s := &store.Secret{Name: name[:cut], Suffix: name[cut+1:], Account: a.Account, Region: a.Region, Policy: document, Tags: w.keys.resourceTags}
	account.Secrets.Make(a.Region).Add(s, w.clock.Now())
	return nil
}

func (w *world) key(account *store.Account, a arn.ARN, document string) {
	key := &store.KMSKey{
		ID: a.Name(), Account: a.Account, Region: a.Region, Material: bytes.Repeat([]byte{7}, 32), Enabled: true,
		Policy: store.NewVersioned(time.Time{}, &document), Tags: w.keys.resourceTags,
	}
	for i := range w.pols.Grants {
		g := &w.pols.Grants[i]
		grantee, ok := w.server.World().CanonicalPrincipal(g.Grantee)
		if !ok {
			grantee = g.Grantee
		}
		retiring, ok := w.server.World().CanonicalPrincipal(g.Retiring)
		if !ok {
			retiring = g.Retiring
		}
		key.Grants = append(key.Grants, store.KMSGrant{
			ID: g.ID, Grantee: grantee, Retiring: retiring, Issuer: a.Account, Operations: g.Operations, Context: g.EncryptionContext, Equals: g.Equals,
		})
	}
	account.KMS.Make(a.Region).AddKey(key, w.clock.Now())
}

// target makes the role that is assumed or read, which may be the caller's own.
func (w *world) target(state *store.World, a arn.ARN, document string) {
	w.role(state, a, "", strings.Contains(a.Resource, "/aws-service-role/"))
	role := state.Accounts[a.Account].IAM.Role(a.Name()).Latest()
	if document != "" {
		role.Trust = document
	}
	if w.entity == nil || role.ID != w.entity.ID {
		role.Tags = w.keys.resourceTags
	}
}
