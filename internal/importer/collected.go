package importer

import (
	"io/fs"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/importer/iamcollect"
	"github.com/stile-aws/stile/internal/inventory"
)

// Collected reads a directory in the layout that the iam-collect tool writes; see
// [iamcollect.Read] for what that layout does not tell.
func Collected(fsys fs.FS) (*inventory.Inventory, diag.List, error) { return iamcollect.Read(fsys) }
