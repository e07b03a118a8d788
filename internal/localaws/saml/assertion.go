package saml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind says what is wrong with a response.
type Kind uint8

// The kinds of failures.
const (
	Invalid  Kind = iota // it cannot be read, or is not of the form that is accepted
	Unsigned             // its signature is missing or wrong
	Issuer               // it is another provider's
	Audience             // it is for somebody else
	Expired              // it is too old
	Rejected             // the provider says that sign-in failed
)

// Failure is why a response is refused. It never repeats the response.
type Failure struct {
	Kind    Kind
	Message string // AWS's text where it is known
	Cause   error  // for the operator of the local AWS; nil where Message says all
}

// Error is the message with its cause.
func (f *Failure) Error() string {
	if f.Cause != nil {
		return "verifying SAML response: " + f.Message + ": " + f.Cause.Error()
	}
	return "verifying SAML response: " + f.Message
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Cause }

func fail(kind Kind, message string, cause error) *Failure { return &Failure{kind, message, cause} }

// invalid is AWS's sentence for what it cannot use.
func invalid(cause error) *Failure {
	return fail(Invalid, "Invalid SAML response", cause)
}

// Assertion is what a verified response says.
type Assertion struct {
	Issuer  string
	Subject string // of the NameID
	// SubjectType is "persistent", "transient", or the whole format of the NameID.
	SubjectType string
	// Recipient is where the assertion was to be presented; it is what AWS's
	// condition key SAML:aud tests.
	Recipient string
	// SessionEnds is SessionNotOnOrAfter, zero where there is none.
	SessionEnds time.Time
	// Attributes are the values of each attribute, by its Name.
	Attributes map[string][]string
}

// redeemWithin is how old an assertion may be ("Token must be redeemed within 5
// minutes of issuance", API reference, AssumeRoleWithSAML), and how far ahead a
// provider's clock.
const redeemWithin = 5 * time.Minute

// Expected is who the assertion has to be for.
type Expected struct {
	// Recipients and Audiences hold the values of which one is required.
	Recipients, Audiences []string
}

// Verify checks a response, as it was in Base64, at now.
func (m *Metadata) Verify(response string, want Expected, now time.Time) (*Assertion, *Failure) {
	text, err := decode(response)
	if err != nil {
		return nil, invalid(errors.New("it is not Base64"))
	}
	root, err := parse(text, false)
	if err != nil {
		return nil, invalid(err)
	}
	assertion, err := onlyAssertion(root)
	if err != nil {
		return nil, invalid(err)
	}
	if failure := m.signed(root, assertion); failure != nil {
		return nil, failure
	}
	status := root.one(nsProtocol, "Status")
	if status == nil || status.one(nsProtocol, "StatusCode") == nil {
		return nil, invalid(errors.New("it has not one Status"))
	}
	if status.one(nsProtocol, "StatusCode").plain("Value") != "urn:oasis:names:tc:SAML:2.0:status:Success" {
		return nil, fail(Rejected, "The identity provider reported that authentication failed", nil)
	}
	if issuer := assertion.one(nsAssertion, "Issuer").value(); issuer != m.EntityID {
		return nil, fail(Issuer, "Issuer not present in specified provider", nil)
	}
	return read(assertion, want, now)
}

// onlyAssertion is the assertion of a response. Wherever else in the document an
// assertion, a response or a signature is, the document is refused: there is
// nothing then that could be taken for something else.
func onlyAssertion(root *element) (*element, error) {
	if !root.name.is(nsProtocol, "Response") || root.plain("Version") != "2.0" {
		return nil, errors.New("it is no response of SAML 2.0")
	}
	assertion := root.one(nsAssertion, "Assertion")
	if assertion == nil {
		return nil, errors.New("it has not one assertion")
	}
	if assertion.plain("Version") != "2.0" {
		return nil, errors.New("its assertion is not of SAML 2.0")
	}
	var problem error
	ids := map[string]bool{}
	root.walk(func(e *element) {
		for _, a := range e.attrs {
			if !strings.EqualFold(a.name.local, "ID") {
				continue
			}
			if ids[a.value] {
				problem = errors.New("two elements have one ID")
			}
			ids[a.value] = true
		}
		switch {
		case e.name.local == "Assertion" && e != assertion, e.name.local == "Response" && e != root, e.name.local == "EncryptedAssertion":
			problem = errors.New("it has an assertion or a response where none belongs")
		case e.name.local == "Signature" && e.parent != root && e.parent != assertion:
			problem = errors.New("it has a signature where none belongs")
		}
	})
	return assertion, problem
}

