package saml_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/saml"
	"github.com/stile-aws/stile/internal/localaws/saml/samltest"
)

const entityID = "https://idp.example.com/<a>&b"

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// providers are two identity providers; the second one is not trusted.
var providers = sync.OnceValues(func() (both [2]*samltest.IdP, err error) {
	for i := range both {
		if both[i], err = samltest.New(entityID); err != nil {
			return both, err
		}
	}
	return both, nil
})

func idp(t testing.TB) (trusted, other *samltest.IdP) {
	t.Helper()
	both, err := providers()
	if err != nil {
		t.Fatal(err)
	}
	return both[0], both[1]
}

func metadata(t testing.TB) *saml.Metadata {
	t.Helper()
	trusted, _ := idp(t)
	m, err := saml.ParseMetadata(trusted.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func aws() saml.Expected {
	return saml.Expected{Recipients: []string{"https://signin.aws.amazon.com/saml"}, Audiences: []string{"urn:amazon:webservices"}}
}

func login() samltest.Login {
	return samltest.Login{
		Roles: []samltest.Role{{Role: "arn:aws:iam::111111111111:role/r", Provider: "arn:aws:iam::111111111111:saml-provider/p"}}, SessionName: "frank", At: now,
		Tags: map[string]string{"team": "a<b>&\"c\""},
	}
}

func verify(t testing.TB, text string, at time.Time) (*saml.Assertion, *saml.Failure) {
	t.Helper()
	return metadata(t).Verify(base64.StdEncoding.EncodeToString([]byte(text)), aws(), at)
}

func xml(t testing.TB, l samltest.Login) string {
	t.Helper()
	trusted, _ := idp(t)
	text, err := trusted.XML(l)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSignedResponsesAreRead(t *testing.T) {
	for name, signed := range map[string]samltest.Signed{"the assertion": samltest.Assertion, "the response": samltest.Response, "both": samltest.Both} {
		t.Run(name, func(t *testing.T) {
			l := login()
			l.Signed, l.SessionEnds = signed, now.Add(8*time.Hour)
			got, failure := verify(t, xml(t, l), now)
			if failure != nil {
				t.Fatal(failure)
			}
			want := &saml.Assertion{
				Issuer: entityID, Subject: "frank", SubjectType: "persistent", Recipient: "https://signin.aws.amazon.com/saml", SessionEnds: now.Add(8 * time.Hour),
				Attributes: map[string][]string{
					"https://aws.amazon.com/SAML/Attributes/Role":              {"arn:aws:iam::111111111111:role/r,arn:aws:iam::111111111111:saml-provider/p"},
					"https://aws.amazon.com/SAML/Attributes/RoleSessionName":   {"frank"},
					"https://aws.amazon.com/SAML/Attributes/PrincipalTag:team": {"a<b>&\"c\""},
				},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("assertion differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResponsesSignedElsewhereAreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Certificate string
		Cases       []struct{ Name, XML string }
	}
	if err := json.Unmarshal(text, &recorded); err != nil || len(recorded.Cases) != 4 {
		t.Fatalf("%d cases: %v", len(recorded.Cases), err)
	}
	m, err := saml.ParseMetadata(`<m:EntityDescriptor xmlns:m="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example/recorded"><m:IDPSSODescriptor>` +
		`<m:KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` + recorded.Certificate +
		`</X509Certificate></X509Data></KeyInfo></m:KeyDescriptor></m:IDPSSODescriptor></m:EntityDescriptor>`)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	for _, c := range recorded.Cases {
		t.Run(c.Name, func(t *testing.T) {
			got, failure := m.Verify(base64.StdEncoding.EncodeToString([]byte(c.XML)), aws(), at)
			if failure != nil {
				t.Fatal(failure)
			}
			if want := []string{`a <b> "c" 'd' é`}; got.Subject != "zoë & co" || !cmp.Equal(got.Attributes["greeting"], want) {
				t.Errorf("subject %q, greeting %q, want %q", got.Subject, got.Attributes["greeting"], want)
			}
			if changed := strings.Replace(c.XML, "zoë", "eve", 1); true {
				if _, failure := m.Verify(base64.StdEncoding.EncodeToString([]byte(changed)), aws(), at); failure == nil || failure.Kind != saml.Unsigned {
					t.Errorf("changed: %v", failure)
				}
			}
		})
	}
}

func TestResponsesForOthersAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*samltest.Login)
		at     time.Time
		want   saml.Kind
	}{
		"another audience":           {func(l *samltest.Login) { l.Audience = "urn:other" }, now, saml.Audience},
		"another recipient":          {func(l *samltest.Login) { l.Recipient = "https://sp.example/saml" }, now, saml.Audience},
		"another issuer":             {func(l *samltest.Login) { l.Issuer = "https://other.example" }, now, saml.Issuer},
		"after its lifetime":         {func(l *samltest.Login) { l.Lifetime = time.Minute }, now.Add(time.Minute), saml.Expired},
		"five minutes after issue":   {func(l *samltest.Login) { l.Lifetime = time.Hour }, now.Add(5 * time.Minute), saml.Expired},
		"before its time":            {func(*samltest.Login) {}, now.Add(-6 * time.Minute), saml.Invalid},
		"a sign-in that failed":      {func(l *samltest.Login) { l.Status = "AuthnFailed" }, now, saml.Rejected},
		"without a signature":        {func(l *samltest.Login) { l.Signed = samltest.Nothing }, now, saml.Unsigned},
		"without a subject":          {func(l *samltest.Login) { l.SessionName, l.NameID = "", " " }, now, saml.Invalid},
		"with a confirmation of old": {func(l *samltest.Login) { l.Lifetime = -time.Minute }, now, saml.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			l := login()
			c.change(&l)
			if _, failure := verify(t, xml(t, l), c.at); failure == nil || failure.Kind != c.want {
				t.Errorf("got %v, want kind %d", failure, c.want)
			}
		})
	}
	_, other := idp(t)
	forged, err := other.XML(login())
	if err != nil {
		t.Fatal(err)
	}
	if _, failure := verify(t, forged, now); failure == nil || failure.Kind != saml.Unsigned || failure.Message != "Response signature invalid" {
		t.Errorf("signed by another key: %v", failure)
	}
	if _, failure := verify(t, xml(t, login()), now.Add(4*time.Minute+59*time.Second)); failure != nil {
		t.Errorf("a second before five minutes: %v", failure)
	}
}

// evil is an assertion that nobody signed, for another person.
const evil = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_evil" IssueInstant="2026-11-22T12:00:00Z" Version="2.0">` +
	`<saml:Issuer>https://idp.example.com/&lt;a&gt;&amp;b</saml:Issuer><saml:Subject><saml:NameID>root</saml:NameID></saml:Subject></saml:Assertion>`

// Every way known to make a reader take what is not signed for what is: the
// signed element moved, wrapped, copied, hidden, or told apart by its ID.
func TestWrappedSignaturesAreRefused(t *testing.T) {
	good := xml(t, login())
	begin := strings.Index(good, "<saml:Assertion")
	end := strings.Index(good, "</saml:Assertion>") + len("</saml:Assertion>")
	assertion := good[begin:end]
	signature := assertion[strings.Index(assertion, "<ds:Signature "):strings.Index(assertion, "</ds:Signature>")]
	signature += "</ds:Signature>"
	bare := strings.Replace(assertion, signature, "", 1)
	replace := func(with string) string { return good[:begin] + with + good[end:] }
	inEvil := func(inner string) string {
		return strings.Replace(evil, "</saml:Issuer>", "</saml:Issuer>"+inner, 1)
	}
	l := login()
	l.Signed = samltest.Response
	whole := xml(t, l)
	wholeSignature := whole[strings.Index(whole, "<ds:Signature "):strings.Index(whole, "</ds:Signature>")] + "</ds:Signature>"
	wholeBare := strings.Replace(whole, wholeSignature, "", 1)
	evilResponse := strings.Replace(strings.Replace(wholeBare, "_response", "_evil", 1), "frank", "root", -1)
	mark := "</saml:Issuer>"
	for name, text := range map[string]string{
		"an evil assertion before the signed one":        replace(evil + assertion),
		"an evil assertion after the signed one":         replace(assertion + evil),
		"the signed one inside an evil one":              replace(inEvil(assertion)),
		"the signed one inside an evil one's signature":  replace(inEvil(strings.Replace(signature, "</ds:Signature>", "<ds:Object>"+bare+"</ds:Object></ds:Signature>", 1))),
		"the signature on an evil one, the good beside":  replace(inEvil(signature) + bare),
		"an evil one with the signed one's ID":           replace(strings.Replace(inEvil(signature), "_evil", "_assertion", 1)),
		"two elements with the ID":                       replace(strings.Replace(inEvil(signature), "_evil", "_assertion", 1) + bare),
		"the signed one in extensions":                   strings.Replace(replace(inEvil("")), "<samlp:Status>", "<samlp:Extensions>"+assertion+"</samlp:Extensions><samlp:Status>", 1),
		"the signed one in another namespace's element":  replace(inEvil("") + `<x xmlns="urn:x">` + assertion + `</x>`),
		"an evil response around the signed response":    strings.Replace(evilResponse, mark, mark+strings.Replace(wholeSignature, "</ds:Signature>", "<ds:Object>"+wholeBare+"</ds:Object></ds:Signature>", 1), 1),
		"an evil response with the signature":            strings.Replace(evilResponse, mark, mark+wholeSignature, 1),
		"the signed response inside another element":     `<x xmlns="urn:x">` + whole + `</x>`,
		"two signatures, one of them good":               replace(strings.Replace(assertion, signature, signature+signature, 1)),
		"a signature without its element's ID":           strings.Replace(good, `URI="#_assertion"`, `URI=""`, 1),
		"a reference to the response":                    strings.Replace(good, `URI="#_assertion"`, `URI="#_response"`, 1),
		"an ID in another spelling":                      strings.Replace(good, `<samlp:Status>`, `<samlp:Status Id="_assertion">`, 1),
		"a comment in the name":                          strings.Replace(good, "frank</saml:NameID>", "fr<!-- -->ank</saml:NameID>", 1),
		"an element in the name":                         strings.Replace(good, "frank</saml:NameID>", "frank<x></x></saml:NameID>", 1),
		"a name changed":                                 strings.Replace(good, "frank</saml:NameID>", "root</saml:NameID>", 1),
		"a role added":                                   strings.Replace(good, "</saml:AttributeStatement>", `<saml:Attribute Name="x"></saml:Attribute></saml:AttributeStatement>`, 1),
		"a prefix that stands for something else inside": strings.Replace(good, "<saml:Subject>", `<saml:Subject xmlns:saml="urn:x">`, 1),
		"a document type":                                `<!DOCTYPE x [<!ENTITY e "root">]>` + good,
		"an entity":                                      strings.Replace(good, "frank", "&e;", 1),
		"a processing instruction":                       strings.Replace(good, "<samlp:Status>", "<?x y?><samlp:Status>", 1),
		"SHA-1":                                          strings.Replace(good, "xmldsig-more#rsa-sha256", "xmldsig#rsa-sha1", 1),
		"HMAC":                                           strings.Replace(good, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", 1),
		"an XSLT transform":                              strings.Replace(good, "http://www.w3.org/2000/09/xmldsig#enveloped-signature", "http://www.w3.org/TR/1999/REC-xslt-19991116", 1),
		"a third transform":                              strings.Replace(good, "</ds:Transforms>", `<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms>`, 1),
		"inclusive canonicalization":                     strings.Replace(good, `CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"`, `CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"`, 1),
		"an encrypted assertion":                         replace(`<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"></saml:EncryptedAssertion>` + assertion),
		"no assertion":                                   replace(""),
		"another version":                                strings.Replace(good, `Version="2.0"><saml:Issuer xmlns`, `Version="1.1"><saml:Issuer xmlns`, 1),
		"an assertion alone":                             assertion,
		"two documents":                                  good + good,
		"an end that is missing":                         good[:len(good)-5],
		"elements nested a thousand deep":                strings.Repeat("<x>", 1000),
		"nothing":                                        "",
	} {
		t.Run(name, func(t *testing.T) {
			if text == good || text == whole {
				t.Fatal("the case changes nothing")
			}
			if got, failure := verify(t, text, now); failure == nil {
				t.Errorf("accepted: %+v", got)
			} else if strings.Contains(failure.Error(), "frank") {
				t.Errorf("the failure repeats the response: %v", failure)
			}
		})
	}
	if got, failure := verify(t, good, now); failure != nil || got.Subject != "frank" {
		t.Errorf("the unchanged response: %v %v", got, failure)
	}
}

func TestMetadataIsChecked(t *testing.T) {
	trusted, _ := idp(t)
	good := trusted.Metadata()
	m, err := saml.ParseMetadata(good)
	if err != nil || m.EntityID != entityID || !m.ValidUntil.IsZero() {
		t.Fatalf("%+v %v", m, err)
	}
	until, err := saml.ParseMetadata(strings.Replace(good, " entityID=", ` validUntil="2030-01-02T03:04:05Z" entityID=`, 1))
	if err != nil || until.ValidUntil.Year() != 2030 {
		t.Errorf("%+v %v", until, err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no XML": "hello", "another document": strings.ReplaceAll(good, "EntityDescriptor", "Entities"),
		"no entity id": strings.Replace(good, "entityID=", "x=", 1), "no descriptor": strings.ReplaceAll(good, "IDPSSODescriptor", "SPSSODescriptor"),
		"another namespace": strings.Replace(good, "SAML:2.0:metadata", "SAML:1.0:metadata", 1), "no signing key": strings.Replace(good, `use="signing"`, `use="encryption"`, 1),
		"a broken certificate": strings.Replace(good, "MII", "!!!", 1), "another certificate": strings.Replace(good, "MII", "AAA", 1),
		"a document type": `<!DOCTYPE x>` + good, "a time that is none": strings.Replace(good, " entityID=", ` validUntil="tomorrow" entityID=`, 1),
	} {
		if _, err := saml.ParseMetadata(text); err == nil || !strings.HasPrefix(err.Error(), "parsing SAML metadata: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing that anybody sends panics, and nothing is accepted but what the
// provider signed, read as it signed it.
func FuzzVerify(f *testing.F) {
	good := xml(f, login())
	m := metadata(f)
	f.Add(good)
	f.Add(strings.Replace(good, "frank", "root", -1))
	f.Add(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Version="2.0">` + evil + `</samlp:Response>`)
	f.Add(strings.ReplaceAll(good, "><", ">\n<"))
	f.Fuzz(func(t *testing.T, text string) {
		got, failure := m.Verify(base64.StdEncoding.EncodeToString([]byte(text)), aws(), now)
		if failure == nil && (got.Subject != "frank" || got.Issuer != entityID) {
			t.Errorf("accepted: %+v", got)
		}
		_, _ = saml.ParseMetadata(text) // must not panic
	})
}
