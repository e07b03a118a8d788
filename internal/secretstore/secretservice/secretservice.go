// Package secretservice keeps small secrets in the keyring of a free desktop: the
// Secret Service of freedesktop.org on the D-Bus of the session, which GNOME
// Keyring, KWallet and KeePassXC are.
//
// Start with [Keyring]. Every call has a connection of its own and ends with its
// context: a bus or a keyring that is killed, stopped or hung is an error soon, and
// so is a prompt that was dismissed. Nothing is started but the keyring itself, by
// the bus. Values go over the bus in the clear: who can read there is the user,
// whom the keyring gives them anyway.
package secretservice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/godbus/dbus/v5"
)

// ErrNotFound means that the keyring works, is open, and has no such entry.
var ErrNotFound = errors.New("the keyring has no such entry")

// ErrLocked means that the keyring is locked, and nobody opened it.
var ErrLocked = errors.New("it is locked")

// ErrNowhere means that the keyring has no collection that entries could be put
// into, and nobody made one.
var ErrNowhere = errors.New("it has no collection to keep anything in")

// Keyring is the keyring of this session, of whoever runs this process. Its zero
// value works, and has nobody asked. Safe for concurrent use.
type Keyring struct {
	// Ask is called when the keyring has a person to ask, most often for what
	// unlocks it; ask has its prompt shown and waits for the answer until its context
	// ends. Ask may call it once or not at all. Nil: nobody is asked, which makes it
	// ErrLocked.
	Ask func(ctx context.Context, ask func(context.Context) error) error
	// Patience is how long the keyring may take for what needs no person. Default: 5 s.
	Patience time.Duration
	// Bus is the address of the bus. Default: this session's.
	Bus string
}

// Get gives the entry's value, or ErrNotFound.
func (k *Keyring) Get(ctx context.Context, service, user string) (string, error) {
	c, err := k.connect(ctx)
	if err != nil {
		return "", err
	}
	defer c.close()
	item, err := c.openItem(ctx, attributes(service, user))
	if err != nil {
		return "", err
	}
	secret, err := c.session(ctx)
	if err != nil {
		return "", err
	}
	if err := c.call(ctx, item, itemInterface+".GetSecret", secret.Session)(secret); err != nil {
		return "", notFound(err)
	}
	return string(secret.Value), nil
}

// notFound is the error of a call to an entry, which may be gone since it was found.
func notFound(err error) error {
	e, ok := errors.AsType[dbus.Error](err)
	if ok && slices.Contains([]string{"org.freedesktop.Secret.Error.NoSuchObject", "org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.DBus.Error.UnknownMethod"}, e.Name) {
		return ErrNotFound
	}
	return err
}

// Set keeps a value, in place of the entry's.
func (k *Keyring) Set(ctx context.Context, service, user, value string) error {
	c, err := k.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	by := attributes(service, user)
	if _, _, err := c.searchAll(ctx, by); err != nil {
		return err
	}
	collection, err := c.openCollection(ctx)
	if err != nil {
		return err
	}
	secret, err := c.session(ctx)
	if err != nil {
		return err
	}
	secret.Value, secret.ContentType = []byte(value), "text/plain; charset=utf8"
	properties := map[string]dbus.Variant{
		itemInterface + ".Label":      dbus.MakeVariant(fmt.Sprintf("Password for '%s' on '%s'", by["username"], service)),
		itemInterface + ".Attributes": dbus.MakeVariant(by),
	}
	var made, prompt dbus.ObjectPath
	if err := c.call(ctx, collection, collectionInterface+".CreateItem", properties, *secret, true)(&made, &prompt); err != nil {
		return err
	}
	result, err := c.finish(ctx, prompt)
	if err != nil {
		return err
	}
	if path, ok := result.Value().(dbus.ObjectPath); ok {
		made = path
	}
	return c.deleteOthers(ctx, by, made)
}

