package catalog

import (
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/policy"
)

// TypesOf lists the resource types that a may be of, going by its form: those
// of the service a names whose pattern it fits with the most text in common, so
// that arn:aws:s3:::b/k is an object and not a bucket. It is nil when none
// fits, which for services of the catalog mostly means a mistake. Placeholders
// and wildcards in a count as text.
func TypesOf(a arn.ARN) []ResourceType {
	var best []ResourceType
	most := -1
	for _, t := range ResourceTypesOf(a.Service) {
		shape, err := arn.Parse(t.Pattern())
		if err != nil || (shape.Region == "") != (a.Region == "") || (shape.Owner == "") != (a.Owner == "") || !policy.Glob(shape.Resource, a.Resource) {
			continue
		}
		switch literal := len(shape.Resource) - strings.Count(shape.Resource, "*"); {
		case literal > most:
			most, best = literal, []ResourceType{t}
		case literal == most:
			best = append(best, t)
		}
	}
	return best
}

// ARNServices lists the service components that the ARNs of an action's
// resources can carry, sorted: "iam" for sts:AssumeRole, "kafka" for
// kafka-cluster:Connect. It is nil for unknown actions and for those that work
// on "*" only; "*" among them stands for any.
func ARNServices(action string) []string {
	s, line, ok := actionLine(action)
	if !ok {
		return nil
	}
	var out []string
	each(field(line, 2), func(place int, _ bool) {
		parts := strings.SplitN(field(s.types[place], 1), ":", 4)
		if len(parts) < 4 || strings.Contains(parts[2], "${") {
			out = append(out, "*")
			return
		}
		out = append(out, parts[2])
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// PolicyTarget is a type of resource that takes a policy, and the call that
// sets it.
type PolicyTarget struct {
	Service string // as in ARNs and actions
	Type    string // as in ResourceType.Name
	Call    PolicyCall
}

// PolicyTargets lists what takes a resource policy among a service's resources
// ("s3", as in ARNs); nil when nothing is known to. A type can come twice, when
// two calls set its policy.
//
// Source: the calls of PolicyCalls, and the resource types that the Service
// Authorization Reference gives for the action of each.
func PolicyTargets(service string) []PolicyTarget {
	service = strings.ToLower(service)
	var out []PolicyTarget
	for _, c := range policyCalls {
		prefix := iamPrefix(c.Service)
		if prefix != service {
			continue
		}
		for _, name := range targetsOf(prefix, c.Set) {
			out = append(out, PolicyTarget{Service: prefix, Type: name, Call: c})
		}
	}
	return out
}

// iamPrefix is the prefix of actions and ARNs for a service's prefix in AWS's
// models, where the two differ.
func iamPrefix(model string) string {
	switch model {
	case "amp":
		return "aps"
	case "bedrock-agent":
		return "bedrock"
	case "bedrock-agentcore-control":
		return "bedrock-agentcore"
	case "cleanroomsml":
		return "cleanrooms-ml"
	case "cloudhsmv2":
		return "cloudhsm"
	case "codeguruprofiler":
		return "codeguru-profiler"
	case "efs":
		return "elasticfilesystem"
	case "apigatewayv2":
		return "apigateway"
	case "lexv2-models":
		return "lex"
	case "marketplace-catalog":
		return "aws-marketplace"
	case "migration-hub-refactor-spaces":
		return "refactor-spaces"
	case "opensearch":
		return "es"
	case "opensearchserverless":
		return "aoss"
	case "pinpoint-sms-voice-v2":
		return "sms-voice"
	case "s3control":
		return "s3"
	case "sesv2":
		return "ses"
	}
	return model
}

// targetsOf are the types whose policy a call sets: those its action is
// authorized on, where the table below does not know better.
func targetsOf(prefix, set string) []string {
	for _, t := range policyTargets {
		if t.service == prefix && t.set == set {
			return t.types
		}
	}
	a, _ := ActionOf(prefix + ":" + set)
	return a.ResourceTypes
}

// policyTargets has the calls whose action names no resource type, or others
// than the one whose policy is set. Source: API reference of each call.
var policyTargets = [...]struct {
	service, set string
	types        []string
}{
	{"ec2", "ModifyVpcEndpoint", []string{"vpc-endpoint"}},
	{"entityresolution", "PutPolicy", []string{"IdMappingWorkflow", "IdNamespace", "MatchingWorkflow", "SchemaMapping"}},
	{"events", "PutPermission", []string{"event-bus"}},
	{"mediapackagev2", "PutChannelPolicy", []string{"Channel"}},
	{"mediapackagev2", "PutOriginEndpointPolicy", []string{"OriginEndpoint"}},
	{"redshift-serverless", "PutResourcePolicy", []string{"snapshot"}},
	{"refactor-spaces", "PutResourcePolicy", []string{"environment"}},
	{"ses", "PutIdentityPolicy", []string{"identity"}},
}
