// Package examples holds the declarations that a reader can run against the
// local AWS, embedded for `stile demo`.
package examples

import "embed"

// Files has one directory an example.
//
//go:embed payroll assume-role shared-secret
var Files embed.FS