// Delete removes the entry; one that is not there is no error.
func (k *Keyring) Delete(ctx context.Context, service, user string) error {
	c, err := k.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	item, err := c.openItem(ctx, attributes(service, user))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := notFound(c.delete(ctx, item)); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// attributes is what an entry is found by, the same as with other programs in Go.
func attributes(service, user string) map[string]string {
	if !utf8.ValidString(user) { // as a directory's name may be, and no text on the bus
		user = "quoted:" + strconv.Quote(user)
	}
	return map[string]string{"service": service, "username": user}
}

// openItem finds an entry that can be read, for which what is locked may have to be
// opened.
func (c *conn) openItem(ctx context.Context, by map[string]string) (dbus.ObjectPath, error) {
	item, locked, err := c.search(ctx, by)
	if err != nil || item != "" {
		return item, err
	}
	if locked == "" { // a keyring may not tell what is in a collection that is locked
		if locked, err = c.lockedCollection(ctx); err != nil {
			return "", err
		}
	}
	if locked == "" {
		return "", ErrNotFound
	}
	if err := c.ask(ctx, func(ctx context.Context) error { return c.unlock(ctx, locked) }); err != nil {
		return "", err
	}
	item, locked, err = c.search(ctx, by)
	switch {
	case err != nil || item != "":
		return item, err
	case locked != "":
		return "", ErrLocked
	}
	return "", ErrNotFound
}

// lockedCollection is the collection for new entries if it is locked, else "".
func (c *conn) lockedCollection(ctx context.Context) (dbus.ObjectPath, error) {
	collection, err := c.collection(ctx)
	if err != nil || collection == "" {
		return "", err
	}
	locked, err := c.locked(ctx, collection)
	if err != nil || !locked {
		return "", err
	}
	return collection, nil
}

// openCollection is the collection for new entries, opened, or made.
func (c *conn) openCollection(ctx context.Context) (dbus.ObjectPath, error) {
	collection, err := c.collection(ctx)
	if err != nil {
		return "", err
	}
	if collection == "" {
		return c.makeCollection(ctx)
	}
	locked, err := c.locked(ctx, collection)
	if err != nil || !locked {
		return collection, err
	}
	return collection, c.ask(ctx, func(ctx context.Context) error { return c.unlock(ctx, collection) })
}

func (c *conn) makeCollection(ctx context.Context) (dbus.ObjectPath, error) {
	properties := map[string]dbus.Variant{collectionInterface + ".Label": dbus.MakeVariant("Default keyring")}
	err := c.ask(ctx, func(ctx context.Context) error {
		var made, prompt dbus.ObjectPath
		if err := c.call(ctx, servicePath, serviceInterface+".CreateCollection", properties, "default")(&made, &prompt); err != nil {
			return err
		}
		_, err := c.show(ctx, prompt)
		return err
	})
	if d, ok := errors.AsType[*dismissedError](err); ok {
		return "", fmt.Errorf("%w, and %s", ErrNowhere, d.how)
	}
	if errors.Is(err, ErrLocked) {
		return "", ErrNowhere
	}
	if err != nil {
		return "", err
	}
	made, err := c.collection(ctx)
	if err == nil && made == "" {
		err = ErrNowhere
	}
	return made, err
}

func (c *conn) unlock(ctx context.Context, what dbus.ObjectPath) error {
	var unlocked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	if err := c.call(ctx, servicePath, serviceInterface+".Unlock", []dbus.ObjectPath{what})(&unlocked, &prompt); err != nil {
		return err
	}
	_, err := c.show(ctx, prompt)
	return err
}

// deleteOthers removes what was the entry before, in another collection: it would be
// found too. Entries with further attributes are other programs'.
func (c *conn) deleteOthers(ctx context.Context, by map[string]string, made dbus.ObjectPath) error {
	items, _, err := c.searchAll(ctx, by)
	if err != nil || len(items) < 2 || !slices.Contains(items, made) {
		return err
	}
	own, err := c.attributesOf(ctx, made)
	if err != nil {
		return err
	}
	for _, item := range items {
		has, err := c.attributesOf(ctx, item)
		if err == nil && item != made && len(has) == len(own) {
			err = c.delete(ctx, item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) delete(ctx context.Context, item dbus.ObjectPath) error {
	var prompt dbus.ObjectPath
	if err := c.call(ctx, item, itemInterface+".Delete")(&prompt); err != nil {
		return err
	}
	_, err := c.finish(ctx, prompt)
	return err
}
