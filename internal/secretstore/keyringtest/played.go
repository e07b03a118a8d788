//go:build linux

package keyringtest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// Answer is what comes of a prompt.
type Answer int

// The answers. The zero value is that of somebody who knows the password.
const (
	Opened    Answer = iota
	Dismissed        // by the person
	Never            // nobody looks at the desktop
	Vanished         // the keyring ends while the prompt is shown
)

// Played is a keyring with one collection, which lacks what the test does not need:
// labels, other collections, encryption on the way. Set its fields before [Play],
// or by [Played.Do].
type Played struct {
	Locked     bool
	Missing    bool            // the collection; a prompt that is Opened makes it
	Hides      bool            // nothing of what is locked is found, as in KeePassXC
	Confirms   bool            // to put in and to remove needs a prompt, as with some settings of KeePassXC
	EachClient bool            // what is unlocked is so for one connection alone, as in KeePassXC
	Answers    []Answer        // to the prompts in turn; the last one stands for the rest
	Hold       <-chan struct{} // if set, the answers wait until it is closed

	mu      sync.Mutex // guards all
	bus     *dbus.Conn
	items   map[dbus.ObjectPath]*item
	prompts map[dbus.ObjectPath]func() dbus.ObjectPath
	made    int // items and prompts
	shown   int
	showing chan struct{} // closed when a prompt is shown
	opener  string        // the connection for which it is unlocked, with EachClient
}

type item struct {
	attributes map[string]string
	value      []byte
}

const (
	root       dbus.ObjectPath = "/org/freedesktop/secrets"
	collection                 = root + "/collection/main"
	nothing    dbus.ObjectPath = "/"
)

