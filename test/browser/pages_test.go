package browser_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssooidc"
	"github.com/google/go-cmp/cmp"
)

// judge looks at a page as a person would, and as one who does not see it: it was
// answered with a status, nothing keeps it or runs in it, it has a title and one
// heading, what can be clicked or filled in has a name, nothing is cut off on a
// phone, and the browser finds nothing wrong.
func judge(t *testing.T, b *tab, name string, status int) {
	t.Helper()
	d := b.shown()
	if d.Status != status {
		t.Errorf("%s: status %d, want %d", name, d.Status, status)
	}
	for header, want := range map[string]string{
		"cache-control": "no-store", "content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff",
		"referrer-policy": "no-referrer", "content-type": "text/html; charset=utf-8",
	} {
		if got := d.Headers[header]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s is %q, want %q", name, header, got, want)
		}
	}
	if csp := d.Headers["content-security-policy"]; !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script") {
		t.Errorf("%s: the policy is %q", name, csp)
	}
	described(t, b, name)
	for _, width := range []int{400, 1200} {
		b.wide(t, width)
		var cut []string
		if !b.evaluate(t, `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).map(e => e.outerHTML.slice(0, 80))`, &cut) || len(cut) > 0 {
			t.Errorf("%s: at %d pixels %q is cut off", name, width, cut)
		}
		b.picture(t, strings.ReplaceAll(name, " ", "-")+map[int]string{400: "-narrow", 1200: ""}[width])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		t.Errorf("%s: the browser says %q", name, b.problems)
	}
}

// described fails unless a screen reader has something to read out for everything.
func described(t *testing.T, b *tab, name string) {
	t.Helper()
	var page struct{ Title, Lang, Heading string }
	if !b.evaluate(t, `({title: document.title, lang: document.documentElement.lang, heading: [...document.querySelectorAll("h1")].map(e => e.innerText).join("; ")})`, &page) ||
		page.Heading == "" || page.Lang != "en" || !strings.HasPrefix(page.Title, page.Heading+" - ") {
		t.Errorf("%s: title %q, heading %q, language %q", name, page.Title, page.Heading, page.Lang)
	}
	type value struct{ Value any }
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name value
		}
	}
	b.browser.must(t, b.session, "Accessibility.getFullAXTree", struct{}{}, &tree)
	var landmarks int
	for _, n := range tree.Nodes {
		switch n.Role.Value {
		case "button", "combobox", "textbox":
			if !n.Ignored && (n.Name.Value == nil || n.Name.Value == "") {
				t.Errorf("%s: a %s has no name", name, n.Role.Value)
			}
		case "main":
			landmarks++
		}
	}
	if landmarks != 1 {
		t.Errorf("%s: %d landmarks main in %d nodes, want 1", name, landmarks, len(tree.Nodes))
	}
}

// offers fails unless these are a page's buttons and fields, in this order.
func offers(t *testing.T, b *tab, want ...string) {
	t.Helper()
	var got []string
	b.evaluate(t, `[...document.querySelectorAll("button, select, input:not([type=hidden])")].map(e => e.labels.length ? e.labels[0].firstChild.data.trim() : e.innerText)`, &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("buttons and fields (-want +got):\n%s", diff)
	}
}

// The names in this world are as bad as names get.
const (
	badUser    = `e+v=e,.@-_` // no letters else are taken
	badAccount = `<i hidden>orders</i> "&lt;`
	badClient  = `</title><script>document.body.textContent = "mine"</script><b>"client"`
)

