package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/guard"
	"github.com/stile-aws/stile/internal/issuelog"
	"github.com/stile-aws/stile/internal/lint/awsconfig"
	"github.com/stile-aws/stile/internal/lint/rule"
	"github.com/stile-aws/stile/internal/secretstore"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/desk"
	around "github.com/stile-aws/stile/internal/surroundings"
)

// files reads AWS's config and credentials files as stile lint does.
func (v *visit) files() {
	paths := desk.ProfileFiles(v.streams.Getenv)
	for i, check := range []func(string, []byte) rule.List{awsconfig.Config, awsconfig.Credentials} {
		text, err := os.ReadFile(paths[i])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			v.add("files", problem, "make it readable for you", "%v", err)
			continue
		}
		found := check(paths[i], text).AtLeast(rule.Medium)
		for _, f := range found {
			l := warning
			if f.Severity >= rule.High {
				l = problem
			}
			v.add("files", l, f.Hint, "%s: %s", f.Where(), f.Summary)
		}
		if len(found) == 0 {
			v.add("files", good, "", "%s is in order", paths[i])
		}
	}
	if name := v.streams.Getenv("AWS_PROFILE"); name != "" && !has(paths, name) {
		v.add("files", problem, "unset AWS_PROFILE, or name one that is there", "AWS_PROFILE is %q, and neither %s has that profile", name, strings.Join(paths, " nor "))
	}
}

func has(files []string, profile string) bool {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			name, _, closed := strings.Cut(strings.TrimSpace(string(line)), "]")
			name = strings.Join(strings.Fields(strings.TrimPrefix(name, "[")), " ")
			if closed && (name == profile || name == "profile "+profile) {
				return true
			}
		}
	}
	return false
}

// permissions looks whether others can read what is secret, or write what we trust.
func (v *visit) permissions() {
	before := len(v.findings)
	paths := desk.ProfileFiles(v.streams.Getenv)
	v.private(paths[1], 0o077)
	v.private(paths[0], 0o022)
	if p, err := session.FindPaths(v.streams.Getenv); err == nil {
		for _, dir := range []string{p.Secrets, p.Tokens, p.Runtime, p.Locks} {
			v.private(dir, 0o077)
		}
		v.private(p.Book, 0o022)
	}
	if dir, err := state.Dir(v.streams); err == nil {
		v.private(dir, 0o077)
	}
	if len(v.findings) == before {
		v.add("permissions", good, "", "nobody else can read what is secret")
	}
}

func (v *visit) private(path string, mask fs.FileMode) {
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return
	}
	if open := info.Mode().Perm() & mask; open != 0 {
		mode := "600"
		if info.IsDir() {
			mode = "700"
		}
		what := "read or change"
		if mask == 0o022 {
			what = "change"
		}
		v.add("permissions", problem, "chmod "+mode+" "+path, "others can %s %s (mode %04o)", what, path, info.Mode().Perm())
	}
}

