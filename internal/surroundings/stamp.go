package surroundings

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Stamp tells one state of the files that decide where a way leads from another:
// sessions, AWS's files, what was applied, which local AWSs were started, and
// declarations ("" for none). Tokens and keys that are read for every fetch do not
// count.
func Stamp(getenv func(string) string, declarations ...string) string {
	h := sha256.New()
	if paths, err := FindPaths(getenv); err == nil {
		stat(h, paths.Book)
	}
	for _, file := range ProfileFiles(getenv) {
		stat(h, file)
	}
	if base, err := State(getenv); err == nil {
		scopes := path.Join(base, "scopes")
		entries, _ := os.ReadDir(scopes) // none when nothing was applied
		for _, e := range entries {
			stat(h, path.Join(scopes, e.Name(), "routes.json"))
		}
		statTree(h, path.Join(base, "local"))
	}
	for _, root := range declarations {
		if root != "" {
			statTree(h, root)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// stat writes when a file was changed. A name that is relative means another file
// in another working directory.
func stat(h io.Writer, file string) {
	info, err := os.Stat(file)
	if err != nil {
		return
	}
	if dir, err := os.Getwd(); err == nil && !path.IsAbs(file) {
		file = path.Join(dir, file)
	}
	fmt.Fprintf(h, "%q %d %d\n", file, info.Size(), info.ModTime().UnixNano())
}

// statTree writes when a file, or anything below a directory, was changed. What is
// hidden is not read as declarations.
func statTree(h io.Writer, root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		stat(h, root) // a file, or nothing
		return
	}
	for _, e := range entries {
		file := path.Join(root, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			statTree(h, file)
		default:
			stat(h, file)
		}
	}
}
