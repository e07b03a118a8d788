// Package state is what stile keeps on this computer about a scope, under
// $XDG_STATE_HOME/stile/scopes/SCOPE: the journal of what apply did, a lock, and
// the routes that were applied last, by which `stile exec` finds its way
// without the declarations at hand. No secret is kept there.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/apply"
	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/compile"
	"github.com/stile-aws/stile/internal/filelock"
	"github.com/stile-aws/stile/internal/plan"
	"github.com/stile-aws/stile/internal/surroundings"
)

// Dir is where stile keeps its state: $XDG_STATE_HOME/stile, by default
// ~/.local/state/stile.
func Dir(s *term.Streams) (string, error) { return surroundings.State(s.Getenv) }

// Journal records one run over a scope. It holds the scope's lock on this
// computer until Close.
type Journal struct {
	dir  string
	file *os.File
	lock *filelock.Lock
}

// Open takes the scope's lock and begins a run. It fails at once when another
// run on this computer holds the lock.
func Open(s *term.Streams, scope string) (*Journal, error) {
	base, err := Dir(s)
	if err != nil {
		return nil, err
	}
	if scope != filepath.Base(scope) || !filepath.IsLocal(scope) {
		return nil, fmt.Errorf("opening the state of scope %q: that is no scope's name", scope) // a saved plan may say anything
	}
	dir := filepath.Join(base, "scopes", scope)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	lock, err := filelock.Try(path)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, fmt.Errorf("locking scope %q: another stile works on it on this computer (%s)", scope, path)
	}
	if err != nil {
		return nil, fmt.Errorf("locking scope %q: %w", scope, err)
	}
	file, err := openJournal(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		lock.Release()
		return nil, err
	}
	return &Journal{dir: dir, file: file, lock: lock}, nil
}

// openJournal opens a journal for appending, on a line of its own: a run that
// was killed may have left half a line.
func openJournal(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	last := []byte{'\n'}
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		_, _ = file.ReadAt(last, info.Size()-1) // unread, it counts as a whole line
	}
	if last[0] != '\n' {
		_, _ = file.Write([]byte{'\n'}) // the journal is no more than a help, see Record
	}
	return file, nil
}

// Record appends an event. The journal is for people who look back: what apply
// goes by is the ledger, so a full disk does not stop it.
func (j *Journal) Record(e apply.Event) {
	if line, err := json.Marshal(e); err == nil {
		_, _ = j.file.Write(append(line, '\n'))
	}
}

// Close gives up the lock.
func (j *Journal) Close() {
	_ = j.file.Close()
	j.lock.Release()
}

// Applied remembers a plan that was applied whole: its routes, and where its
// declarations are ("" when that is not known). A scope that was
// destroyed is forgotten.
func (j *Journal) Applied(p *plan.Plan, declarations string) error {
	file := filepath.Join(j.dir, "routes.json")
	if p.Destroy {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if declarations != "" {
		full, err := filepath.Abs(declarations)
		if err != nil {
			return err
		}
		declarations = full
	}
	regions := map[arn.AccountID]string{}
	for _, a := range p.Reach {
		if len(a.Regions) > 0 {
			regions[a.ID] = a.Regions[0]
		}
	}
	text, err := json.MarshalIndent(Routes{Scope: p.Scope, Accounts: p.Accounts, Regions: regions, Declarations: declarations, Labels: Labels(p.Reach), Routes: p.Wanted.Routes}, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(file, text)
}

// Routes are the ways a scope's callers can go.
type Routes struct {
	Scope    string                   `json:"scope"`
	Accounts map[arn.AccountID]string `json:"accounts"`          // id to name
	Regions  map[arn.AccountID]string `json:"regions,omitempty"` // id to default region
	Routes   []compile.Route          `json:"routes"`
	// Labels of the accounts; none for those applied before labels were kept.
	Labels map[arn.AccountID]map[string]string `json:"labels,omitempty"`
	// Declarations is the directory or file they came from, "" when not known.
	Declarations string `json:"declarations,omitempty"`
}

// Labels are the accounts' labels, empty and not nil for an account without.
func Labels(accounts []*access.Account) map[arn.AccountID]map[string]string {
	out := map[arn.AccountID]map[string]string{}
	for _, a := range accounts {
		out[a.ID] = map[string]string{}
		maps.Copy(out[a.ID], a.Labels)
	}
	return out
}

// Damaged is a file of routes that cannot be read. The scopes beside it can.
type Damaged struct {
	Scope, File string
	Err         error
}

// Error says which file it is, what is wrong with it, and what to do.
func (d *Damaged) Error() string {
	return fmt.Sprintf("reading the routes of scope %s from %s: %v; write them anew by stile apply of its declarations, or remove the file",
		d.Scope, d.File, d.Err)
}

func (d *Damaged) Unwrap() error { return d.Err }

// AllRoutes reads the routes of every scope applied from this computer. What is
// damaged is left out and listed apart, so that it costs one scope and not all.
func AllRoutes(s *term.Streams) (all []Routes, damaged []*Damaged, err error) {
	base, err := Dir(s)
	if err != nil {
		return nil, nil, err
	}
	files, err := filepath.Glob(filepath.Join(base, "scopes", "*", "routes.json"))
	if err != nil {
		return nil, nil, err
	}
	for _, f := range files {
		r, err := readRoutes(f)
		switch {
		case errors.Is(err, fs.ErrNotExist): // destroyed meanwhile
		case err != nil:
			damaged = append(damaged, &Damaged{Scope: filepath.Base(filepath.Dir(f)), File: f, Err: err})
		default:
			all = append(all, *r)
		}
	}
	return all, damaged, nil
}

func readRoutes(file string) (*Routes, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // without the path, which whoever prints it says
		}
		return nil, err
	}
	r := new(Routes)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	if want := filepath.Base(filepath.Dir(file)); r.Scope != want {
		return nil, fmt.Errorf("it says it is of scope %q", r.Scope)
	}
	return r, nil
}
