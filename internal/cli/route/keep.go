package route

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/cli/state"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/handout"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/kept"
	"github.com/stile-aws/stile/internal/session/shelf"
	"github.com/stile-aws/stile/internal/surroundings"
)

// keptFor is how long credentials are found without the way being looked for: what
// it depends on in AWS may have changed. A broker holds a way as long.
const keptFor = time.Hour

// keeping keeps the credentials of one request for other processes. Nil keeps
// nothing.
type keeping struct {
	store *kept.Store
	name  string // of the request, see handout
}

// keeping is nil where there is no place of this user alone.
func (o *Options) keeping(s *term.Streams, address string) *keeping {
	paths, err := session.FindPaths(s.Getenv)
	if err != nil {
		return nil
	}
	store := kept.Open(paths.Runtime, surroundings.World(s.Environ()))
	if !store.Shared() {
		return nil
	}
	return &keeping{store: store, name: o.request(address).Name(environment(s))}
}

// request is what decides of the options where a way leads.
func (o *Options) request(address string) *handout.Request {
	return &handout.Request{Address: address, Declarations: o.Declarations, As: o.As, TokenFile: o.TokenFile, Around: state.Above()}
}

func environment(s *term.Streams) handout.Environment {
	return handout.Environment{Getenv: s.Getenv, Environ: s.Environ}
}

// wrap keeps what a provider of a declared way gives. The name of the request is
// part of the key, so that what was applied again, with other declarations or
// another token, is fetched again; and so is whose credentials the way begins
// with, as STS or the token has proven it.
func (k *keeping) wrap(p creds.Provider, proven string) creds.Provider {
	if k == nil {
		return p
	}
	return k.store.WrapAs(strings.Join([]string{"declared", k.name, proven, p.Key()}, " "), p)
}

// granted is the key of what a broker gives for the request.
func (k *keeping) granted() string { return "granted " + k.name }

// remember has the next process find the way's credentials by the request alone,
// see Kept.
func (k *keeping) remember(w *Way) {
	if k == nil || w.kept == "" {
		return
	}
	k.store.SetAlias(k.name, shelf.Alias{
		Key: w.kept, Account: string(w.Account), AccountName: w.AccountName, Role: w.Role, Source: w.Caller, Session: w.Credentials.SessionName(),
		Until: time.Now().Add(keptFor),
	})
}

// settled reports that the request's name tells everything that the default chain
// has found c by: keys in the environment or in AWS's files, a token in a file
// that a variable names, an endpoint that variables name. What others give, such
// as an instance's role, a helper program or a sign-in, may be another's the next
// time: so they are asked each time, and only what follows is kept.
func settled(s *term.Streams, c aws.Credentials) bool {
	switch {
	case c.Source == config.CredentialsSourceName, strings.HasPrefix(c.Source, "SharedConfigCredentials: "):
		return true
	case c.Source == stscreds.WebIdentityProviderName:
		return s.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != ""
	case c.Source == endpointcreds.ProviderName:
		return s.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || s.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != ""
	}
	return false
}
