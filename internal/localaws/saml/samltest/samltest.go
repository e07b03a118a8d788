// Package samltest is a SAML identity provider for tests: metadata, and responses
// for AWS signed as real providers sign them.
//
// Start with [New]; [IdP.Metadata] is for CreateSAMLProvider, [IdP.Response] for
// AssumeRoleWithSAML. It shares no code with package saml, which it is to test: its
// documents are written in canonical form to begin with, so that a digest is the
// hash of the text.
package samltest

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// IdP is an identity provider. Safe for concurrent use.
type IdP struct {
	entityID    string
	key         *rsa.PrivateKey
	certificate []byte
}

// New makes an identity provider with an entity id and a key of its own, which
// takes about a tenth of a second.
func New(entityID string) (*IdP, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making identity provider: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: entityID},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("making identity provider: %w", err)
	}
	return &IdP{entityID, key, certificate}, nil
}

// Metadata is the provider's metadata document.
func (i *IdP) Metadata() string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<!-- an identity provider for tests -->
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + quote(i.entityID) + `">
  <IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing">
      <ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>
` + lines(base64.StdEncoding.EncodeToString(i.certificate)) + `
      </ds:X509Certificate></ds:X509Data></ds:KeyInfo>
    </KeyDescriptor>
    <NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</NameIDFormat>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/sso"/>
  </IDPSSODescriptor>
</EntityDescriptor>
`
}

func lines(text string) string {
	var b strings.Builder
	for len(text) > 76 {
		b.WriteString(text[:76] + "\n")
		text = text[76:]
	}
	return b.String() + text
}

// Role is a pair of ARNs in the attribute Role.
type Role struct{ Role, Provider string }

// Signed says what a response's signature covers.
type Signed uint8

// What is signed.
const (
	Assertion Signed = iota
	Response
	Both
	Nothing
)

// Login is what a response says of a person. The zero values of all but Roles,
// SessionName and At are what AWS wants.
type Login struct {
	Roles       []Role
	SessionName string
	// At is when the person signed in, by the local AWS's time.
	At time.Time
	// NameID is the subject. Default: SessionName.
	NameID string
	// SessionDuration is left out when zero.
	SessionDuration time.Duration
	// SessionEnds is SessionNotOnOrAfter, left out when zero.
	SessionEnds    time.Time
	Tags           map[string]string
	TransitiveTags []string
	SourceIdentity string
	// Attributes are further attributes by Name.
	Attributes map[string][]string
	// Lifetime is until NotOnOrAfter. Default: five minutes.
	Lifetime time.Duration
	// Audience and Recipient default to AWS's; Issuer to the provider's entity id.
	Audience, Recipient, Issuer string
	// Status is the last part of the status code. Default: Success.
	Status string
	Signed Signed
}

const (
	awsAttribute = "https://aws.amazon.com/SAML/Attributes/"
	// Audience is AWS's audience, and Recipient its endpoint.
	awsAudience  = "urn:amazon:webservices"
	awsRecipient = "https://signin.aws.amazon.com/saml"
)

// Response is a response as AssumeRoleWithSAML takes it, in Base64.
func (i *IdP) Response(l Login) (string, error) {
	text, err := i.XML(l)
	return base64.StdEncoding.EncodeToString([]byte(text)), err
}

// XML is a response as it is before Base64.
func (i *IdP) XML(l Login) (string, error) {
	assertion := i.assertion(l)
	if l.Signed == Assertion || l.Signed == Both {
		var err error
		if assertion, err = i.sign(assertion, "_assertion"); err != nil {
			return "", err
		}
	}
	response := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Destination="` + awsRecipient + `" ID="_response" IssueInstant="` + stamp(l.At) +
		`" Version="2.0"><saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">` + escape(cmp.Or(l.Issuer, i.entityID)) +
		`</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:` + cmp.Or(l.Status, "Success") +
		`"></samlp:StatusCode></samlp:Status>` + assertion + `</samlp:Response>`
	if l.Signed == Response || l.Signed == Both {
		return i.sign(response, "_response")
	}
	return response, nil
}

