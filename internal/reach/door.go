package reach

import (
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/reach/trustees"
	"github.com/stile-aws/stile/policy"
)

// door is a role as others come to it: its trust policy.
type door struct {
	node    NodeID
	role    *inventory.Role
	guard   *effective.Side
	assumed *effective.Side  // guard, for sts:AssumeRole only
	names   trustees.Names   // whom doc's Allow statements name
	doc     *policy.Document // nil when it is not known
	unread  bool             // a document of its side is not known
	tagKeys []string         // as node.tagKeys
	class   int              // of doors open to everyone, see builder.classes; else -1
}

// open reads the trust policy of d's role.
func (b *builder) open(d *door) {
	d.guard = b.view.Guard(effective.Question{Action: assumeRole, Resource: d.role.ARN})
	pols := d.guard.Policies()
	d.class, d.unread = -1, len(pols.Unread) > 0
	if pols.Resource == nil || pols.Resource.Source().Layer != authz.LayerTrust {
		return
	}
	d.doc = pols.Resource.Document()
	d.assumed = b.view.About(d.guard, assumeRole)
	d.tagKeys = tagKeysOf(d.assumed)
	d.names = trustees.Of(d.doc)
}
