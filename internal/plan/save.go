package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Encode writes the plan for `apply` to execute later. Plans hold no secret,
// but they tell who can do what: keep the file at mode 0600.
func (p *Plan) Encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(p); err != nil {
		return nil, fmt.Errorf("encoding plan of scope %q: %w", p.Scope, err)
	}
	return out.Bytes(), nil
}

// Decode reads what Encode wrote. A plan of another format is refused.
func Decode(src []byte) (*Plan, error) {
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(src, &head); err != nil {
		return nil, fmt.Errorf("parsing plan: %w", err)
	}
	if head.Format == nil || *head.Format != Format {
		return nil, fmt.Errorf("parsing plan: not a plan of this version of stile (want \"format\": %d); run stile plan --out again", Format)
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("parsing plan: %w", err)
	}
	return &p, nil
}

// Moved lists the records that were read for p and are different now: names of
// Documents. now holds the digests of the same records at this moment.
func (p *Plan) Moved(now map[string]string) []string {
	var out []string
	for _, key := range sortedKeys(p.Documents) {
		if digest, ok := now[key]; !ok || digest != p.Documents[key] {
			out = append(out, key)
		}
	}
	return out
}
