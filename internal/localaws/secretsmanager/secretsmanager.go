// Package secretsmanager is Secrets Manager on the local AWS: secrets with
// versions and staging labels, resource policies and tags, each value really
// encrypted by KMS.
//
// Start with [New]. Every operation finds its secret through [request.secret],
// which asks the gate with the secret's resource policy; reading and writing
// values asks again for the KMS key, on the caller's behalf, as AWS does. A
// secret under the key aws/secretsmanager therefore cannot be read from another
// account, whatever its policy says.
//
// Rotation, replication to other Regions and secrets that other services
// manage are not here.
package secretsmanager

import (
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the Secrets Manager service.
func New() *service.Service {
	s := service.New("secretsmanager")
	write(s, "CreateSecret", createSecret)
	read(s, "DescribeSecret", describeSecret)
	write(s, "UpdateSecret", updateSecret)
	write(s, "DeleteSecret", deleteSecret)
	write(s, "RestoreSecret", restoreSecret)
	read(s, "ListSecrets", listSecrets)

	read(s, "GetSecretValue", getSecretValue)
	read(s, "BatchGetSecretValue", batchGetSecretValue)
	write(s, "PutSecretValue", putSecretValue)
	write(s, "UpdateSecretVersionStage", updateSecretVersionStage)
	read(s, "ListSecretVersionIds", listSecretVersionIDs)

	read(s, "GetResourcePolicy", getResourcePolicy)
	write(s, "PutResourcePolicy", putResourcePolicy)
	write(s, "DeleteResourcePolicy", deleteResourcePolicy)
	read(s, "ValidateResourcePolicy", validateResourcePolicy)

	write(s, "TagResource", tagResource)
	write(s, "UntagResource", untagResource)
	read(s, "GetRandomPassword", getRandomPassword)
	return s
}

// handler is an operation that asks the gate itself.
type handler[I, O any] func(c *service.Call, in *I) (*O, *wire.Error)

func read[I, O any](s *service.Service, name string, handle handler[I, O]) {
	service.Register(s, name, service.Op[I, O]{ReadOnly: true, Asks: true, Handle: handle})
}

func write[I, O any](s *service.Service, name string, handle handler[I, O]) {
	service.Register(s, name, service.Op[I, O]{Asks: true, Handle: handle})
}
