package client

import (
	"cmp"
	"path/filepath"
	"strings"
)

// signInPrefix is as long as that of brokers, so that a socket fits where theirs do.
const signInPrefix = "signin-"

// SignIns is where the process is found that signs people in for those who do
// without a broker: beside the brokers of the same environment, whatever their PATH.
func (p *Place) SignIns() *Place {
	return placeIn(p.Dir, signInPrefix+cmp.Or(p.signIns, strings.TrimPrefix(strings.TrimSuffix(filepath.Base(p.Socket), suffix), prefix)))
}

// AllSignIns lists the processes that may sign people in, as [Place.All] does
// brokers.
func (p *Place) AllSignIns() []Place { return p.named(signInPrefix) }

// NewSignIn makes a client of the process that signs people in. STILE_BROKER has
// no say: nothing but a sign-in is asked of it. The error wraps [ErrUnavailable].
func NewSignIn(environ []string) (*Client, error) {
	p, err := Find(environ)
	if err != nil {
		return nil, err
	}
	return &Client{Place: *p.SignIns(), environ: environ}, nil
}
