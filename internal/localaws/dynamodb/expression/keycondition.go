package expression

import (
	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// KeyCondition is a parsed KeyConditionExpression: one partition and, where
// Sort is set, a range of sort keys in it.
type KeyCondition struct {
	Partition store.Value
	Sort      *Condition
}

const errKeyCondition attribute.Problem = "Query key condition not supported"

// KeyCondition parses a KeyConditionExpression for a key. It has to compare the
// partition key for equality and may limit the sort key.
func (p *Placeholders) KeyCondition(src string, key store.TableKey) (*KeyCondition, error) {
	c, err := p.Condition("KeyConditionExpression", src)
	if err != nil {
		return nil, err
	}
	k := &KeyCondition{}
	found := false
	for _, n := range conjuncts(c.root) {
		of, ok := keyOperand(n)
		switch {
		case !ok:
			return nil, errKeyCondition
		case of == key.Partition && !found:
			compare, ok := n.(compareNode)
			if !ok || compare.operator != "=" {
				return nil, errKeyCondition
			}
			k.Partition, found = compare.b.literal, true
		case of == key.Sort && k.Sort == nil:
			if compare, ok := n.(compareNode); ok && compare.operator == "<>" {
				return nil, errKeyCondition
			}
			k.Sort = &Condition{n}
		default:
			return nil, attribute.Problem("Query condition missed key schema element: " + missed(key, found))
		}
	}
	if !found {
		return nil, attribute.Problem("Query condition missed key schema element: " + key.Partition)
	}
	return k, nil
}

func missed(key store.TableKey, foundPartition bool) string {
	if foundPartition && key.Sort != "" {
		return key.Sort
	}
	return key.Partition
}

// conjuncts are the conditions that AND joins.
func conjuncts(n node) []node {
	if and, ok := n.(andNode); ok {
		return append(conjuncts(and.a), conjuncts(and.b)...)
	}
	return []node{n}
}

// keyOperand is the name of the attribute that a condition on a key looks at. The
// rest of it has to be values.
func keyOperand(n node) (name string, ok bool) {
	var operands []operand
	switch n := n.(type) {
	case compareNode:
		operands = []operand{n.a, n.b}
	case betweenNode:
		operands = []operand{n.of, n.low, n.high}
	case callNode:
		if n.function != "begins_with" {
			return "", false
		}
		operands = []operand{n.of, n.arg}
	default:
		return "", false
	}
	for i, o := range operands {
		if o.size || (i == 0) != (len(o.path) == 1) {
			return "", false
		}
	}
	return operands[0].path.Root(), true
}
