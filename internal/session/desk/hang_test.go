package desk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
)

// Somebody who thinks about a passphrase, or a keyring that does not answer, keeps
// nobody from what needs no secret.
func TestAStoreThatHangsHoldsUpNobodyElse(t *testing.T) {
	p := newPlace(t)
	asked, thought := make(chan struct{}), make(chan struct{})
	unwilling := errors.New("they would not say")
	p.person.Secret = func(context.Context, string, bool) (string, error) {
		close(asked)
		<-thought
		return "", unwilling
	}
	p.book.Sources = append(p.book.Sources, session.Source{Name: "erin", User: &session.User{}})
	d := desk.New(desk.Config{Book: p.book, Paths: p.paths, Person: p.person, Keeper: secretstore.Passphrase})
	t.Cleanup(d.Close)
	kept := make(chan error, 1)
	go func() {
		kept <- d.SetKey(t.Context(), "erin", desk.AccessKey{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "secret"})
	}()
	<-asked
	who, err := p.whoami(t, d, "orders-prod/Admin")
	if err != nil || !strings.Contains(who, "assumed-role/AWSReservedSSO_Admin_") {
		t.Errorf("whoami = %q, %v", who, err)
	}
	close(thought)
	if err := <-kept; !errors.Is(err, unwilling) {
		t.Errorf("SetKey = %v, want %v", err, unwilling)
	}
}

// A file of AWS's that takes its time, as on a network, is waited for by who reads it.
func TestAConfigFileThatHangsHoldsUpNoSecrets(t *testing.T) {
	p := newPlace(t)
	path := filepath.Join(p.dir, "config")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	d := p.desk(t)
	made := make(chan error, 1)
	go func() {
		_, err := d.Center(t.Context(), p.book.Source("acme"))
		made <- err
	}()
	file, err := os.OpenFile(path, os.O_WRONLY, 0) // once somebody reads
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Secrets(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path+".whole", nil, 0o600); err != nil { // for who reads it again
		t.Fatal(err)
	}
	if err := os.Rename(path+".whole", path); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Error(err)
	}
}

func TestAllWhoAskAtOnceGetOneClientAndOneStore(t *testing.T) {
	p := newPlace(t)
	d := p.desk(t)
	type got struct {
		center any
		store  any
	}
	all := make(chan got)
	for range 20 {
		go func() {
			c, err := d.Center(t.Context(), p.book.Source("acme"))
			if err != nil {
				t.Error(err)
			}
			s, err := d.Secrets()
			if err != nil {
				t.Error(err)
			}
			all <- got{c, s}
		}()
	}
	first := <-all
	for range 19 {
		if g := <-all; g != first {
			t.Errorf("another client or store: %v, want %v", g, first)
		}
	}
}