// Play has p be the session's keyring until the test ends.
func Play(t testing.TB, s *Session, p *Played) {
	t.Helper()
	p.bus, p.items, p.prompts, p.showing = s.Connect(t), map[dbus.ObjectPath]*item{}, map[dbus.ObjectPath]func() dbus.ObjectPath{}, make(chan struct{})
	for name, methods := range map[string]map[string]any{
		"Secret.Service":    {"OpenSession": p.openSession, "SearchItems": p.searchItems, "Unlock": p.unlock, "ReadAlias": p.readAlias, "CreateCollection": p.createCollection},
		"Secret.Collection": {"CreateItem": p.createItem}, "Secret.Item": {"GetSecret": p.getSecret, "Delete": p.deleteItem},
		"Secret.Prompt": {"Prompt": p.prompt, "Dismiss": func() *dbus.Error { return nil }}, "DBus.Properties": {"Get": p.property},
	} {
		for _, export := range []func(map[string]any, dbus.ObjectPath, string) error{p.bus.ExportMethodTable, p.bus.ExportSubtreeMethodTable} {
			if err := export(methods, root, "org.freedesktop."+name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := p.bus.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

// Do changes the keyring while it is played.
func (p *Played) Do(change func(*Played)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// Shown counts the prompts that were shown.
func (p *Played) Shown() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

// Showing is closed when a prompt is shown for the first time.
func (p *Played) Showing() <-chan struct{} { return p.showing }

// Entries lists the attributes of what is kept, each with its value, sorted.
func (p *Played) Entries() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, i := range p.items {
		all = append(all, fmt.Sprintf("%v %s", i.attributes, i.value))
	}
	slices.Sort(all)
	return all
}

func (p *Played) lockedLocked(sender dbus.Sender) bool {
	return p.Locked || p.EachClient && p.opener != string(sender)
}

func (p *Played) openSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), root + "/session/s1", nil
}

func (p *Played) readAlias(name string) (dbus.ObjectPath, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name != "default" || p.Missing {
		return nothing, nil
	}
	return collection, nil
}

func (p *Played) property(m dbus.Message, sender dbus.Sender, _, name string) (dbus.Variant, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch i := p.items[pathOf(m)]; {
	case name == "Locked":
		return dbus.MakeVariant(p.lockedLocked(sender)), nil
	case name == "Attributes" && i != nil:
		return dbus.MakeVariant(i.attributes), nil
	}
	return dbus.MakeVariant([]dbus.ObjectPath{}), nil
}

func (p *Played) searchItems(sender dbus.Sender, by map[string]string) (unlocked, locked []dbus.ObjectPath, _ *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for path, i := range p.items {
		fits := true
		for k, v := range by {
			fits = fits && i.attributes[k] == v
		}
		switch {
		case !fits:
		case !p.lockedLocked(sender):
			unlocked = append(unlocked, path)
		case !p.Hides:
			locked = append(locked, path)
		}
	}
	return unlocked, locked, nil
}

func (p *Played) unlock(sender dbus.Sender, what []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.lockedLocked(sender) {
		return what, nothing, nil
	}
	return nil, p.promptLocked(func() dbus.ObjectPath {
		p.Locked, p.opener = false, string(sender)
		return what[0]
	}), nil
}

func (p *Played) createCollection(map[string]dbus.Variant, string) (made, prompt dbus.ObjectPath, _ *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return nothing, p.promptLocked(func() dbus.ObjectPath {
		p.Missing = false
		return collection
	}), nil
}

// Secret is the struct of that name in the specification.
type Secret struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}

func (p *Played) createItem(sender dbus.Sender, properties map[string]dbus.Variant, s Secret, replace bool) (made, prompt dbus.ObjectPath, _ *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lockedLocked(sender) {
		return nothing, nothing, dbus.NewError("org.freedesktop.Secret.Error.IsLocked", nil)
	}
	attributes, _ := properties["org.freedesktop.Secret.Item.Attributes"].Value().(map[string]string)
	p.made++
	path := dbus.ObjectPath(fmt.Sprintf("%s/%d", collection, p.made))
	for old, i := range p.items {
		if replace && maps.Equal(i.attributes, attributes) {
			path = old
		}
	}
	put := func() dbus.ObjectPath {
		p.items[path] = &item{attributes, s.Value}
		return path
	}
	if p.Confirms {
		return nothing, p.promptLocked(put), nil
	}
	put()
	return path, nothing, nil
}

func pathOf(m dbus.Message) dbus.ObjectPath {
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	return path
}

func (p *Played) getSecret(m dbus.Message, sender dbus.Sender, session dbus.ObjectPath) (Secret, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.items[pathOf(m)]
	switch {
	case p.lockedLocked(sender):
		return Secret{}, dbus.NewError("org.freedesktop.Secret.Error.IsLocked", nil)
	case i == nil:
		return Secret{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", []any{"no such item"})
	}
	return Secret{session, []byte{}, i.value, "text/plain"}, nil
}

func (p *Played) deleteItem(m dbus.Message) (dbus.ObjectPath, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	remove := func() dbus.ObjectPath {
		delete(p.items, pathOf(m))
		return nothing
	}
	if p.Confirms {
		return p.promptLocked(remove), nil
	}
	remove()
	return nothing, nil
}

// promptLocked makes a prompt that does something if it is answered.
func (p *Played) promptLocked(do func() dbus.ObjectPath) dbus.ObjectPath {
	p.made++
	path := dbus.ObjectPath(fmt.Sprintf("%s/prompt/p%d", root, p.made))
	p.prompts[path] = do
	return path
}

func (p *Played) prompt(m dbus.Message, _ string) *dbus.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer, result := Opened, dbus.MakeVariant("")
	if len(p.Answers) > 0 {
		answer = p.Answers[min(p.shown, len(p.Answers)-1)]
	}
	if p.shown++; p.shown == 1 {
		close(p.showing)
	}
	if answer == Never {
		return nil
	}
	complete := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch answer {
		case Vanished:
			_, _ = p.bus.ReleaseName("org.freedesktop.secrets") // or the bus is gone
			return
		case Opened:
			result = dbus.MakeVariant(p.prompts[pathOf(m)]())
		}
		_ = p.bus.Emit(pathOf(m), "org.freedesktop.Secret.Prompt.Completed", answer == Dismissed, result) // or the bus is gone
	}
	hold := p.Hold
	go func() { // it may come before the call's own answer, as anywhere
		if hold != nil {
			select {
			case <-hold:
			case <-p.bus.Context().Done():
			}
		}
		complete()
	}()
	return nil
}

// Forget loses all entries, as when the person removes them.
func (p *Played) Forget() {
	p.Do(func(p *Played) { clear(p.items) })
}
