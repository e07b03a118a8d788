// Package catalog is what stile knows about AWS without asking it: the actions,
// resource types and condition keys of every service, generated from AWS's
// Service Authorization Reference, and small hand-made tables of what that
// leaves out, each citing the AWS page it rests on.
//
// Start with [ActionOf], [ResourceTypesOf] and [ConditionKeyOf] for the data,
// and with [LookUp] for a grant bundle ("dynamodb/read") and
// [Bundle.Statements] for what it stands for. [Facts] is what package authz
// needs. The other tables answer one question each: [PolicyCallFor],
// [KeyUseOf], [IssuerFor], [ProbeFor], [Quotas], [AccessPolicies],
// [KnownOperator], [Regions].
//
// The data is embedded, and unpacked by the first question about it and no
// further than that question needs; a program that never asks pays nothing.
// Everything here is safe for concurrent use.
//
// These are facts about AWS's own defaults; what one account really allows
// (its raised quotas, its service control policies) is read from that account.
// The data is of one day ([DataVersion]) and the hand-made tables are not
// complete: an unknown service is just unknown, and only for actions of a known
// service does "not there" mean a mistake. Functions say so where it matters.
package catalog

import "strings"

// ServiceOf is the service prefix of an action ("dynamodb" of
// "dynamodb:GetItem"), in lower case, because IAM compares actions without
// regard to case; "" when there is none.
func ServiceOf(action string) string {
	service, _, ok := strings.Cut(action, ":")
	if !ok {
		return ""
	}
	return strings.ToLower(service)
}
