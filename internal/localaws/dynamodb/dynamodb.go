// Package dynamodb is DynamoDB on the local AWS: tables with secondary indexes,
// items with expressions, resource policies and tags.
//
// Start with [New]. Every operation finds its table through [request.table], which
// asks the gate with the table's resource policy and the condition keys that
// fine-grained access control uses (dynamodb:LeadingKeys, dynamodb:Attributes,
// dynamodb:Select). Expressions are package expression's, values package
// attribute's.
//
// Whoever reads or writes items of a table under a KMS key needs kms:Decrypt on
// it, with DynamoDB's encryption context.
//
// Tables are active at once, indexes are never late, and throughput is not
// limited. Transactions, PartiQL, streams, time to live, backups, global tables,
// and the parameters that expressions
// replaced (Expected, KeyConditions, …) are not here; requests that need them
// are refused.
package dynamodb

import (
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// New returns the DynamoDB service.
func New() *service.Service {
	s := service.New("dynamodb")
	s.Targets = []string{"ddb"} // hosts with the account's id: 111111111111.ddb.us-east-1.amazonaws.com
	write(s, "CreateTable", createTable)
	read(s, "DescribeTable", describeTable)
	read(s, "ListTables", listTables)
	write(s, "UpdateTable", updateTable)
	write(s, "DeleteTable", deleteTable)
	read(s, "DescribeTimeToLive", describeTimeToLive)
	read(s, "DescribeContinuousBackups", describeContinuousBackups)

	read(s, "GetItem", getItem)
	write(s, "PutItem", putItem)
	write(s, "UpdateItem", updateItem)
	write(s, "DeleteItem", deleteItem)
	read(s, "Query", query)
	read(s, "Scan", scan)
	read(s, "BatchGetItem", batchGetItem)
	write(s, "BatchWriteItem", batchWriteItem)

	read(s, "GetResourcePolicy", getResourcePolicy)
	write(s, "PutResourcePolicy", putResourcePolicy)
	write(s, "DeleteResourcePolicy", deleteResourcePolicy)
	write(s, "TagResource", tagResource)
	write(s, "UntagResource", untagResource)
	read(s, "ListTagsOfResource", listTagsOfResource)
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
