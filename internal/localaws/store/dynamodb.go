package store

import (
	"time"

	"github.com/stile-aws/stile/arn"
)

// DynamoDB has the tables of one account in one Region, by name.
type DynamoDB struct {
	Tables map[string]*Table `json:"tables,omitempty"`
}

// Table is a table with its items.
type Table struct {
	Name    string        `json:"name"`
	ID      string        `json:"id"`
	Account arn.AccountID `json:"account"`
	Region  string        `json:"region"`
	Created time.Time     `json:"created"`
	Key     TableKey      `json:"key"`
	// Attributes has the types of key attributes: "S", "N" or "B".
	Attributes map[string]string `json:"attributes"`
	Global     []TableIndex      `json:"global,omitempty"`
	Local      []TableIndex      `json:"local,omitempty"`
	// ReadUnits and WriteUnits are the provisioned throughput; both zero mean
	// on-demand.
	ReadUnits  int64  `json:"readUnits,omitempty"`
	WriteUnits int64  `json:"writeUnits,omitempty"`
	Protected  bool   `json:"protected,omitempty"` // from deletion
	Class      string `json:"class,omitempty"`
	// KMSKey is the ARN of the KMS key that items are encrypted under; "" for one that AWS owns.
	KMSKey string `json:"kmsKey,omitempty"`
	Tags   Tags   `json:"tags,omitempty"`
	// Policy is the resource policy with users and roles as unique ids; show it
	// through [World.Present]. Nil: there never was one.
	Policy *Versioned[TablePolicy] `json:"policy,omitempty"`
	// Partitions has the items by the canonical text of their partition key,
	// then of their sort key ("" where the table has none).
	Partitions map[string]map[string]Item `json:"partitions,omitempty"`
}

// TableKey names the attributes of a primary key; Sort may be "".
type TableKey struct {
	Partition string `json:"partition"`
	Sort      string `json:"sort,omitempty"`
}

// TableIndex is a secondary index.
type TableIndex struct {
	Name string   `json:"name"`
	Key  TableKey `json:"key"`
	// Projection is "ALL", "KEYS_ONLY" or "INCLUDE" with the attributes of Include.
	Projection string   `json:"projection"`
	Include    []string `json:"include,omitempty"`
}

// TablePolicy is the resource policy of a table.
type TablePolicy struct {
	Text     string `json:"text"`
	Revision string `json:"revision"`
}

// Item is an item's attributes by name. Items in a table are not changed but
// replaced.
type Item map[string]Value

// Value is an attribute value. Type says which of the other fields counts; see
// package dynamodb/attribute for what can be done with values.
type Value struct {
	Type  string           `json:"t"`           // "S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L" or "M"
	Text  string           `json:"s,omitempty"` // S; N in canonical form
	Bytes []byte           `json:"b,omitempty"` // B
	Bool  bool             `json:"o,omitempty"` // BOOL
	Texts []string         `json:"x,omitempty"` // SS; NS in canonical form; both sorted
	Blobs [][]byte         `json:"y,omitempty"` // BS, sorted
	List  []Value          `json:"l,omitempty"` // L
	Map   map[string]Value `json:"m,omitempty"` // M
}

// ARN is the table's ARN.
func (t *Table) ARN() arn.ARN {
	return arn.ARN{
		Partition: Partition, Service: "dynamodb", Region: t.Region, Account: t.Account, Owner: string(t.Account),
		Resource: "table/" + t.Name,
	}
}

// Index returns the secondary index called name, nil when there is none; local
// tells which kind it is.
func (t *Table) Index(name string) (index *TableIndex, local bool) {
	for i := range t.Global {
		if t.Global[i].Name == name {
			return &t.Global[i], false
		}
	}
	for i := range t.Local {
		if t.Local[i].Name == name {
			return &t.Local[i], true
		}
	}
	return nil, false
}

// Count is the number of items.
func (t *Table) Count() int {
	n := 0
	for _, partition := range t.Partitions {
		n += len(partition)
	}
	return n
}
