package state

import (
	"errors"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/surroundings"
)

// DeclarationsEnv names the declarations when no flag does.
const DeclarationsEnv = surroundings.DeclarationsEnv

// ErrNoDeclarations means that nothing says which declarations are meant.
var ErrNoDeclarations = errors.New("finding declarations: name them by --declarations PATH, run below a directory with a stile.yaml, or apply some from this computer")

// Declarations lists the declaration sets a command may mean, the likeliest
// first: the one named by flag or $STILE_DECLARATIONS, else that of the working
// directory or above, else those applied from this computer.
func Declarations(s *term.Streams, flag string) ([]string, error) {
	if flag == "" {
		flag = s.Getenv(DeclarationsEnv)
	}
	if flag != "" {
		return []string{flag}, nil
	}
	if dir := Above(); dir != "" {
		return []string{dir}, nil
	}
	applied, damaged, err := AllRoutes(s)
	if err != nil {
		return nil, err
	}
	for _, d := range damaged {
		s.Note("stile: %v", d)
	}
	var out []string
	for _, r := range applied {
		if r.Declarations != "" {
			out = append(out, r.Declarations)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoDeclarations
	}
	return out, nil
}

// Above finds the directory of a stile.yaml in the working directory or above,
// "" when there is none.
func Above() string { return surroundings.Above() }
