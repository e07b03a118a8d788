// Package replace changes a file that belongs to somebody else, such as
// ~/.aws/config, without ever losing it: the new text is there as a whole, or the
// old one is, whatever is killed or full.
//
// Start with [Read], and give what it returned to [File.Write]. A symbolic link
// stays one, and the file behind it keeps its mode. Two processes of stile never
// lose each other's change; a change of another program between Read and Write is
// [ErrChanged].
package replace

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/session/flight"
)

// ErrChanged means that somebody else changed the file meanwhile. Nothing was
// written.
var ErrChanged = errors.New("it was changed by somebody else meanwhile; run the command again")

// Config says how files are replaced. Locks is required.
type Config struct {
	Locks string // the directory for locks, of this user alone
	// Step, if set, is told what will be done next: "create", "write", "sync",
	// "compare", "rename", "sync directory". An error ends the attempt there.
	Step func(name string) error
}

// File is a file as it was read.
type File struct {
	Path string // as it was given
	Text []byte // nil when there was no such file

	cfg    Config
	target string // behind the symbolic links
	mode   fs.FileMode
	exists bool
}

// newMode is of a file that was not there: AWS's files may hold secrets.
const newMode = 0o600

// Read reads a file, which need not exist.
func Read(cfg Config, path string) (*File, error) {
	target, err := behind(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	f := &File{Path: path, cfg: cfg, target: target, mode: newMode}
	if f.Text, f.exists, err = current(target); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if f.exists {
		info, err := os.Stat(target)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("reading %s: it is no regular file", path)
		}
		f.mode = info.Mode().Perm()
	}
	return f, nil
}

// maxLinks is where a chain of links is taken for a circle.
const maxLinks = 40

// behind follows symbolic links, also to a file that is not there.
func behind(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil { // no link, or not there
			return path, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", syscall.ELOOP
}

func current(path string) (text []byte, exists bool, err error) {
	text, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return text, err == nil, err
}

// Write puts text in place of what was read.
func (f *File) Write(ctx context.Context, text []byte) error {
	sum := sha256.Sum256([]byte(f.target))
	lock, err := flight.Acquire(ctx, f.cfg.Locks, "file-"+hex.EncodeToString(sum[:8]))
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.Path, err)
	}
	defer lock.Release()
	if err := f.write(text); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return fmt.Errorf("writing %s: there is no space left on its disk; the file is as it was", f.Path)
		}
		return fmt.Errorf("writing %s: %w", f.Path, err)
	}
	return nil
}

func (f *File) write(text []byte) (err error) {
	dir := filepath.Dir(f.target)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := f.step("create"); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(f.target)+".stile-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	if err := errors.Join(f.fill(temp, text), temp.Close()); err != nil {
		return err
	}
	if err := f.step("compare"); err != nil {
		return err
	}
	now, exists, err := current(f.target)
	switch {
	case err != nil:
		return err
	case exists != f.exists || !bytes.Equal(now, f.Text):
		return ErrChanged
	}
	if err := f.step("rename"); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), f.target); err != nil {
		return err
	}
	f.Text, f.exists = bytes.Clone(text), true
	if err := f.step("sync directory"); err != nil {
		return nil // it is there all the same
	}
	atomicfile.SyncDir(dir)
	return nil
}

func (f *File) fill(temp *os.File, text []byte) error {
	if err := f.step("write"); err != nil {
		return err
	}
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := temp.Chmod(f.mode); err != nil {
		return err
	}
	if err := f.step("sync"); err != nil {
		return err
	}
	return temp.Sync()
}

func (f *File) step(name string) error {
	if f.cfg.Step == nil {
		return nil
	}
	return f.cfg.Step(name)
}
