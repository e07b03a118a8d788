package saml

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// The only algorithms accepted (XML Signature 1.1, section 6).
const (
	algExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algEnveloped = nsSignature + "enveloped-signature"
	algRSASHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	algSHA256    = "http://www.w3.org/2001/04/xmlenc#sha256"
)

// verifySignature verifies that sig, a child of signed, signs exactly the element
// signed, by one of keys. Keys in the signature itself are not looked at.
func verifySignature(sig, signed *element, keys []*rsa.PublicKey) error {
	info := sig.one(nsSignature, "SignedInfo")
	value := sig.one(nsSignature, "SignatureValue")
	if info == nil || value == nil || sig.parent != signed {
		return errors.New("the signature has not one SignedInfo and one SignatureValue")
	}
	method := info.one(nsSignature, "CanonicalizationMethod")
	algorithm := info.one(nsSignature, "SignatureMethod")
	reference := info.one(nsSignature, "Reference")
	switch {
	case method == nil || method.plain("Algorithm") != algExclusive:
		return errors.New("its canonicalization is not exclusive")
	case algorithm == nil || algorithm.plain("Algorithm") != algRSASHA256:
		return errors.New("its algorithm is not RSA with SHA-256")
	case reference == nil:
		return errors.New("it has not one reference")
	}
	if err := verifyReference(reference, sig, signed); err != nil {
		return err
	}
	raw, err := decode(value.value())
	if err != nil {
		return errors.New("its value is not Base64")
	}
	digest := sha256.Sum256(canonicalize(info, nil, inclusivePrefixes(method)))
	for _, key := range keys {
		if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) == nil {
			return nil
		}
	}
	return errors.New("no key of the metadata made it")
}

// verifyReference compares the digest of a reference with that of signed, which
// must be what it refers to.
func verifyReference(reference, sig, signed *element) error {
	id := signed.plain("ID")
	if id == "" || reference.plain("URI") != "#"+id {
		return errors.New("it signs another element than its own")
	}
	transforms := reference.one(nsSignature, "Transforms")
	method := reference.one(nsSignature, "DigestMethod")
	value := reference.one(nsSignature, "DigestValue")
	if transforms == nil || method == nil || value == nil || method.plain("Algorithm") != algSHA256 {
		return errors.New("its digest is not SHA-256 of transforms")
	}
	steps := transforms.all(nsSignature, "Transform")
	if len(steps) != 2 || steps[0].plain("Algorithm") != algEnveloped || steps[1].plain("Algorithm") != algExclusive {
		return errors.New("its transforms are not the enveloped signature and exclusive canonicalization")
	}
	want, err := decode(value.value())
	if err != nil {
		return errors.New("its digest is not Base64")
	}
	got := sha256.Sum256(canonicalize(signed, sig, inclusivePrefixes(steps[1])))
	if subtle.ConstantTimeCompare(got[:], want) != 1 {
		return errors.New("the signed element was changed")
	}
	return nil
}

// inclusivePrefixes are those that a canonicalization declares in any case;
// #default is the default namespace.
func inclusivePrefixes(method *element) []string {
	list := method.one(algExclusive, "InclusiveNamespaces")
	if list == nil {
		return nil
	}
	prefixes := strings.Fields(list.plain("PrefixList"))
	for i := range prefixes {
		if prefixes[i] == "#default" {
			prefixes[i] = ""
		}
	}
	return prefixes
}

// decode reads Base64 that may be broken into lines.
func decode(text string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
}
