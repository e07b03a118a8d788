package stile

import (
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
)

type clientKey struct {
	kind reflect.Type
	configKey
	self bool
}

// Client gives the one client of a service for an account, role and Region; the
// last three mean what they mean to [Pool.Config]. newFromConfig is the service
// package's NewFromConfig:
//
//	tables, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, "orders-prod", "", "eu-west-1")
//
// The client is made on first use and then shared, so give options to single
// calls and not to the client. Clients are told apart by their type: pass the
// same function for the same type.
func Client[C, O any](ctx context.Context, p *Pool, newFromConfig func(aws.Config, ...func(*O)) *C, account, role, region string) (*C, error) {
	key := clientKey{kind: reflect.TypeFor[C](), configKey: configKey{account, role, region}}
	if c, ok := p.clients.get(key); ok {
		return c.(*C), nil
	}
	id, err := p.accounts.resolve(ctx, account)
	if err != nil {
		return nil, err
	}
	key.account = string(id)
	if c, ok := p.clients.get(key); ok {
		return c.(*C), nil
	}
	cfg, err := p.Config(ctx, key.account, role, region)
	if err != nil {
		return nil, err
	}
	return p.clients.put(key, newFromConfig(cfg)).(*C), nil
}

// SelfClient gives the one client of a service as the service itself; region may
// be "", as for [Pool.Self].
func SelfClient[C, O any](p *Pool, newFromConfig func(aws.Config, ...func(*O)) *C, region string) *C {
	key := clientKey{kind: reflect.TypeFor[C](), configKey: configKey{region: region}, self: true}
	if c, ok := p.clients.get(key); ok {
		return c.(*C)
	}
	return p.clients.put(key, newFromConfig(p.Self(region))).(*C)
}
