package saml

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// minKeyBits is the smallest key that is believed.
const minKeyBits = 2048

// Metadata is what an identity provider says of itself.
type Metadata struct {
	// EntityID is the issuer of its assertions.
	EntityID string
	// ValidUntil is until when the document says to be good; zero: it does not say.
	ValidUntil time.Time

	keys []*rsa.PublicKey
}

// ParseMetadata reads the metadata of an identity provider: an EntityDescriptor
// with an IDPSSODescriptor and at least one certificate for signing. The
// certificates' own dates do not count, as for AWS.
func ParseMetadata(text string) (*Metadata, error) {
	m, err := parseMetadata(text)
	if err != nil {
		return nil, fmt.Errorf("parsing SAML metadata: %w", err)
	}
	return m, nil
}

func parseMetadata(text string) (*Metadata, error) {
	root, err := parse([]byte(text), true)
	if err != nil {
		return nil, err
	}
	descriptor := root.one(nsMetadata, "IDPSSODescriptor")
	m := &Metadata{EntityID: root.plain("entityID")}
	switch {
	case !root.name.is(nsMetadata, "EntityDescriptor"):
		return nil, errors.New("it is no EntityDescriptor")
	case m.EntityID == "":
		return nil, errors.New("it has no entityID")
	case descriptor == nil:
		return nil, errors.New("it has not one IDPSSODescriptor")
	}
	if until, ok := root.attr("", "validUntil"); ok {
		if m.ValidUntil, err = time.Parse(time.RFC3339, until); err != nil {
			return nil, fmt.Errorf("its validUntil is no time: %w", err)
		}
	}
	for _, key := range descriptor.all(nsMetadata, "KeyDescriptor") {
		if use := key.plain("use"); use != "" && use != "signing" {
			continue
		}
		found, err := certificates(key)
		if err != nil {
			return nil, err
		}
		m.keys = append(m.keys, found...)
	}
	if len(m.keys) == 0 {
		return nil, errors.New("it has no certificate for signing")
	}
	return m, nil
}

func certificates(key *element) ([]*rsa.PublicKey, error) {
	var keys []*rsa.PublicKey
	for _, info := range key.all(nsSignature, "KeyInfo") {
		for _, data := range info.all(nsSignature, "X509Data") {
			for _, c := range data.all(nsSignature, "X509Certificate") {
				k, err := publicKey(c.value())
				if err != nil {
					return nil, err
				}
				keys = append(keys, k)
			}
		}
	}
	return keys, nil
}

func publicKey(text string) (*rsa.PublicKey, error) {
	der, err := decode(text)
	if err != nil {
		return nil, errors.New("a certificate is not Base64")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("a certificate cannot be read: %w", err)
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minKeyBits {
		return nil, fmt.Errorf("a certificate's key is not RSA of %d bits or more", minKeyBits)
	}
	return key, nil
}
