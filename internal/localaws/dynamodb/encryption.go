package dynamodb

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// via is the request for the table's key, with the encryption context that key
// policies can name. Source: DynamoDB guide encryption.usagenotes, "DynamoDB
// encryption context".
func via(t *store.Table) kms.Via {
	return kms.Via{Service: "dynamodb.amazonaws.com", Context: map[string]string{
		"aws:dynamodb:tableName": t.Name, "aws:dynamodb:subscriberId": string(t.Account),
	}}
}

// encrypt puts t under the key that a request asks for: one that AWS owns, the
// managed key aws/dynamodb, or a customer managed key that the caller may look
// at, decrypt with and grant to DynamoDB.
func encrypt(c *service.Call, t *store.Table, spec *types.SSESpecification) *wire.Error {
	if spec == nil {
		return nil
	}
	ref := aws.ToString(spec.KMSMasterKeyId)
	switch {
	case !aws.ToBool(spec.Enabled) && ref != "":
		return c.Errorf("ValidationException", "One or more parameter values were invalid: KMSMasterKeyId is given, and SSE is not enabled")
	case !aws.ToBool(spec.Enabled):
		t.KMSKey = ""
		return nil
	case ref == "":
		t.KMSKey = kms.ManagedKey(c, c.World.Accounts[t.Account], "dynamodb").ARN().String()
		return nil
	}
	key, e := kms.Reference(c, t.Account, ref)
	if e != nil {
		return c.Errorf("ValidationException", "KMS validation error: %s", e.Message)
	}
	for _, action := range []string{"kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt"} {
		if e := allowed(c, t, action, key); e != nil {
			return e
		}
	}
	t.KMSKey = key.String()
	return nil
}

// usesKey reports whether an operation reads or writes items.
func usesKey(operation string) bool {
	switch operation {
	case "BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem":
		return true
	}
	return false
}

// mayDecrypt asks whether the caller may use the key of a table's items.
func mayDecrypt(c *service.Call, t *store.Table) *wire.Error {
	if t.KMSKey == "" {
		return nil
	}
	key, err := arn.Parse(t.KMSKey)
	if err != nil {
		return c.Errorf("InternalServerError", "the key of table %s has no ARN: %v", t.Name, err)
	}
	return allowed(c, t, "kms:Decrypt", key)
}

func allowed(c *service.Call, t *store.Table, action string, key arn.ARN) *wire.Error {
	e := kms.Allowed(c, action, key, via(t))
	if e == nil || e.Code == "AccessDeniedException" {
		return e
	}
	return c.Errorf("AccessDeniedException", "KMS key access denied: %s", e.Message)
}

func sseDescription(t *store.Table) *types.SSEDescription {
	if t.KMSKey == "" {
		return nil
	}
	return &types.SSEDescription{Status: types.SSEStatusEnabled, SSEType: types.SSETypeKms, KMSMasterKeyArn: &t.KMSKey}
}
