package use

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/internal/cli/config"
	"github.com/stile-aws/stile/internal/cli/replace"
	"github.com/stile-aws/stile/internal/cli/route"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/render/awsconfig"
	"github.com/stile-aws/stile/internal/session"
)

// block is the block of the AWS config file that has the profiles of shells.
const block = "stile-use"

// profile is the AWS profile for an address.
type profile struct {
	streams *term.Streams
	route   *route.Options
	address string
	shell   int // the shell's process, 0 where nobody said it

	region string // of clients that are not told another; "" for none

	name string
	args []string // of stile
	line string   // the credential_process
}

// prepare finds out what the profile has to say.
func (p *profile) prepare() error { return p.declared(p.route.Declarations) }

// declared prepares the profile for declarations in a place, "" for none.
func (p *profile) declared(place string) error {
	args, err := config.Command(p.route, place)
	if err != nil {
		return err
	}
	program, err := config.Program(p.streams, "")
	if err != nil {
		return err
	}
	p.args = append(args, p.address)
	if p.line, err = config.Line(append([]string{program}, p.args...)); err != nil {
		return fmt.Errorf("using %s: %w; --env needs no profile", p.address, err)
	}
	p.name = nameOf(p.address, args[1:])
	return nil
}

// sumSize is how many bytes of a sum tell apart profiles of one address.
const sumSize = 4

// nameOf is a profile's name: the address, and, where that alone would not tell it
// from others, a sum of what else there is to say.
func nameOf(address string, flags []string) string {
	name := base(address)
	if name == prefix+address && len(flags) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(strings.Join(append(slices.Clone(flags), address), "\x00")))
	return name + "-" + hex.EncodeToString(sum[:sumSize])
}

const prefix = "stile-"

// base is what the names of all profiles of an address begin with.
func base(address string) string {
	name := []byte(address)
	for i, c := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+", rune(c)) {
			name[i] = '-'
		}
	}
	return prefix + string(name)
}

// try gets credentials as AWS clients will in that environment, before the shell
// is changed, and tells until when they are good.
func (p *profile) try(ctx context.Context, environ []string) (time.Time, error) {
	above := p.above()
	if above == "" {
		return p.run(ctx, environ, "")
	}
	// The shell may go elsewhere, where the way must not depend on what is above.
	expires, err := p.run(ctx, environ, "/")
	if err == nil {
		return expires, nil
	}
	if err := p.declared(above); err != nil {
		return time.Time{}, err
	}
	return p.run(ctx, environ, "/")
}

func (p *profile) run(ctx context.Context, environ []string, dir string) (time.Time, error) {
	own, err := os.Executable()
	if err != nil {
		return time.Time{}, fmt.Errorf("finding this program: %w", err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, own)
	cmd.Args, cmd.Env, cmd.Dir = append([]string{"stile"}, p.args...), environ, dir
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return time.Time{}, context.Cause(ctx)
		}
		text := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "stile: ")
		if text == "" {
			text = err.Error()
		}
		return time.Time{}, fmt.Errorf("using %s as the shell's programs would: %s", p.address, text)
	}
	var answer struct{ Expiration time.Time }
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return time.Time{}, errors.New("using " + p.address + ": stile credential-process answered what is no answer") // err may quote it
	}
	return answer.Expiration, nil
}

// attempts is how often the file is tried, which other shells change too.
const attempts = 5

// write puts the profile into the AWS config file.
func (p *profile) write(ctx context.Context) error {
	path, err := config.Path(p.streams, "")
	if err != nil {
		return err
	}
	paths, err := session.FindPaths(p.streams.Getenv)
	if err != nil {
		return err
	}
	if p.shell > 0 { // before the profile is there to be taken out
		if err := shellsIn(recentIn(paths)).note(p.shell, p.name); err != nil {
			p.streams.Note("stile: %v", err)
		}
	}
	for try := 1; ; try++ {
		changed, old, err := p.into(ctx, path, paths)
		switch {
		case err == nil && changed:
			p.streams.Note("stile: profile %s is now in %s, in the block %s (stile config remove --block %s takes all of them out)", p.name, path, block, block)
			if old > 0 {
				p.streams.Note("stile: of the profiles there, %d that no shell uses and that were used longest ago went", old)
			}
			return nil
		case err == nil:
			return nil
		case !errors.Is(err, replace.ErrChanged) || try == attempts:
			return fmt.Errorf("writing profile %s: %w; --env needs no profile", p.name, err)
		}
	}
}

// into writes the profile, and takes out old ones.
func (p *profile) into(ctx context.Context, path string, paths session.Paths) (changed bool, old int, err error) {
	file, err := replace.Read(replace.Config{Locks: paths.Locks}, path)
	if err != nil {
		return false, 0, err
	}
	sections, err := awsconfig.Sections(file.Text, block)
	if err != nil {
		return false, 0, fmt.Errorf("%s: %w", path, err)
	}
	section := awsconfig.Section{Heading: headed + p.name, Settings: []awsconfig.Setting{{Name: "credential_process", Value: p.line}}}
	if p.region != "" {
		section.Settings = append(section.Settings, awsconfig.Setting{Name: "region", Value: p.region})
	}
	others := slices.DeleteFunc(sections, func(s awsconfig.Section) bool { return s.Heading == section.Heading })
	kept := pruned(slices.Clone(others), recentIn(paths))
	sections = append(kept, section)
	slices.SortFunc(sections, func(a, b awsconfig.Section) int { return strings.Compare(a.Heading, b.Heading) })
	text, err := awsconfig.Edit(file.Text, block, sections)
	if err != nil {
		return false, 0, fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(text, file.Text) {
		return false, 0, nil
	}
	return true, len(others) - len(kept), file.Write(ctx, text)
}
