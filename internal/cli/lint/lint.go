// Package lint is `stile lint`: findings on IAM documents, AWS config and
// credentials files, aws-auth ConfigMaps, CloudFormation templates and stile's
// own declarations, without asking AWS anything.
package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/lint"
)

type options struct {
	streams *term.Streams
	paths   []string
	json    bool
}

// New returns the command.
func New(s *term.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "lint FILE|DIRECTORY...",
		Short: "Find mistakes in IAM documents, AWS config files, aws-auth and templates",
		Long: "Find mistakes in IAM documents, AWS config and credentials files, aws-auth ConfigMaps and\n" +
			"CloudFormation templates. Nothing is asked of AWS. Exit status: 1 when an error was found.",
		Args: term.ArgsBetween(1, -1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return o.run()
		},
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the findings as JSON")
	return cmd
}

// maxFile bounds what is read: no policy or config file is larger.
const maxFile = 4 << 20

func (o *options) run() error {
	found := diag.List{}
	for _, path := range o.paths {
		files, err := filesBelow(path)
		if err != nil {
			return err
		}
		for _, f := range files {
			more, err := lintFile(f)
			if err != nil {
				return err
			}
			found = append(found, more...)
		}
	}
	found.Sort()
	var err error
	if o.json {
		err = o.streams.JSON(found)
	} else {
		err = found.Print(o.streams.Out)
	}
	if err == nil && found.HasErrors() {
		err = term.ErrSaid
	}
	return err
}

func lintFile(name string) (diag.List, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("reading %s: %d bytes are more than any policy or config file has", name, info.Size())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return lint.File(name, text), nil
}

// filesBelow is path itself when it is a file, else the files below it that
// may hold something to lint.
func filesBelow(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var out []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && name != path
		switch {
		case d.IsDir() && hidden:
			return filepath.SkipDir
		case d.IsDir() || hidden:
		case d.Name() == "config" || d.Name() == "credentials", slices.Contains([]string{".json", ".yaml", ".yml", ".template"}, filepath.Ext(name)):
			out = append(out, name)
		}
		return nil
	})
	return out, err
}
