// Package atomicfile replaces files as a whole or not at all. What is no file, a
// pipe or a device, is written to: replacing it would take it from everybody else.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes path hold data, readable by its owner only. Its directory is made,
// for this user alone. Whenever the program or the computer stops, the file is the old
// one or the new one; a full disk leaves the old one. The error names path.
// Pipes and devices, such as /dev/stdout, stay what they are and get the data.
func Write(path string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	dir := filepath.Dir(path)
	info, err := os.Stat(path)
	switch {
	case err != nil: // it is not there, or not to be had: it will be replaced
	case info.IsDir():
		return errors.New("a directory is in the way; remove it")
	case dir == "/dev" || dir == "/dev/fd" || !info.Mode().IsRegular():
		return into(path, data)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // nothing more can be done
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	SyncDir(dir)
	return nil
}

// SyncDir makes what was renamed or removed in a directory last when the computer
// stops: whoever goes on to destroy what the old file held needs that. Not every
// file system knows it, and there is nothing to be done where it fails: the files
// themselves are whole.
func SyncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

// Place reports, before any work is done for it, that the directory is missing in
// which a file that somebody named would be written: Write would make it, and a name
// that is mistyped must not make directories. The error names both.
func Place(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing %s: there is no directory %s; make it, or name another file", path, dir)
	case err != nil:
		return fmt.Errorf("writing %s: %w", path, err)
	case !info.IsDir():
		return fmt.Errorf("writing %s: %s is no directory", path, dir)
	}
	return nil
}

// into writes data to what is there.
func into(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
