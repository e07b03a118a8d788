package desk

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/stile-aws/stile/creds"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/surroundings"
)

// webIdentity enters the first role of the target with the source's token.
func webIdentity(ctx context.Context, t *session.Target, region string) (*beginning, error) {
	w := t.Source.WebIdentity
	if len(t.Hops) == 0 {
		return nil, sayRole(&t.Source)
	}
	cfg, err := load(ctx, region)
	if err != nil {
		return nil, err
	}
	role := t.Hops[0]
	t.Hops = t.Hops[1:]
	role.SessionName = cmp.Or(w.SessionName, creds.SessionName(jobName()), creds.SessionName(t.Source.Name))
	p, err := creds.NewWebIdentity(cfg, tokenOf(w, t.Source.Name), role)
	if err != nil {
		return nil, err
	}
	return &beginning{provider: held{p, p.Key() + " " + holderOf(w)}}, nil
}

// held is a provider that knows whose token it has.
type held struct {
	*creds.WebIdentity
	key string
}

// Key implements creds.Provider.
func (h held) Key() string { return h.key }

// holderOf tells tokens of one place apart: what is in a file or a variable, or
// given by GitHub or a program, may be another job's the next time, of the same run
// too.
func holderOf(w *session.WebIdentity) string {
	var text []byte
	switch {
	case w.Program != "":
		return surroundings.Mark(os.Environ()) + " " + jobName()
	case w.Variable != "":
		text = []byte(os.Getenv(w.Variable))
	case w.GitHub:
		text = []byte(os.Getenv(gitHubBearer))
	default:
		text, _ = os.ReadFile(w.TokenFile) // whoever needs it says why it cannot be read
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func sayRole(s *session.Source) error {
	return fmt.Errorf("source %s (%s) opens roles: say which role, %s:ACCOUNT/ROLE", s.Name, s.Kind(), s.Name)
}

// jobName is what CI calls the job this runs in, "" elsewhere.
func jobName() string {
	if repo, run := os.Getenv("GITHUB_REPOSITORY"), os.Getenv("GITHUB_RUN_ID"); repo != "" && run != "" {
		return repo + "-" + run
	}
	if path, job := os.Getenv("CI_PROJECT_PATH"), os.Getenv("CI_JOB_ID"); path != "" && job != "" {
		return path + "-" + job
	}
	return ""
}

// tokenOf is where the token comes from. What it is called tells the job too: on
// a machine that many jobs share, none may get what another's token opened.
func tokenOf(w *session.WebIdentity, source string) creds.Token {
	switch {
	case w.Program != "":
		return creds.TokenFunc("program "+w.Program, func(ctx context.Context) (string, error) { return programToken(ctx, w.Program, "source "+source) })
	case w.Variable != "":
		return creds.TokenFunc("variable "+w.Variable+" of "+jobName(), func(context.Context) (string, error) { return variableToken(w.Variable) })
	case w.GitHub:
		return creds.TokenFunc("GitHub job "+jobName()+" for "+w.Audience, func(ctx context.Context) (string, error) {
			return gitHubToken(ctx, cmp.Or(w.Audience, "sts.amazonaws.com"))
		})
	}
	return creds.TokenFile(w.TokenFile)
}

func programToken(ctx context.Context, command, of string) (string, error) {
	token, err := output(ctx, command, of)
	if err != nil {
		return "", fmt.Errorf("running the token's program: %w", err)
	}
	if token == "" {
		return "", errors.New("running the token's program: it printed nothing")
	}
	return token, nil
}

func variableToken(name string) (string, error) {
	token := strings.TrimSpace(os.Getenv(name))
	if token == "" {
		return "", fmt.Errorf("reading the token: the variable %s is not set; in GitLab, id_tokens of the job makes it", name)
	}
	return token, nil
}

// The variables by which GitHub Actions tells a job where to get its token
// (GitHub documentation, "OpenID Connect reference").
const (
	gitHubURL    = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubBearer = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// maxToken bounds an answer that is to hold a token.
const maxToken = 64 << 10

// gitHubToken asks GitHub for the job's token. Errors hold neither URL nor token.
func gitHubToken(ctx context.Context, audience string) (string, error) {
	at, bearer := os.Getenv(gitHubURL), os.Getenv(gitHubBearer)
	if at == "" || bearer == "" {
		return "", fmt.Errorf("asking GitHub for the job's token: %s and %s are not set; run in a job of GitHub Actions with permissions: id-token: write", gitHubURL, gitHubBearer)
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "https" && !loopback(u) {
		return "", fmt.Errorf("asking GitHub for the job's token: %s is no https address", gitHubURL)
	}
	query := u.Query()
	query.Set("audience", audience)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", errors.New("asking GitHub for the job's token: its address is no address")
	}
	req.Header.Set("Authorization", "bearer "+bearer)
	client := awshttp.NewBuildableClient().WithTimeout(callTimeout)
	resp, err := client.Do(req)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err
		}
		return "", fmt.Errorf("asking GitHub for the job's token: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	if err != nil {
		return "", fmt.Errorf("reading GitHub's answer: %w", err)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil || answer.Value == "" {
		return "", fmt.Errorf("asking GitHub for the job's token: it answered %s without one", resp.Status)
	}
	return answer.Value, nil
}

func loopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && err == nil && ip.IsLoopback()
}