// sources looks at people's sessions: what is signed in, and the secret store.
func (v *visit) sources(ctx context.Context) {
	d, paths, err := route.OpenDesk(v.streams)
	if err != nil {
		v.add("sessions", problem, "mend the file by hand", "%v", err)
		return
	}
	defer d.Close()
	if paths.Runtime == "" {
		if around.Off(v.streams.Getenv(around.KeepEnv)) {
			v.add("sessions", good, "", "%s is off: processes share credentials by the broker alone", around.KeepEnv)
		} else {
			v.add("sessions", warning, "set XDG_RUNTIME_DIR to a directory of yours in memory",
				"there is neither XDG_RUNTIME_DIR nor /dev/shm: processes cannot share credentials without the broker")
		}
	}
	store := secretstore.Config{Dir: paths.Secrets}
	names := v.secrets(&store)
	shared, err := session.ReadShared(desk.ProfileFiles(v.streams.Getenv))
	if err != nil {
		shared = &session.Shared{} // which files looks at
	}
	v.groups(d.Book(), shared)
	v.names(d.Book(), shared)
	for i := range d.Book().Sources {
		s := &d.Book().Sources[i]
		if s.User != nil && !names[desk.KeySecret(s.Name)] {
			v.add("sessions", problem, "stile sessions edit "+s.Name+" --user", "source %s has no access key in the secret store", s.Name)
			continue
		}
		if missing := desk.Missing(s, shared); missing != "" {
			v.add("sessions", warning, "stile sessions edit "+s.Name, "source %s cannot be used here: %s", s.Name, missing)
		}
		if s.IdentityCenter != nil || s.ConsoleLogin != nil || d.ConsoleIdentity(ctx, s) != "" {
			v.signIn(ctx, d, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shared.Profiles)) {
		if shared.LoginSession(name) != "" && d.Book().Source(name) == nil {
			v.signIn(ctx, d, d.SignInSource(name))
		}
	}
}

// signIn tells whether somebody is signed in.
func (v *visit) signIn(ctx context.Context, d *desk.Desk, s *session.Source) {
	ready, until := d.Ready(ctx, s)
	text := "signed in to " + s.Name
	if who := d.ConsoleIdentity(ctx, s); who != "" {
		text += " as " + who
	}
	switch {
	case !ready:
		v.add("sessions", warning, "stile login "+s.Name, "you are not signed in to %s", s.Name)
	case !until.IsZero():
		v.add("sessions", good, "", "%s until %s", text, until.Local().Format(time.DateTime))
	default:
		v.add("sessions", good, "", "%s", text)
	}
}

// groups looks for members that mean nothing.
func (v *visit) groups(b *session.Book, shared *session.Shared) {
	for _, g := range b.Groups {
		for _, m := range g.Members {
			source, _, ok := strings.Cut(m, ":")
			name := !strings.ContainsAny(m, "/:*")
			unknown := name && b.Session(m) == nil && b.Source(m) == nil && shared.Profiles[m] == nil
			if unknown || ok && source != "arn" && b.Source(source) == nil {
				v.add("sessions", warning, "stile sessions edit "+g.Name+" --remove-member "+m, "member %s of group %s is of no session, source or AWS profile", m, g.Name)
			}
		}
	}
}

// names looks for words that mean one thing to stile and another to AWS's clients.
func (v *visit) names(b *session.Book, shared *session.Shared) {
	for _, name := range slices.Sorted(maps.Keys(shared.Profiles)) {
		profile, kind := shared.Profiles[name], ""
		if s := b.Source(name); s != nil && (s.Profile == nil || s.Profile.Name != name) {
			kind = "source"
		} else if s := b.Session(name); s != nil && !same(s, profile) {
			kind = "session"
		}
		if kind == "" || strings.Contains(profile["credential_process"].Value, "credential-process "+name) { // stile's own
			continue
		}
		v.add("sessions", warning, "stile sessions add OTHER-NAME --profile "+name,
			"%s is a %s, which stile takes, and an AWS profile too, at %s:%d", name, kind, profile[""].File, profile[""].Line)
	}
}

// same reports whether a session is the profile's role, as far as its words tell.
func same(s *session.Session, profile map[string]session.Setting) bool {
	account, role, own := profile["sso_account_id"].Value, profile["sso_role_name"].Value, s.Role
	if a, err := arn.Parse(profile["role_arn"].Value); err == nil {
		account, role = string(a.Account), path.Base(a.Resource)
	}
	if a, err := arn.Parse(own); err == nil {
		own = path.Base(a.Resource)
	}
	return role == own && (account == s.Account || !arn.AccountID(s.Account).Valid())
}

// secrets looks at the secret store without asking for what opens it.
func (v *visit) secrets(cfg *secretstore.Config) map[string]bool {
	names := map[string]bool{}
	if _, err := os.Stat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		return names
	}
	store, err := secretstore.Open(*cfg)
	if err != nil {
		v.add("secrets", problem, "", "%v", err)
		return names
	}
	all, err := store.Names()
	if err != nil {
		v.add("secrets", problem, "", "%v", err)
		return names
	}
	for _, name := range all {
		names[name] = true
	}
	keeper, err := store.Keeper()
	switch {
	case err != nil:
		v.add("secrets", problem, "put the keeper's name back (keyring, passphrase or keyfile), or begin a new store", "%v", err)
	case keeper == "" && len(all) > 0:
		v.add("secrets", problem, "put the key back from a copy, or enter the secrets anew", "the secret store has %d secrets and no key", len(all))
	default:
		v.add("secrets", good, "", "%d secrets, opened by %s", len(all), keeper)
	}
	return names
}

// leftovers looks for what was begun and not ended.
func (v *visit) leftovers() {
	dir, err := state.Dir(v.streams)
	if err != nil {
		v.add("state", problem, "set HOME", "%v", err)
		return
	}
	journals, _ := filepath.Glob(filepath.Join(dir, "rotate", "*.json")) // the pattern is right
	for _, j := range journals {
		v.add("rotation", problem, "run stile rotate again for it", "a rotation of an access key did not come to its end (%s)", j)
	}
	for _, file := range desk.ProfileFiles(v.streams.Getenv) {
		parts, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".stile-*"))
		for _, p := range parts {
			v.add("files", warning, "rm "+p, "%s is left of a change that was interrupted; %s is whole", p, file)
		}
	}
}

// log looks whether the log can be written and read.
func (v *visit) log() {
	dir, err := state.Dir(v.streams)
	if err != nil {
		return // said already
	}
	file := filepath.Join(dir, "issued.jsonl")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return // nothing was handed out yet
	case errors.Is(err, syscall.EROFS):
		v.add("log", warning, "credentials are handed out without it; XDG_STATE_HOME may name a directory that can be written", "the log of issued credentials cannot be written: %v", err)
		return
	case err != nil:
		v.add("log", problem, "move it aside", "the log of issued credentials cannot be written: %v", err)
		return
	}
	_ = f.Close()
	entries, broken, err := issuelog.Read(dir, time.Time{})
	switch {
	case err != nil:
		v.add("log", problem, "", "%v", err)
	case broken > 0:
		v.add("log", warning, "was the disk full?", "%d lines of %s are broken", broken, file)
	default:
		v.add("log", good, "", "%d credentials are logged", len(entries))
	}
}

// guards tells what holds in this directory.
func (v *visit) guards() {
	dir, err := os.Getwd()
	if err != nil {
		return
	}
	g, err := guard.Find(dir)
	if err != nil {
		v.add("guard", problem, "mend the file; until then no credentials are handed out here", "%v", err)
		return
	}
	for _, file := range g.Files() {
		v.add("guard", good, "", "%s holds here", file)
	}
}

// broker asks the user's brokers how they are.
func (v *visit) broker(ctx context.Context) {
	place, err := client.Find(v.streams.Environ())
	if err != nil {
		v.add("broker", warning, "commands work without it, by locks of files", "there can be no broker: %v", err)
		return
	}
	for _, p := range place.All() {
		c := client.Client{Place: p}
		switch st, err := c.Status(ctx); {
		case err == nil:
			v.add("broker", good, "", "broker %d holds %d sessions", st.PID, len(st.Sessions))
		case !errors.Is(err, client.ErrUnavailable): // what a killed one has left is no matter
			v.add("broker", problem, "stile broker stop ends it; the next command starts another", "the broker does not answer: %v", err)
		}
	}
}
