package localaws_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
	"github.com/stile-aws/stile/internal/localaws/signin"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

const home = "https://console.aws.amazon.com/s3?region=eu-west-1"

// browser opens pages of a local AWS, keeping cookies, at the real host names.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T, s *localaws.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Transport: frontdoor.RoundTripper(s), Jar: jar}}
}

// open gives the status and text of a page, after all redirects.
func (b *browser) open(address string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// federation is the endpoint's URL with parameters.
func federation(host string, params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return "https://" + host + "/federation?" + q.Encode()
}

func sessionJSON(c *ststypes.Credentials) string {
	text, _ := json.Marshal(map[string]string{"sessionId": *c.AccessKeyId, "sessionKey": *c.SecretAccessKey, "sessionToken": *c.SessionToken})
	return string(text)
}

// token asks for a sign-in token.
func (b *browser) token(c *ststypes.Credentials, params ...string) (int, string) {
	b.t.Helper()
	status, text := b.open(federation("signin.aws.amazon.com", append([]string{"Action", "getSigninToken", "Session", sessionJSON(c)}, params...)...))
	var out struct{ SigninToken string }
	if status == 200 {
		if err := json.Unmarshal([]byte(text), &out); err != nil || out.SigninToken == "" {
			b.t.Fatalf("token: %s %v", text, err)
		}
	}
	return status, out.SigninToken
}

func (b *browser) login(token string) (int, string) {
	b.t.Helper()
	return b.open(federation("signin.aws.amazon.com", "Action", "login", "Issuer", "x", "Destination", home, "SigninToken", token))
}

// console is a server with the role `person` in A and B, and who may assume it.
func console(t *testing.T) (*localaws.Server, *store.ManualClock, func(cfg aws.Config, account string) *ststypes.Credentials) {
	t.Helper()
	clock := store.NewManualClock(time.Now().Truncate(time.Second))
	s := start(t, func(c *localaws.Config) { c.Clock = clock })
	for _, account := range []string{string(A), string(B)} {
		cfg := config(t, s, A)
		if account == string(B) {
			cfg = config(t, s, B)
		}
		_, err := iam.NewFromConfig(cfg).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: ptr("person"),
			AssumeRolePolicyDocument: ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = iam.NewFromConfig(cfg).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: ptr("person"), PolicyName: ptr("p"), PolicyDocument: ptr(worldtest.AllowAll)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, clock, func(cfg aws.Config, account string) *ststypes.Credentials {
		t.Helper()
		out, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::" + account + ":role/person"), RoleSessionName: ptr("erin")})
		if err != nil {
			t.Fatal(err)
		}
		return out.Credentials
	}
}

func TestCredentialsOpenTheConsole(t *testing.T) {
	s, _, assume := console(t)
	b := newBrowser(t, s)
	status, token := b.token(assume(config(t, s, A), string(B)))
	if status != 200 {
		t.Fatalf("token: %d", status)
	}
	status, text := b.login(token)
	if status != 200 || !strings.Contains(text, "arn:aws:sts::222222222222:assumed-role/person/erin") || !strings.Contains(text, "orders-prod (222222222222)") ||
		!strings.Contains(text, "https://console.aws.amazon.com/s3?region=eu-west-1") {
		t.Errorf("console: %d %s", status, text)
	}
	if status, text := newBrowser(t, s).open(home); status != 401 || strings.Contains(text, "erin") {
		t.Errorf("another browser: %d %s", status, text)
	}
}

func TestTheEndpointHasAHostARegionAndAPort(t *testing.T) {
	s, _, assume := console(t)
	b := newBrowser(t, s)
	session := sessionJSON(assume(config(t, s, A), string(A)))
	for host, want := range map[string]int{
		"signin.aws.amazon.com": 200, "us-east-1.signin.aws.amazon.com": 200, "eu-west-1.signin.aws.amazon.com": 200,
		"signin.amazonaws.cn": 400, "signin.amazonaws-us-gov.com": 400, "signin.amazonaws-eusc.eu": 400, // whose accounts these are not
		"console.aws.amazon.com": 401,
	} {
		if status, _ := b.open(federation(host, "Action", "getSigninToken", "Session", session)); status != want {
			t.Errorf("%s: %d, want %d", host, status, want)
		}
	}
	resp, err := b.client.PostForm("http://127.0.0.1:7171/federation", url.Values{"Action": {"getSigninToken"}, "Session": {session}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct{ SigninToken string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != 200 {
		t.Fatalf("on the port: %d %v", resp.StatusCode, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://127.0.0.1:7171/federation?"+url.Values{"Action": {"login"}, "Destination": {home}, "SigninToken": {out.SigninToken}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	page, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	var shown struct {
		Identities  []signin.Identity
		Destination string
	}
	if err := json.NewDecoder(page.Body).Decode(&shown); err != nil || len(shown.Identities) != 1 || shown.Identities[0].Account != string(A) || shown.Destination != home {
		t.Errorf("console as JSON: %+v %v", shown, err)
	}
}

func TestOnlyRealTemporaryCredentialsSignIn(t *testing.T) {
	s, clock, assume := console(t)
	b := newBrowser(t, s)
	good := assume(config(t, s, A), string(A))
	change := func(f func(*ststypes.Credentials)) *ststypes.Credentials {
		c := *good
		f(&c)
		return &c
	}
	admin, err := config(t, s, A).Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	user, err := sts.NewFromConfig(config(t, s, A)).GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	federated, err := sts.NewFromConfig(config(t, s, A)).GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: ptr("erin"), Policy: ptr(worldtest.AllowAll)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		creds *ststypes.Credentials
		want  int
	}{
		"a role's":                    {good, 200},
		"a federated user's":          {federated.Credentials, 200},
		"a user's session":            {user.Credentials, 400},
		"a user's own":                {&ststypes.Credentials{AccessKeyId: &admin.AccessKeyID, SecretAccessKey: &admin.SecretAccessKey, SessionToken: ptr("x")}, 400},
		"with another secret":         {change(func(c *ststypes.Credentials) { c.SecretAccessKey = ptr("guess") }), 400},
		"with another key":            {change(func(c *ststypes.Credentials) { c.AccessKeyId = user.Credentials.AccessKeyId }), 400},
		"with another token":          {change(func(c *ststypes.Credentials) { c.SessionToken = user.Credentials.SessionToken }), 400},
		"with a token that is broken": {change(func(c *ststypes.Credentials) { c.SessionToken = ptr(*c.SessionToken + "x") }), 400},
		"with nothing":                {&ststypes.Credentials{AccessKeyId: ptr(""), SecretAccessKey: ptr(""), SessionToken: ptr("")}, 400},
	} {
		if status, _ := b.token(c.creds); status != c.want {
			t.Errorf("credentials %s: %d, want %d", name, status, c.want)
		}
	}
	for _, text := range []string{"", "{", "[]", `{"sessionId":1}`, strings.Repeat("[", 10_000)} {
		if status, _ := b.open(federation("signin.aws.amazon.com", "Action", "getSigninToken", "Session", text)); status != 400 {
			t.Errorf("session %.20q: %d", text, status)
		}
	}
	if status, _ := b.open(federation("signin.aws.amazon.com", "Action", "steal")); status != 400 {
		t.Errorf("another action: %d", status)
	}
	clock.Advance(time.Hour)
	if status, _ := b.token(good); status != 400 {
		t.Errorf("expired credentials: %d", status)
	}
}

func TestSessionDurationHasRules(t *testing.T) {
	s, _, assume := console(t)
	b := newBrowser(t, s)
	first := assume(config(t, s, A), string(A))
	chained := assume(with(s, *first.AccessKeyId, *first.SecretAccessKey, *first.SessionToken), string(B))
	federated, err := sts.NewFromConfig(config(t, s, A)).GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: ptr("erin")})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		creds    *ststypes.Credentials
		duration string
		want     int
	}{
		"twelve hours":                  {first, "43200", 200},
		"a quarter of an hour":          {first, "900", 200},
		"a second less":                 {first, "899", 400},
		"a second more than twelve":     {first, "43201", 400},
		"a number that is none":         {first, "1h", 400},
		"an overflow":                   {first, "99999999999", 400},
		"of a role assumed from a role": {chained, "3600", 400},
		"of a federated user":           {federated.Credentials, "3600", 400},
	} {
		if status, _ := b.token(c.creds, "SessionDuration", c.duration); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	if status, _ := b.token(chained); status != 200 {
		t.Errorf("a chained role without a duration: %d", status)
	}
}

func TestConsoleSessionsEnd(t *testing.T) {
	s, clock, assume := console(t)
	creds := assume(config(t, s, A), string(A))
	short, long, late := newBrowser(t, s), newBrowser(t, s), newBrowser(t, s)
	_, token := short.token(creds)
	_, longToken := long.token(creds, "SessionDuration", "43200")
	if status, _ := short.login(token); status != 200 {
		t.Fatal("login")
	}
	clock.Advance(14 * time.Minute)
	if status, _ := long.login(longToken); status != 200 {
		t.Error("a token of fourteen minutes is refused")
	}
	clock.Advance(time.Minute)
	if status, _ := late.login(token); status != 400 {
		t.Error("a token of fifteen minutes is good")
	}
	clock.Advance(45 * time.Minute)
	if status, _ := short.open(home); status != 401 {
		t.Errorf("a session without a duration outlives its credentials: %d", status)
	}
	clock.Advance(11 * time.Hour)
	if status, _ := long.open(home); status != 200 {
		t.Errorf("a session of twelve hours ended: %d", status)
	}
	clock.Advance(15 * time.Minute)
	if status, _ := long.open(home); status != 401 {
		t.Errorf("a session of twelve hours goes on: %d", status)
	}
}

func TestTheConsoleShowsWhoLives(t *testing.T) {
	s, clock, assume := console(t)
	b := newBrowser(t, s)
	_, token := b.token(assume(config(t, s, A), string(B)))
	if status, _ := b.login(token); status != 200 {
		t.Fatal("login")
	}
	w := s.World()
	w.Lock()
	w.Accounts[B].IAM.Role("person").Put(clock.Now(), nil)
	w.Unlock()
	if status, text := b.open(home); status != 401 || strings.Contains(text, "erin") {
		t.Errorf("the role is gone: %d %s", status, text)
	}
	if status, _ := b.login(token); status != 400 {
		t.Errorf("login after the role is gone: %d", status)
	}
}

func TestDestinationsAreTheConsoles(t *testing.T) {
	s, _, assume := console(t)
	b := newBrowser(t, s)
	_, token := b.token(assume(config(t, s, A), string(A)))
	for _, destination := range []string{
		"", "https://evil.example/", "http://console.aws.amazon.com/", "//console.aws.amazon.com/", "https://console.aws.amazon.com.evil.example/",
		"https://evil@console.aws.amazon.com/", "https://console.aws.amazon.com:444/", "https://notconsole.aws.amazon.com/", "javascript:alert(1)", "https://signin.aws.amazon.com/federation",
	} {
		if status, _ := b.open(federation("signin.aws.amazon.com", "Action", "login", "Destination", destination, "SigninToken", token)); status != 400 {
			t.Errorf("destination %q: %d", destination, status)
		}
	}
	for _, next := range []string{"https://evil.example/", "//evil.example/", "http://console.aws.amazon.com/", "https://127.0.0.1/", "https://signin.amazonaws.cn/", "javascript:alert(1)"} {
		if status, _ := b.open("https://us-east-1.signin.aws.amazon.com/oauth?" + url.Values{"Action": {"logout"}, "redirect_uri": {next}}.Encode()); status != 400 {
			t.Errorf("redirect to %q: %d", next, status)
		}
	}
	if status, _ := b.login(token + "x"); status != 400 {
		t.Error("a token that is broken is good")
	}
}

// One identity at a time, until multi-session is turned on; then five.
func TestSeveralIdentitiesInOneBrowser(t *testing.T) {
	s, _, _ := console(t)
	b := newBrowser(t, s)
	signIn := func(account, name string) (int, string) {
		t.Helper()
		out, err := sts.NewFromConfig(config(t, s, A)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: ptr("arn:aws:iam::" + account + ":role/person"), RoleSessionName: &name})
		if err != nil {
			t.Fatal(err)
		}
		_, token := b.token(out.Credentials)
		return b.login(token)
	}
	if status, _ := signIn(string(A), "erin"); status != 200 {
		t.Fatal("first")
	}
	if status, _ := signIn(string(A), "erin"); status != 200 {
		t.Error("the same again is refused")
	}
	if status, text := signIn(string(B), "erin"); status != 400 || !strings.Contains(text, "You must first log out") {
		t.Errorf("another account: %d %s", status, text)
	}
	logout := "https://us-east-1.signin.aws.amazon.com/oauth?" + url.Values{"Action": {"logout"}, "redirect_uri": {home}}.Encode()
	if status, _ := b.open(logout); status != 401 {
		t.Errorf("after logout: %d", status)
	}
	if status, text := signIn(string(B), "erin"); status != 200 || strings.Contains(text, "111111111111") {
		t.Errorf("after logout: %d %s", status, text)
	}
	if status, _ := b.open("https://us-east-1.signin.aws.amazon.com/sessions/v1/opt-in?" + url.Values{"redirect_uri": {home}}.Encode()); status != 200 {
		t.Errorf("opt-in: %d", status)
	}
	for i := range 4 {
		if status, text := signIn(string(A), "erin-"+strconv.Itoa(i)); status != 200 || !strings.Contains(text, "222222222222:assumed-role/person/erin") {
			t.Errorf("session %d: %d %s", i+2, status, text)
		}
	}
	if status, text := signIn(string(A), "one-too-many"); status != 400 || !strings.Contains(text, "maximum number of sessions") {
		t.Errorf("a sixth session: %d %s", status, text)
	}
}
