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
	wrapped := make([]byte, 0, len(src)+32)
	wrapped = append(wrapped, `{"Statement":[`...)
	wrapped = append(wrapped, src...)
	wrapped = append(wrapped, `]}`...)
	parsed, err := Parse(wrapped)
	if err != nil {
		return err
	}
	*st = parsed.Statements[0]
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
