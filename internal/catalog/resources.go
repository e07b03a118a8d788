package catalog

import (
	"strings"

	"github.com/stile-aws/stile/arn"
)

// Everything is the resource that actions without resource-level permission need.
const Everything = "*"

// resourceType is a kind of resource of one service, told apart by the shape
// of the ARN's last component.
type resourceType struct {
	service, name string
	// is reports whether a resource component has this shape; patterns count
	// as what they begin like.
	is func(resource string) bool
	// parent and below derive this type from another: the parent's ARN, then below.
	parent, below string
}

// resourceTypes lists, for the services of the bundles, the types those
// bundles distinguish; of a service, the first type whose shape fits wins.
// Source: the "Resource types" tables of the Service Authorization Reference.
// For log groups see "Overview of managing access permissions to your
// CloudWatch Logs resources": in policies the ARN ends in ":*", and streams
// are log-group:NAME:log-stream:STREAM, which that covers too. For Lambda,
// "Resources and conditions for Lambda actions": an invocation through an alias
// or a version is authorized on the qualified ARN.
var resourceTypes = [...]resourceType{
	{service: "cloudformation", name: "stack", is: prefix("stack/")},
	{service: "dynamodb", name: "index", is: within("table/", "/index/"), parent: "table", below: "/index/*"},
	{service: "dynamodb", name: "stream", is: within("table/", "/stream/"), parent: "table", below: "/stream/*"},
	{service: "dynamodb", name: "table", is: prefix("table/")},
	{service: "ecr", name: "repository", is: prefix("repository/")},
	{service: "eks", name: "cluster", is: prefix("cluster/")},
	{service: "events", name: "event-bus", is: prefix("event-bus/")},
	{service: "kinesis", name: "consumer", is: within("stream/", "/consumer/"), parent: "stream", below: "/consumer/*"},
	{service: "kinesis", name: "stream", is: prefix("stream/")},
	{service: "kms", name: "key", is: prefix("key/")},
	{service: "lambda", name: "qualified function", is: within("function:", ":"), parent: "function", below: ":*"},
	{service: "lambda", name: "function", is: prefix("function:")},
	{service: "logs", name: "log-stream", is: within("log-group:", ":"), parent: "log-group", below: ":*"},
	{service: "logs", name: "log-group", is: prefix("log-group:")},
	{service: "s3", name: "object", is: within("", "/"), parent: "bucket", below: "/*"},
	{service: "s3", name: "bucket", is: prefix("")},
	{service: "secretsmanager", name: "secret", is: prefix("secret:")},
	{service: "sns", name: "topic", is: prefix("")},
	{service: "sqs", name: "queue", is: prefix("")},
	{service: "ssm", name: "parameter", is: prefix("parameter/")},
	{service: "states", name: "stateMachine", is: prefix("stateMachine:")},
}

func prefix(p string) func(string) bool {
	return func(resource string) bool { return strings.HasPrefix(resource, p) }
}

func within(p, infix string) func(string) bool {
	return func(resource string) bool {
		rest, ok := strings.CutPrefix(resource, p)
		return ok && strings.Contains(rest, infix)
	}
}

// TypeOf names the type of the resource that a stands for ("table", "object"),
// or "" for what the catalog does not know. A pattern has the type it begins
// like: table/Orders* is a table. Nothing with a wildcard before the name is
// known ("*", "tab*").
func TypeOf(a arn.ARN) string {
	if t := shapeOf(a); t != nil {
		return t.name
	}
	return ""
}

func shapeOf(a arn.ARN) *resourceType {
	if a.Service == "s3" && a.Region != "" {
		return nil // an access point, not a bucket
	}
	if a.Resource == "*" {
		return nil
	}
	for i := range resourceTypes {
		t := &resourceTypes[i]
		if t.service == a.Service && t.is(a.Resource) {
			return t
		}
	}
	return nil
}

// derive gives the resource of type name that belongs to a, ok false when a
// has none: an index of a table exists, a table of an index does not. What has
// no known type stands for itself, as it may cover every type.
func derive(a arn.ARN, name string) (string, bool) {
	given := shapeOf(a)
	if given == nil || given.name == name {
		return a.String(), true
	}
	for _, t := range resourceTypes {
		if t.service == a.Service && t.name == name && t.parent == given.name {
			return a.String() + t.below, true
		}
	}
	return "", false
}

// ARNService is the service component that ARNs of an action's resources carry
// where it is not the action's own prefix: sts:AssumeRole is authorized on an
// IAM role. ok is false for services the catalog does not know.
// Source: Service Authorization Reference, resource types of each service.
func ARNService(action string) (service string, ok bool) {
	prefix := ServiceOf(action)
	if prefix == "sts" {
		return "iam", true
	}
	for _, t := range resourceTypes {
		if t.service == prefix {
			return prefix, true
		}
	}
	return "", false
}
