package agreement_test

import (
	"testing"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/effective"
	"github.com/stile-aws/stile/internal/reach"
)

// Whoever can do something by the answer about it alone is among those who can
// by the graph, as sure; and nobody else is.
func TestWhoCanIsWhoeverCan(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t, 4000+seed)
		inv := w.observed(t)
		g, v := reach.New(inv, reach.Config{}), effective.New(inv)
		for _, id := range accounts {
			table := "arn:aws:dynamodb:" + region + ":" + string(id) + ":table/Orders"
			asked := [][2]string{
				{"kms:Decrypt", w.keys[id].ARN().String()}, {"kms:DescribeKey", w.keys[id].ARN().String()},
				{"dynamodb:GetItem", table}, {"dynamodb:PutItem", table},
			}
			for _, s := range w.secrets[id] {
				asked = append(asked, [2]string{"secretsmanager:GetSecretValue", s.ARN().String()}, [2]string{"secretsmanager:DescribeSecret", s.ARN().String()})
			}
			for name, path := range roles {
				role := arn.IAM("aws", id, "role", path, name).String()
				asked = append(asked, [2]string{"iam:GetRole", role}, [2]string{"sts:AssumeRole", role})
			}
			for _, a := range asked {
				got := map[string]reach.Proof{}
				for _, d := range g.WhoCan(reach.Query{Action: a[0], Resource: a[1]}).Direct {
					got[d.Node.Key] = d.Proof
				}
				for _, c := range w.callers {
					p, err := v.Principal(c.arn.String())
					if err != nil {
						t.Fatal(err)
					}
					q := effective.Of(p, a[0], a[1])
					o := v.Settle(q, v.Caller(p), v.Guard(q))
					switch proof := got[c.arn.String()]; {
					case o == authz.Allowed && proof == reach.Proven, o == authz.Unknown && (proof == reach.Conditional || proof == reach.Unread):
					case o != authz.Allowed && o != authz.Unknown && proof == 0:
					case a[0] == "sts:AssumeRole" && proof == reach.Conditional: // on what the caller passes: tags, an external id
					default:
						t.Errorf("seed %d: %s may %s on %s: who-can says %v\n%s", seed, c.arn, a[0], a[1], proof, v.Ask(q).Text())
					}
				}
			}
		}
	}
}
