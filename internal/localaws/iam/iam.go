// Package iam is IAM: roles, users, groups, policies, access keys and identity
// providers of the local AWS.
package iam

import "github.com/stile-aws/stile/internal/localaws/service"

// New returns the service.
func New() *service.Service {
	return service.New("iam")
}
