// Package service is the kernel of the local AWS: it takes an HTTP request
// through authentication, decoding, validation, the gate and the handler, and
// lets every AWS service be written as a list of typed operations.
//
// A service is a package with one New function:
//
//	// New returns the KMS service.
//	func New() *service.Service {
//		s := service.New("kms") // the model's name, see wire.Services
//		service.Register(s, "DescribeKey", service.Op[kms.DescribeKeyInput, kms.DescribeKeyOutput]{
//			ReadOnly: true,
//			Access:   describeKeyAccess,
//			Handle:   describeKey,
//		})
//		return s
//	}
//
//	// Access says what has to be allowed. It runs under the World's lock.
//	func describeKeyAccess(c *service.Call, in *kms.DescribeKeyInput) ([]gate.Access, *wire.Error) {
//		key, e := findKey(c, in.KeyId)
//		if e != nil {
//			return nil, e
//		}
//		policy, e := c.Policy(key.Policy, authz.Source{Layer: authz.LayerKey, Account: key.Account, Name: "key " + key.ID})
//		if e != nil {
//			return nil, e
//		}
//		return []gate.Access{{Action: "kms:DescribeKey", Resource: key.ARN, Account: key.Account, Policy: policy, ResourceTags: key.Tags}}, nil
//	}
//
//	// Handle runs under the same lock, after every Access was allowed.
//	func describeKey(c *service.Call, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, *wire.Error) { … }
//
// The records are a struct of package store, in a file of their own there,
// with a field on store.Account or store.State. Handlers never lock, never
// sleep, never do I/O (Prepare may) and tell the time by Call.Now. Errors are
// Call.Errorf("NotFoundException", "…") with the code of the service's model.
// A handler returns an error before it changes anything: there is no rollback.
// Where the resource is found only on the way, or its service acts for the
// caller on another (Secrets Manager on KMS), the handler asks by Call.Require.
//
// Errors for resources that a caller may not even see are the service's
// business; the kernel answers denials in AWS's words and codes.
package service