// signed verifies each signature there is; the response's or the assertion's must be.
func (m *Metadata) signed(root, assertion *element) *Failure {
	wrong := func(cause error) *Failure { return fail(Unsigned, "Response signature invalid", cause) }
	found := 0
	for _, e := range []*element{root, assertion} {
		signatures := e.all(nsSignature, "Signature")
		if len(signatures) > 1 {
			return wrong(errors.New("an element has two signatures"))
		}
		for _, sig := range signatures {
			if err := verifySignature(sig, e, m.keys); err != nil {
				return wrong(err)
			}
			found++
		}
	}
	if found == 0 {
		return wrong(errors.New("nothing is signed"))
	}
	return nil
}

// read checks the conditions of a signed assertion and takes out what it says.
func read(e *element, want Expected, now time.Time) (*Assertion, *Failure) {
	issued, err := instant(e, "IssueInstant")
	switch {
	case err != nil || issued.IsZero():
		return nil, invalid(errors.New("its IssueInstant is no time"))
	case !now.Before(issued.Add(redeemWithin)):
		return nil, fail(Expired, "Token must be redeemed within 5 minutes of issuance", nil)
	case issued.After(now.Add(redeemWithin)):
		return nil, invalid(errors.New("it was issued in the future"))
	}
	if failure := conditions(e, want, now); failure != nil {
		return nil, failure
	}
	a := &Assertion{Issuer: e.one(nsAssertion, "Issuer").value(), Attributes: map[string][]string{}}
	if failure := a.subject(e, want, now); failure != nil {
		return nil, failure
	}
	for _, statement := range e.all(nsAssertion, "AuthnStatement") {
		ends, err := instant(statement, "SessionNotOnOrAfter")
		if err != nil {
			return nil, invalid(err)
		}
		if !ends.IsZero() && (a.SessionEnds.IsZero() || ends.Before(a.SessionEnds)) {
			a.SessionEnds = ends
		}
	}
	for _, statement := range e.all(nsAssertion, "AttributeStatement") {
		for _, attr := range statement.all(nsAssertion, "Attribute") {
			for _, value := range attr.all(nsAssertion, "AttributeValue") {
				a.Attributes[attr.plain("Name")] = append(a.Attributes[attr.plain("Name")], value.value())
			}
		}
	}
	return a, nil
}

// instant is a time of an attribute, zero where there is none.
func instant(e *element, local string) (time.Time, error) {
	text, ok := e.attr("", local)
	if !ok {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is no time", local)
	}
	return t, nil
}

// during checks NotBefore and NotOnOrAfter of an element.
func during(e *element, now time.Time) *Failure {
	from, err := instant(e, "NotBefore")
	if err != nil {
		return invalid(err)
	}
	until, err := instant(e, "NotOnOrAfter")
	if err != nil {
		return invalid(err)
	}
	switch {
	case !from.IsZero() && now.Add(redeemWithin).Before(from):
		return invalid(errors.New("it is not valid yet"))
	case !until.IsZero() && !now.Before(until):
		return fail(Expired, "The assertion has expired", nil)
	}
	return nil
}

// conditions checks for whom and when an assertion is.
func conditions(e *element, want Expected, now time.Time) *Failure {
	c := e.one(nsAssertion, "Conditions")
	if c == nil {
		return invalid(errors.New("it has not one Conditions"))
	}
	if failure := during(c, now); failure != nil {
		return failure
	}
	restrictions := c.all(nsAssertion, "AudienceRestriction")
	for _, r := range restrictions { // each has to hold (SAML core, 2.5.1.4)
		if !slices.ContainsFunc(r.all(nsAssertion, "Audience"), func(a *element) bool { return slices.Contains(want.Audiences, a.value()) }) {
			return fail(Audience, "Response does not contain the required audience.", nil)
		}
	}
	if len(restrictions) == 0 {
		return fail(Audience, "Response does not contain the required audience.", nil)
	}
	return nil
}

// subject reads who is signed in, confirmed by bearer for one of the recipients.
func (a *Assertion) subject(e *element, want Expected, now time.Time) *Failure {
	subject := e.one(nsAssertion, "Subject")
	if subject == nil {
		return invalid(errors.New("it has not one Subject"))
	}
	id := subject.one(nsAssertion, "NameID")
	if a.Subject = id.value(); a.Subject == "" {
		return invalid(errors.New("its subject has no NameID"))
	}
	a.SubjectType = strings.TrimPrefix(id.plain("Format"), "urn:oasis:names:tc:SAML:2.0:nameid-format:")
	failure := fail(Audience, "Response does not contain the required recipient.", nil)
	for _, c := range subject.all(nsAssertion, "SubjectConfirmation") {
		data := c.one(nsAssertion, "SubjectConfirmationData")
		if c.plain("Method") != "urn:oasis:names:tc:SAML:2.0:cm:bearer" || data == nil || !slices.Contains(want.Recipients, data.plain("Recipient")) {
			continue
		}
		if until, _ := data.attr("", "NotOnOrAfter"); until == "" {
			failure = invalid(errors.New("its confirmation does not say until when"))
			continue
		}
		if failure = during(data, now); failure == nil {
			a.Recipient = data.plain("Recipient")
			return nil
		}
	}
	return failure
}