func (i *IdP) assertion(l Login) string {
	until := l.At.Add(cmp.Or(l.Lifetime, 5*time.Minute))
	ends := ""
	if !l.SessionEnds.IsZero() {
		ends = ` SessionNotOnOrAfter="` + stamp(l.SessionEnds) + `"`
	}
	return `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_assertion" IssueInstant="` + stamp(l.At) + `" Version="2.0">` +
		`<saml:Issuer>` + escape(cmp.Or(l.Issuer, i.entityID)) + `</saml:Issuer>` +
		`<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">` + escape(cmp.Or(l.NameID, l.SessionName)) + `</saml:NameID>` +
		`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="` + stamp(until) +
		`" Recipient="` + quote(cmp.Or(l.Recipient, awsRecipient)) + `"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="` + stamp(l.At) + `" NotOnOrAfter="` + stamp(until) + `"><saml:AudienceRestriction><saml:Audience>` +
		escape(cmp.Or(l.Audience, awsAudience)) + `</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
		`<saml:AuthnStatement AuthnInstant="` + stamp(l.At) + `"` + ends + `><saml:AuthnContext><saml:AuthnContextClassRef>` +
		`urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
		attributes(l) + `</saml:Assertion>`
}

func attributes(l Login) string {
	var b strings.Builder
	add := func(name string, values ...string) {
		if len(values) == 0 || len(values) == 1 && values[0] == "" {
			return
		}
		b.WriteString(`<saml:Attribute Name="` + quote(name) + `">`)
		for _, v := range values {
			b.WriteString(`<saml:AttributeValue>` + escape(v) + `</saml:AttributeValue>`)
		}
		b.WriteString(`</saml:Attribute>`)
	}
	var roles []string
	for _, r := range l.Roles {
		roles = append(roles, r.Role+","+r.Provider)
	}
	add(awsAttribute+"Role", roles...)
	add(awsAttribute+"RoleSessionName", l.SessionName)
	if l.SessionDuration > 0 {
		add(awsAttribute+"SessionDuration", strconv.Itoa(int(l.SessionDuration/time.Second)))
	}
	add(awsAttribute+"SourceIdentity", l.SourceIdentity)
	for _, key := range slices.Sorted(maps.Keys(l.Tags)) {
		add(awsAttribute+"PrincipalTag:"+key, l.Tags[key])
	}
	add(awsAttribute+"TransitiveTagKeys", l.TransitiveTags...)
	for _, name := range slices.Sorted(maps.Keys(l.Attributes)) {
		add(name, l.Attributes[name]...)
	}
	if b.Len() == 0 {
		return ""
	}
	return `<saml:AttributeStatement>` + b.String() + `</saml:AttributeStatement>`
}

// sign puts an enveloped signature behind the Issuer of an element that is
// written in canonical form.
func (i *IdP) sign(element, id string) (string, error) {
	digest := sha256.Sum256([]byte(element))
	info := `<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">` +
		`</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"></ds:SignatureMethod>` +
		`<ds:Reference URI="#` + id + `"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>` +
		`<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms>` +
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>` +
		base64.StdEncoding.EncodeToString(digest[:]) + `</ds:DigestValue></ds:Reference></ds:SignedInfo>`
	hashed := sha256.Sum256([]byte(info))
	value, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, hashed[:])
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", id, err)
	}
	info = strings.Replace(info, ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`, "", 1) // inherited
	signature := `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + info + `<ds:SignatureValue>` + lines(base64.StdEncoding.EncodeToString(value)) +
		`</ds:SignatureValue><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + base64.StdEncoding.EncodeToString(i.certificate) +
		`</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>`
	const mark = "</saml:Issuer>"
	at := strings.Index(element, mark) + len(mark)
	return element[:at] + signature + element[at:], nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// escape writes an element's text as canonical XML does.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(text)
}

// quote writes an attribute's value as canonical XML does.
func quote(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;").Replace(text)
}
