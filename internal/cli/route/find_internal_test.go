package route

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Declarations that take long to read, as on a network, are waited for by who needs
// them, as long as they like.
func TestDeclarationsThatHangHoldUpNoOthers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "slow.yaml")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	o := &Options{}
	ctx, leave := context.WithCancelCause(t.Context())
	ended, stays := make(chan error, 1), make(chan error, 1)
	ask := func(ctx context.Context, to chan<- error) {
		_, err := o.declared(ctx, path)
		to <- err
	}
	go ask(ctx, ended)
	file, err := os.OpenFile(path, os.O_WRONLY, 0) // once somebody reads
	if err != nil {
		t.Fatal(err)
	}
	go ask(t.Context(), stays)
	if _, err := o.declared(t.Context(), filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("others: %v", err)
	}
	left := errors.New("left")
	leave(left)
	if err := <-ended; !errors.Is(err, left) {
		t.Errorf("who leaves gets %v", err)
	}
	whole := filepath.Join(dir, "whole")
	const text = "apiVersion: stile.dev/v1alpha1\nkind: Account\nmetadata: {name: orders-prod}\nspec: {id: \"222222222222\"}\n"
	if err := os.WriteFile(whole, []byte(text), 0o600); err != nil { // for who reads it again
		t.Fatal(err)
	}
	if err := os.Rename(whole, path); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-stays; err == nil || !strings.Contains(err.Error(), "no Scope among the declarations") {
		t.Errorf("who stays gets %v, want what reading came to", err)
	}
}
