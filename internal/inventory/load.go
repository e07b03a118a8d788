package inventory

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/stile-aws/stile/arn"
)

// maxSize bounds what a compressed inventory may unfold to. A hundred thousand
// roles take some 300 MB.
const maxSize = 16 << 30

// ErrFormat is wrapped by the error of Load for a text that is no saved
// inventory, or one of a version this program does not know.
var ErrFormat = errors.New("not a saved inventory this version reads")

// Saved reports whether src, or its beginning, looks like what [Save] writes,
// compressed or not.
func Saved(src []byte) bool {
	if isGzip(src) {
		z, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return false
		}
		start := make([]byte, 256)
		n, _ := io.ReadFull(z, start)
		src = start[:n]
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		if name == "format" {
			value, err := dec.Token()
			return err == nil && value == Format
		}
		var skipped json.RawMessage
		if dec.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}

func isGzip(src []byte) bool { return len(src) > 2 && src[0] == 0x1f && src[1] == 0x8b }

// Load reads what [Save] and [SaveGzip] write. Accounts are decoded in parallel, and
// equal documents and names share their memory. The result is nobody else's.
func Load(r io.Reader) (*Inventory, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	var src io.Reader = buffered
	if start, _ := buffered.Peek(3); isGzip(start) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("loading inventory: %w", err)
		}
		src = &io.LimitedReader{R: z, N: maxSize}
	}
	l := &loader{dec: json.NewDecoder(src), inv: &Inventory{Accounts: map[arn.AccountID]*Account{}}, seen: map[string]bool{}, interned: map[string]string{}}
	err := l.run()
	if err != nil {
		return nil, fmt.Errorf("loading inventory: %w", err)
	}
	return l.inv, nil
}

// loader reads one inventory: run walks over the text, workers decode accounts.
type loader struct {
	dec     *json.Decoder
	seen    map[string]bool
	format  string
	version int
	work    chan rawAccount

	mu       sync.Mutex // guards the rest
	inv      *Inventory
	interned map[string]string
	err      error // of the first account that could not be decoded
}

type rawAccount struct {
	id     arn.AccountID
	text   json.RawMessage
	offset int64 // of the account's end in the text
}

func (l *loader) run() error {
	l.work = make(chan rawAccount)
	var wg sync.WaitGroup
	for range max(1, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for raw := range l.work {
				l.account(raw)
			}
		})
	}
	err := l.top()
	close(l.work)
	wg.Wait()
	// A newer version may well have members that this one does not know, so it
	// is the version that is told first.
	if wrong := l.wrongFormat(err == nil); wrong != nil {
		return wrong
	}
	if err != nil {
		return err
	}
	return l.err
}

// wrongFormat says whether the text is of another format; missing members count
// once the whole was read.
func (l *loader) wrongFormat(whole bool) error {
	switch {
	case l.seen["format"] && l.format != Format:
		return fmt.Errorf("%w: its format is %q, not %q", ErrFormat, l.format, Format)
	case l.seen["version"] && l.version != Version:
		return fmt.Errorf("%w: it has version %d, this program reads version %d", ErrFormat, l.version, Version)
	case whole && !(l.seen["format"] && l.seen["version"]):
		return fmt.Errorf(`%w: it lacks "format": %q and "version": %d`, ErrFormat, Format, Version)
	}
	return nil
}

// top reads the members of the outermost object.
func (l *loader) top() error {
	if err := l.open("the inventory"); err != nil {
		return err
	}
	for l.dec.More() {
		name, err := l.name(l.seen)
		if err != nil {
			return err
		}
		if err := l.member(name); err != nil {
			return l.at(fmt.Errorf("%s: %w", name, err))
		}
	}
	if _, err := l.dec.Token(); err != nil {
		return l.at(err)
	}
	if _, err := l.dec.Token(); !errors.Is(err, io.EOF) {
		return l.at(errors.New("there is more text after the inventory"))
	}
	return nil
}

func (l *loader) member(name string) error {
	switch name {
	case "format":
		return l.dec.Decode(&l.format)
	case "version":
		return l.dec.Decode(&l.version)
	case "organizationState":
		return l.dec.Decode(&l.inv.OrgState)
	case "organization":
		var raw json.RawMessage
		if err := l.dec.Decode(&raw); err != nil {
			return err
		}
		if err := strict(raw, &l.inv.Organization); err != nil {
			return err
		}
		return l.inv.Organization.check()
	case "accounts":
		return l.accounts()
	}
	return errors.New("this program knows no such member")
}

