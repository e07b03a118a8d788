package rotate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stile-aws/stile/internal/cli/replace"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/desk"
)

// keeper is where a key is kept.
type keeper interface {
	// Load reads the key that is there.
	Load(ctx context.Context) (desk.AccessKey, error)
	// Store puts a key in place of old, as a whole or not at all. It refuses when
	// another one than old is there.
	Store(ctx context.Context, old, key desk.AccessKey) error
	// String names the place.
	String() string
}

// find finds the key of a source of sessions, or of an AWS profile.
func find(d *desk.Desk, cfg replace.Config, s *term.Streams, name string) (keeper, error) {
	if source := d.Book().Source(name); source != nil {
		if source.User == nil {
			return nil, fmt.Errorf("source %s is no IAM user (%s); it has no access key", name, source.Kind())
		}
		return &secret{d, name}, nil
	}
	files := desk.ProfileFiles(s.Getenv)
	config, credentials := files[0], files[1]
	heading := "profile " + name
	if name == "default" {
		heading = name
	}
	for _, at := range []*profile{{cfg, credentials, name}, {cfg, config, heading}} {
		f, err := replace.Read(cfg, at.path)
		if err != nil {
			return nil, err
		}
		if _, err := parse(f.Text, at.heading); !errors.Is(err, errNone) {
			return at, err
		}
	}
	return nil, fmt.Errorf("there is no access key of it: no source of stile sessions, no profile with aws_access_key_id in %s or %s", credentials, config)
}

// secret is a key in the secret store.
type secret struct {
	desk   *desk.Desk
	source string
}

func (k *secret) String() string { return "source " + k.source }

func (k *secret) Load(ctx context.Context) (desk.AccessKey, error) {
	store, err := k.desk.Secrets()
	if err != nil {
		return desk.AccessKey{}, err
	}
	text, err := store.Get(ctx, desk.KeySecret(k.source))
	if err != nil {
		return desk.AccessKey{}, fmt.Errorf("reading the access key: %w", err)
	}
	return decode(text)
}

func decode(text []byte) (desk.AccessKey, error) {
	var key desk.AccessKey
	if json.Unmarshal(text, &key) != nil || key.ID == "" || key.Secret == "" {
		return desk.AccessKey{}, errors.New("the secret store has no access key of it; stile sessions edit puts it there")
	}
	return key, nil
}

func (k *secret) Store(ctx context.Context, old, key desk.AccessKey) error {
	store, err := k.desk.Secrets()
	if err != nil {
		return err
	}
	err = store.Update(ctx, desk.KeySecret(k.source), func(text []byte) ([]byte, error) {
		if now, err := decode(text); err != nil || now.ID != old.ID {
			return nil, replace.ErrChanged
		}
		return json.Marshal(key)
	})
	if err == nil {
		k.desk.KnowKey(k.source, key.ID)
	}
	return err
}

// profile is a key in an AWS file.
type profile struct {
	cfg     replace.Config
	path    string
	heading string
}

func (k *profile) String() string { return fmt.Sprintf("[%s] of %s", k.heading, k.path) }

func (k *profile) Load(context.Context) (desk.AccessKey, error) {
	f, err := replace.Read(k.cfg, k.path)
	if err != nil {
		return desk.AccessKey{}, err
	}
	p, err := parse(f.Text, k.heading)
	return p.key, err
}

func (k *profile) Store(ctx context.Context, old, key desk.AccessKey) error {
	f, err := replace.Read(k.cfg, k.path)
	if err != nil {
		return err
	}
	p, err := parse(f.Text, k.heading)
	if err != nil {
		return err
	}
	if p.key.ID != old.ID {
		return fmt.Errorf("writing %s: %w", k, replace.ErrChanged)
	}
	return f.Write(ctx, p.with(f.Text, key))
}

// errNone means that a file has no key under a heading.
var errNone = errors.New("no access key")

// place is where a key stands in a text.
type place struct {
	key        desk.AccessKey
	id, secret span
}

type span struct{ start, end int }

// with is the text with another key, and all else as it was.
func (p *place) with(text []byte, key desk.AccessKey) []byte {
	first, second := p.id, p.secret
	a, b := key.ID, key.Secret
	if second.start < first.start {
		first, second, a, b = second, first, b, a
	}
	return bytes.Join([][]byte{text[:first.start], []byte(a), text[first.end:second.start], []byte(b), text[second.end:]}, nil)
}

// parse finds the key under a heading. What clients would read differently, such
// as two sections of one name, is an error: nobody could say which is used.
func parse(text []byte, heading string) (place, error) {
	var p place
	sections, inside := 0, false
	offset := 0
	for line := range bytes.Lines(text) {
		at := offset
		offset += len(line)
		trimmed := strings.TrimSpace(string(line))
		if strings.HasPrefix(trimmed, "[") {
			name, _, _ := strings.Cut(trimmed[1:], "]")
			if inside = strings.Join(strings.Fields(name), " ") == heading; inside {
				sections++
			}
			continue
		}
		name, value, ok := setting(line, at)
		if !inside || !ok {
			continue
		}
		switch name {
		case "aws_session_token", "aws_security_token":
			return p, fmt.Errorf("[%s] has a session token: its key is temporary and AWS's to end", heading)
		case "aws_access_key_id", "aws_secret_access_key":
			if err := p.set(name, text, value); err != nil {
				return p, fmt.Errorf("[%s]: %w", heading, err)
			}
		}
	}
	switch {
	case sections > 1:
		return p, fmt.Errorf("[%s] is there %d times; join them first", heading, sections)
	case p.key.ID == "" && p.key.Secret == "":
		return p, errNone
	case p.key.ID == "" || p.key.Secret == "":
		return p, fmt.Errorf("[%s] has half an access key", heading)
	}
	return p, nil
}

func (p *place) set(name string, text []byte, at span) error {
	to, where := &p.key.ID, &p.id
	if name == "aws_secret_access_key" {
		to, where = &p.key.Secret, &p.secret
	}
	if *to != "" {
		return fmt.Errorf("%s is there twice", name)
	}
	value := string(text[at.start:at.end])
	if value == "" || strings.ContainsAny(value, " \t\"'#;") {
		return fmt.Errorf("%s is no key by itself", name)
	}
	*to, *where = value, at
	return nil
}

// setting reads a line "name = value"; one that begins with a blank goes on a
// line before.
func setting(line []byte, offset int) (name string, value span, ok bool) {
	equal := bytes.IndexByte(line, '=')
	if equal < 1 || strings.ContainsRune(" \t#;", rune(line[0])) {
		return "", span{}, false
	}
	rest := line[equal+1:]
	start := equal + 1 + len(rest) - len(bytes.TrimLeft(rest, " \t"))
	end := len(bytes.TrimRight(line, " \t\r\n"))
	return strings.ToLower(strings.TrimSpace(string(line[:equal]))), span{offset + start, offset + max(start, end)}, true
}
