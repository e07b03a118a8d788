// Package saml is the service provider's end of SAML 2.0 in the embedded AWS: it
// reads the metadata of an identity provider and verifies its responses before
// STS hands out credentials for them.
//
// Start with [ParseMetadata] and [Metadata.Verify]. A document is parsed once,
// into a tree; signatures are computed over that tree, and what is read is read
// from the very element whose digest was signed, so that no copy of it can be
// slipped in elsewhere (signature wrapping). Everything but the narrow form that
// identity providers send to AWS is refused: one response with one assertion,
// enveloped signatures of the response or of the assertion, exclusive
// canonicalization, RSA with SHA-256; no document types, comments, processing
// instructions or encrypted assertions.
//
// The package does not know IAM: which role may be assumed is in the Assertion,
// whether it may be is the trust policy's business. It is not the identity
// provider; one for tests is in package samltest.
//
// Sources: SAML core 2.0; XML Signature 1.1; Exclusive XML Canonicalization 1.0;
// IAM user guide, "Configure SAML assertions for the authentication response".
package saml
