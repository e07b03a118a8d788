package state

import (
	"os"
	"path/filepath"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"
)

// Inventory reads the inventory that a path is, whatever kind of file or
// directory: see package importer. What could not be taken over is told on
// standard error.
func Inventory(s *term.Streams, path string) (*inventory.Inventory, error) {
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	got, err := importer.Read(os.DirFS(filepath.Dir(whole)), filepath.Base(whole), nil, importer.Options{})
	if err != nil {
		return nil, err
	}
	if err := term.Report(s, got.Findings); err != nil {
		return nil, err
	}
	return got.Inventory, nil
}
