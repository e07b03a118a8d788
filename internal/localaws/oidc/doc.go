// Package oidc is both ends of web identity in the embedded AWS: the issuer
// that every EKS cluster has, and the check that STS makes of a token before
// it hands out credentials.
//
// An [Issuer] holds a cluster's signing keys, serves the discovery document
// and the key set as EKS does, and makes Kubernetes service-account tokens for
// any audience, lifetime and time of issue. A [Verifier] takes a token from
// anybody, finds the issuer's keys by discovery through a fetcher it is given,
// and returns [Claims] or a [Failure] that says which rule was broken.
//
// The package does not know IAM: the caller picks the registered OIDC provider
// by [PeekIssuer] and passes its URL and client ids; conditions on sub and aud
// are the trust policy's business.
//
// Where AWS's rules were measured by others they are followed (algorithms,
// required claims, azp, key ids). Three differences, all on the refusing side:
// an object with the same member twice is refused, where AWS takes the last;
// a token's expiry has no tolerance unless it is configured, where AWS was
// seen to allow five minutes; private and loopback addresses are not fetched
// for issuers elsewhere.
package oidc