func (l *loader) accounts() error {
	if err := l.open("accounts"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for l.dec.More() {
		name, err := l.name(seen)
		if err != nil {
			return err
		}
		id, err := arn.ParseAccountID(name)
		if err != nil {
			return err
		}
		raw := rawAccount{id: id}
		if err := l.dec.Decode(&raw.text); err != nil {
			return err
		}
		raw.offset = l.dec.InputOffset()
		l.work <- raw
	}
	_, err := l.dec.Token()
	return err
}

// open reads the opening brace of an object.
func (l *loader) open(what string) error {
	switch token, err := l.dec.Token(); {
	case errors.Is(err, io.EOF):
		return l.at(io.ErrUnexpectedEOF)
	case err != nil:
		return l.at(err)
	case token != json.Delim('{'):
		return l.at(fmt.Errorf("%w: %s is not a JSON object", ErrFormat, what))
	}
	return nil
}

// name reads a member's name, which must not have been seen.
func (l *loader) name(seen map[string]bool) (string, error) {
	token, err := l.dec.Token()
	if err != nil {
		return "", l.at(err)
	}
	name, _ := token.(string) // the decoder takes nothing else for a name
	if seen[name] {
		return "", l.at(fmt.Errorf("%q is there twice", name))
	}
	seen[name] = true
	return name, nil
}

// at adds where in the text the decoder stands.
func (l *loader) at(err error) error {
	return fmt.Errorf("byte %d: %w", l.dec.InputOffset(), err)
}

// check refuses a tree with holes, which nobody who walks over it expects.
func (o *Organization) check() error {
	if o == nil || o.Root == nil {
		return nil
	}
	return o.Root.check()
}

func (n *Node) check() error {
	for i, c := range n.Children {
		if c == nil {
			return fmt.Errorf("child %d of %s is null", i, n.ID)
		}
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

// account decodes one account.
func (l *loader) account(raw rawAccount) {
	var a *Account
	err := strict(raw.text, &a)
	if err == nil && a != nil {
		err = named(a, raw.id)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if l.err == nil {
			l.err = fmt.Errorf("account %s, byte %d: %w", raw.id, raw.offset-int64(len(raw.text)), err)
		}
		return
	}
	if a != nil {
		a.share(l.intern)
	}
	l.inv.Accounts[raw.id] = a
}

func named(a *Account, id arn.AccountID) error {
	if a.ID == "" {
		a.ID = id
	}
	if a.ID != id {
		return fmt.Errorf("its id is %s", a.ID)
	}
	return nil
}

func strict(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// intern gives the one copy of s.
func (l *loader) intern(s string) string {
	if s == "" {
		return ""
	}
	if one, ok := l.interned[s]; ok {
		return one
	}
	l.interned[s] = s
	return s
}

// share passes through intern what repeats between and within accounts:
// documents, and the ARNs of managed policies.
func (a *Account) share(intern func(string) string) {
	managed := make(map[string]*Managed, len(a.Managed))
	for id, m := range a.Managed {
		id = intern(id)
		if m != nil {
			m.ARN, m.Document = intern(m.ARN), intern(m.Document)
		}
		managed[id] = m
	}
	if a.Managed != nil {
		a.Managed = managed
	}
	holder := func(inline map[string]string, attached []string, boundary *string) {
		for name, text := range inline {
			inline[name] = intern(text)
		}
		for i := range attached {
			attached[i] = intern(attached[i])
		}
		*boundary = intern(*boundary)
	}
	for _, r := range a.Roles {
		if r != nil {
			r.Trust = intern(r.Trust)
			holder(r.Inline, r.Attached, &r.Boundary)
		}
	}
	for _, u := range a.Users {
		if u == nil {
			continue
		}
		holder(u.Inline, u.Attached, &u.Boundary)
		for i := range u.Groups {
			var none string
			u.Groups[i].Name = intern(u.Groups[i].Name)
			holder(u.Groups[i].Inline, u.Groups[i].Attached, &none)
		}
	}
}
