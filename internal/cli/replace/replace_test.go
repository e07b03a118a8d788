package replace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/cli/replace"
)

// killEnv makes the test binary a process that dies while it writes.
const killEnv = "REPLACE_TEST_KILL"

var steps = []string{"create", "write", "sync", "compare", "rename", "sync directory"}

func TestMain(m *testing.M) {
	if step := os.Getenv(killEnv); step != "" {
		cfg := replace.Config{Locks: os.Args[2], Step: func(name string) error {
			if name == step {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			return nil
		}}
		f, err := replace.Read(cfg, os.Args[1])
		if err == nil {
			err = f.Write(context.Background(), []byte("new\n"))
		}
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestKilledAtEachStepTheFileIsOldOrNew(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		dir := t.TempDir()
		path, locks := filepath.Join(dir, "config"), filepath.Join(dir, "locks")
		write(t, path, "old\n", 0o640)
		cmd := exec.CommandContext(t.Context(), self, path, locks)
		cmd.Env = append(os.Environ(), killEnv+"="+step)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Fatalf("%s: it was not killed: %s", step, out)
		}
		want := "old\n"
		if step == "sync directory" {
			want = "new\n"
		}
		if got := read(t, path); got != want {
			t.Errorf("killed before %s: %q, want %q", step, got, want)
		}
		// Nothing is in the way of the next one.
		f, err := replace.Read(replace.Config{Locks: locks}, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Write(t.Context(), []byte("next\n")); err != nil || read(t, path) != "next\n" {
			t.Errorf("after %s: %v, %q", step, err, read(t, path))
		}
	}
}

// A disk that is full, at any step that writes.
func TestFullDiskIsOneClearMessage(t *testing.T) {
	for _, step := range steps[:4] {
		dir := t.TempDir()
		path := filepath.Join(dir, "config")
		write(t, path, "old\n", 0o600)
		cfg := replace.Config{Locks: filepath.Join(dir, "locks"), Step: func(name string) error {
			if name == step {
				return &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
			}
			return nil
		}}
		f, err := replace.Read(cfg, path)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Write(t.Context(), []byte("new\n"))
		if err == nil || !strings.Contains(err.Error(), "no space left on its disk; the file is as it was") || read(t, path) != "old\n" {
			t.Errorf("full at %s: %v, %q", step, err, read(t, path))
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".config*")); len(left) > 0 {
			t.Errorf("full at %s: %v is left", step, left)
		}
	}
}

// The same with a real file system, where the test may mount one.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=32k"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, 0) })
	path := filepath.Join(disk, "config")
	write(t, path, "old\n", 0o600)
	f, err := replace.Read(replace.Config{Locks: filepath.Join(dir, "locks")}, path)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Write(t.Context(), bytes.Repeat([]byte("new\n"), 20_000))
	if err == nil || !strings.Contains(err.Error(), "no space left on its disk") || read(t, path) != "old\n" {
		t.Errorf("Write: %v, %q", err, read(t, path))
	}
}

func TestChangeOfSomebodyElseIsNotLost(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"changed": func(path string) error { return os.WriteFile(path, []byte("theirs\n"), 0o600) },
		"removed": os.Remove,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "config")
		write(t, path, "old\n", 0o600)
		f, err := replace.Read(replace.Config{Locks: filepath.Join(dir, "locks")}, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if err := f.Write(t.Context(), []byte("new\n")); !errors.Is(err, replace.ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
		}
		if text, _ := os.ReadFile(path); string(text) == "new\n" {
			t.Errorf("%s: it was written all the same", name)
		}
	}
}

func TestLinksAndModesStay(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"aws", "dotfiles"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link, target := filepath.Join(dir, "aws", "config"), filepath.Join(dir, "dotfiles", "aws-config")
	write(t, target, "old\n", 0o644)
	if err := os.Symlink("../dotfiles/aws-config", link); err != nil {
		t.Fatal(err)
	}
	f, err := replace.Read(replace.Config{Locks: filepath.Join(dir, "locks")}, link)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), []byte("new\n")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	info, err = os.Stat(target)
	if err != nil || info.Mode().Perm() != 0o644 || read(t, target) != "new\n" {
		t.Errorf("the file has mode %v and %q", info.Mode(), read(t, target))
	}
	circle := filepath.Join(dir, "circle")
	if err := os.Symlink("circle", circle); err != nil {
		t.Fatal(err)
	}
	if _, err := replace.Read(replace.Config{}, circle); err == nil {
		t.Error("a link to itself was read")
	}
	if _, err := replace.Read(replace.Config{}, dir); err == nil {
		t.Error("a directory was read")
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".aws", "config")
	f, err := replace.Read(replace.Config{Locks: filepath.Join(dir, "locks")}, path)
	if err != nil || f.Text != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), []byte("new\n")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

// Of many that change the file at once, each either adds its line or is told.
func TestWritersAtOnceLoseNothing(t *testing.T) {
	dir := t.TempDir()
	path, locks := filepath.Join(dir, "config"), filepath.Join(dir, "locks")
	const writers = 8
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for {
				f, err := replace.Read(replace.Config{Locks: locks}, path)
				if err == nil {
					err = f.Write(t.Context(), fmt.Appendf(bytes.Clone(f.Text), "%d\n", i))
				}
				if err == nil {
					return
				}
				if !errors.Is(err, replace.ErrChanged) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := strings.Count(read(t, path), "\n"); n != writers {
		t.Errorf("%d lines, want %d: %q", n, writers, read(t, path))
	}
}

func TestAnyBytesAreKept(t *testing.T) {
	dir := t.TempDir()
	path, locks := filepath.Join(dir, "config"), filepath.Join(dir, "locks")
	rapid.Check(t, func(rt *rapid.T) {
		old, text := rapid.SliceOf(rapid.Byte()).Draw(rt, "old"), rapid.SliceOf(rapid.Byte()).Draw(rt, "text")
		if err := os.WriteFile(path, old, 0o600); err != nil {
			rt.Fatal(err)
		}
		f, err := replace.Read(replace.Config{Locks: locks}, path)
		if err != nil || !bytes.Equal(f.Text, old) {
			rt.Fatalf("Read = %q, %v, want %q", f.Text, err, old)
		}
		if err := f.Write(t.Context(), text); err != nil {
			rt.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
			rt.Fatalf("written %q, %v, want %q", got, err, text)
		}
	})
}
