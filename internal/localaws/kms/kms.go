// Package kms is the Key Management Service of the local AWS: symmetric keys
// with real AES-GCM, aliases, key policies, grants and tags.
//
// Start with [New], which gives the service its operations. Every operation
// goes through [use] or one of its relatives: they resolve the key as AWS does
// (ids and alias names in the caller's account, ARNs anywhere), ask the gate
// with the key policy and the grants, and only then say that a key does not exist.
//
// Services that encrypt for their callers use [ManagedKey], [Seal] and [Open].
//
// There are no asymmetric, HMAC, multi-Region or imported keys and no custom
// key stores: CreateKey refuses them. Keys are not rotated in fact, for nobody
// can see it.
package kms

import (
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the KMS service.
func New() *service.Service {
	s := service.New("kms")
	registerKeys(s)
	registerCrypto(s)
	return s
}

func registerKeys(s *service.Service) {
	write(s, "CreateKey", createKey)
	write(s, "DescribeKey", describeKey) // makes AWS managed keys
	read(s, "ListKeys", listKeys)
	write(s, "EnableKey", enableKey)
	write(s, "DisableKey", disableKey)
	write(s, "ScheduleKeyDeletion", scheduleKeyDeletion)
	write(s, "CancelKeyDeletion", cancelKeyDeletion)
	write(s, "UpdateKeyDescription", updateKeyDescription)
	read(s, "GetKeyRotationStatus", getKeyRotationStatus)
	write(s, "EnableKeyRotation", enableKeyRotation)
	write(s, "DisableKeyRotation", disableKeyRotation)

	read(s, "GetKeyPolicy", getKeyPolicy)
	write(s, "PutKeyPolicy", putKeyPolicy)
	read(s, "ListKeyPolicies", listKeyPolicies)

	write(s, "CreateAlias", createAlias)
	write(s, "UpdateAlias", updateAlias)
	write(s, "DeleteAlias", deleteAlias)
	read(s, "ListAliases", listAliases)

	write(s, "TagResource", tagResource)
	write(s, "UntagResource", untagResource)
	read(s, "ListResourceTags", listResourceTags)

	write(s, "CreateGrant", createGrant)
	read(s, "ListGrants", listGrants)
	read(s, "ListRetirableGrants", listRetirableGrants)
	write(s, "RevokeGrant", revokeGrant)
	write(s, "RetireGrant", retireGrant)
}

func registerCrypto(s *service.Service) {
	read(s, "Encrypt", encrypt)
	read(s, "Decrypt", decrypt)
	read(s, "ReEncrypt", reEncrypt)
	read(s, "GenerateDataKey", generateDataKey)
	read(s, "GenerateDataKeyWithoutPlaintext", generateDataKeyWithoutPlaintext)
	read(s, "GenerateRandom", generateRandom)
}

// handler is an operation that asks the gate itself.
type handler[I, O any] func(c *service.Call, in *I) (*O, *wire.Error)

func read[I, O any](s *service.Service, name string, handle handler[I, O]) {
	service.Register(s, name, service.Op[I, O]{ReadOnly: true, Asks: true, Handle: handle})
}

func write[I, O any](s *service.Service, name string, handle handler[I, O]) {
	service.Register(s, name, service.Op[I, O]{Asks: true, Handle: handle})
}
