package lint_test

import (
	"encoding/json"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/lint/snapshot"
)

// readInventory reads an inventory written as YAML, with documents as text.
func readInventory(t *testing.T, src []byte) *inventory.Inventory {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal(src, &tree); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	inv := &inventory.Inventory{}
	if err := json.Unmarshal(text, inv); err != nil {
		t.Fatal(err)
	}
	return inv
}

func lookAtInventory(t *testing.T, src []byte) rule.List {
	t.Helper()
	return snapshot.Check(readInventory(t, src), snapshot.Options{Now: today()})
}
