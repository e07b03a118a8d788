package session

import "github.com/stile-aws/stile/internal/surroundings"

// Paths are where the things of one person are.
type Paths = surroundings.Paths

// FindPaths finds them by the environment, as the XDG base directory
// specification has it.
func FindPaths(getenv func(string) string) (Paths, error) { return surroundings.FindPaths(getenv) }
