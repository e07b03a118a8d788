package policy

import "encoding/json"

// MarshalJSON writes the document as IAM JSON.
func (d *Document) MarshalJSON() ([]byte, error) { return d.JSON(), nil }

// UnmarshalJSON reads a document as Parse does. Positions count from the
// document's own beginning.
func (d *Document) UnmarshalJSON(src []byte) error {
	parsed, err := Parse(src)
	if err != nil {
		return err
	}
	*d = *parsed
	return nil
}

// MarshalJSON writes the statement as IAM JSON.
func (st Statement) MarshalJSON() ([]byte, error) { return []byte(st.String()), nil }

// UnmarshalJSON reads one statement as Parse reads those of a document.
func (st *Statement) UnmarshalJSON(src []byte) error {
	n, err := ParseNode(src)
	if err != nil {
		return err
	}
	d := &decoder{}
	if d.is(n, "a statement", ObjectNode) {
		*st = d.statement(n)
	}
	if len(d.errs) > 0 {
		return d.errs.sorted()
	}
	return nil
}

// conditionJSON is a condition outside a document, without its positions.
type conditionJSON struct {
	Operator string   `json:"operator"`
	Key      string   `json:"key"`
	Values   []string `json:"values"`
}

// MarshalJSON writes operator, key and values.
func (c Condition) MarshalJSON() ([]byte, error) {
	return json.Marshal(conditionJSON{c.Operator, c.Key, Values(c.Values)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Condition) UnmarshalJSON(src []byte) error {
	var v conditionJSON
	if err := json.Unmarshal(src, &v); err != nil {
		return err
	}
	*c = Cond(v.Operator, v.Key, v.Values...)
	return nil
}