// Names are shown letter for letter; none becomes a part of the page.
func TestNamesAreTexts(t *testing.T) {
	t.Parallel()
	w := start(t, `startURL: https://acme.awsapps.com/start
users: [{name: "`+badUser+`"}, {name: alice}]
permissionSets: [{name: Admin}]
assignments: [{accounts: [all], permissionSets: [Admin], users: [alice]}]
`, badAccount+"="+orders)
	c := newChromium(t)
	oidc := ssooidc.New(ssooidc.Options{Region: "us-east-1", BaseEndpoint: aws.String(w.url)})
	client, err := oidc.RegisterClient(t.Context(), &ssooidc.RegisterClientInput{ClientName: aws.String(badClient), ClientType: aws.String("public")})
	if err != nil {
		t.Fatal(err)
	}
	device, err := oidc.StartDeviceAuthorization(t.Context(), &ssooidc.StartDeviceAuthorizationInput{
		ClientId: client.ClientId, ClientSecret: client.ClientSecret, StartUrl: aws.String("https://acme.awsapps.com/start"),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := c.open(t, "", *device.VerificationUriComplete)
	b.shows(t, badClient+" wants to use", badUser)
	offers(t, b, "You are", "Allow", "Deny")
	judge(t, b, "bad client", http.StatusOK)
	made(t, b, "b", 2) // the page's own
	b.choose(t, "select", badUser)
	b.click(t, "Allow")
	b.shows(t, "Access allowed")

	w.signIn(t, c)
	b = w.console(t, c, c.person(t), orders+"/Admin", "--service", `a/<u>b</u>"`)
	b.shows(t, badAccount+" ("+orders+")", "%3Cu%3Eb%3C/u%3E%22")
	judge(t, b, "bad account", http.StatusOK)
	b.visit(t, w.url+"/console?destination="+url.QueryEscape(`https://console.aws.amazon.com/<u>"`))
	b.shows(t, `You asked for https://console.aws.amazon.com/<u>".`)
	made(t, b, "i, u, script", 0)
}

// made fails unless a page has so many elements.
func made(t *testing.T, b *tab, selector string, want int) {
	t.Helper()
	got := -1
	if b.evaluate(t, `document.querySelectorAll("`+selector+`").length`, &got); got != want {
		t.Errorf("%d elements %s, want %d", got, selector, want)
	}
}

// The page of `aws login`, to which stile goes for a source of the console, is
// answered like the others.
func TestCommandLinesAreSignedIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newChromium(t)
	w.Write(t, ".config/stile/sessions.yaml", "sources:\n- {name: shop, consoleLogin: {region: us-east-1}}\n")
	login := w.begin(t, nil, "login")
	b := c.open(t, "", w.page(t))
	b.shows(t, "Sign in to a command line?", "A program on this computer wants to call AWS as you")
	offers(t, b, "You are", "Allow", "Deny")
	judge(t, b, "command line", http.StatusOK)
	b.click(t, "Deny")
	b.shows(t, "You are not signed in")
	refused(t, login.ends(t), "the request was denied in the browser")

	login = w.begin(t, nil, "login")
	page := w.page(t)
	b = c.open(t, "", page)
	b.fill(t, "input", "<b>nobody</b>")
	b.click(t, "Allow")
	b.shows(t, "You cannot go on", "<b>nobody</b>")
	judge(t, b, "command line nobody", http.StatusBadRequest)
	root := "arn:aws:iam::" + orders + ":root"
	b.visit(t, page)
	b.fill(t, "input", root)
	b.click(t, "Allow")
	b.shows(t, "You are signed in")
	if r := login.ends(t); r.Code != 0 || !strings.Contains(r.Stderr, "stile: signed in to shop") {
		t.Errorf("exit %d, %s", r.Code, r.Stderr)
	}
	if r := w.Stile(t, nil, "whoami", "shop"); r.Code != 0 || !strings.HasPrefix(r.Stdout, root+"\n") {
		t.Errorf("exit %d, %q, %s, want %s", r.Code, r.Stdout, r.Stderr, root)
	}

	b.visit(t, w.url+"/v1/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"arn:aws:signin:::devtools/cross-device"}, "redirect_uri": {w.url + "/v1/sessions/confirmation"}, "state": {"s<1>"},
		"scope": {"openid"}, "code_challenge_method": {"SHA-256"}, "code_challenge": {strings.Repeat("c", 43)},
	}.Encode())
	b.shows(t, "A program on another computer wants to call AWS as you")
	b.fill(t, "input", root)
	b.click(t, "Allow")
	b.shows(t, "Signed in", "Enter this code where you began:")
	judge(t, b, "command line code", http.StatusOK)
}
