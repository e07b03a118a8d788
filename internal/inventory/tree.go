package inventory

import "github.com/stile-aws/stile/arn"

// Tree answers questions about the place of many accounts in an organization.
// It is made once, does not see later changes of the organization, and is safe
// for concurrent use. The zero Tree has no accounts.
type Tree struct {
	paths map[string][]*Node
}

// NewTree indexes o, which may be nil.
func NewTree(o *Organization) *Tree {
	t := &Tree{paths: map[string][]*Node{}}
	if o == nil || o.Root == nil {
		return t
	}
	var walk func(n *Node, above []*Node)
	walk = func(n *Node, above []*Node) {
		path := append(above[:len(above):len(above)], n)
		if _, twice := t.paths[n.ID]; !twice {
			t.paths[n.ID] = path
		}
		for _, c := range n.Children {
			walk(c, path)
		}
	}
	walk(o.Root, nil)
	return t
}

// Path is [Organization.Path], in constant time. The caller must not change it.
func (t *Tree) Path(id arn.AccountID) []*Node { return t.paths[string(id)] }

// Node is the root, OU or account of that id, nil when there is none.
func (t *Tree) Node(id string) *Node {
	path := t.paths[id]
	if len(path) == 0 {
		return nil
	}
	return path[len(path)-1]
}
