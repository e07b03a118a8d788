package lint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint/rule"
)

// unreadable makes a finding of a file or directory that cannot be read. The rest is
// checked all the same.
func (s *search) unreadable(name string, err error) {
	if cause := (*fs.PathError)(nil); errors.As(err, &cause) {
		err = cause.Err // the finding has the name
	}
	s.unread = true
	s.found.Add(rule.Finding{
		Pos: diag.Position{File: name}, Code: rule.Unreadable, Summary: "it cannot be read: " + err.Error(),
		Detail: "It was not checked.", Hint: "correct the name, make it readable, or take it away",
	})
}

// filesBelow is path itself when it is no directory, else the files below it that
// may hold something to lint. Links are followed to files, and not to directories, so
// that none is met twice.
func (s *search) filesBelow(path string) []string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		s.unreadable(path, err)
		return nil
	case !info.IsDir():
		return []string{path}
	}
	var out []string
	top := path + string(filepath.Separator) // which follows a link that was named
	err = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		name = filepath.Clean(name)
		if err != nil {
			s.unreadable(name, err)
			return nil
		}
		hidden := len(d.Name()) > 1 && d.Name()[0] == '.' && name != filepath.Clean(path)
		switch {
		case d.IsDir() && hidden:
			return filepath.SkipDir
		case d.IsDir() || hidden || !promising(name):
			return nil
		}
		switch info, err := os.Stat(name); {
		case err != nil:
			s.unreadable(name, err)
		case info.Mode().IsRegular(): // pipes wait for somebody who writes
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		s.unreadable(path, err)
	}
	return out
}

// promising reports whether a file's name is one of those that hold something to lint.
func promising(name string) bool {
	base := filepath.Base(name)
	return base == "config" || base == "credentials" || slices.Contains([]string{".json", ".yaml", ".yml", ".template"}, filepath.Ext(name))
}

// readFile reads a file, or a pipe that was named, up to maxFile.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("it has more than %d MB, which no plan, policy or config file has", maxFile>>20)
	}
	return text, nil
}
