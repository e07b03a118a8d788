package catalog

import (
	"slices"
	"strings"
)

// ConditionOperators lists IAM's condition operators without prefix and
// suffix, as AWS spells them.
// Source: IAM guide reference_policies_elements_condition_operators.
func ConditionOperators() []string { return slices.Clone(conditionOperators[:]) }

// KnownOperator reports whether op is a condition operator, with a set prefix
// ("ForAnyValue:") and "IfExists" where IAM admits them. Letter case does not
// count, as IAM's own parser does not count it.
func KnownOperator(op string) bool {
	base := op
	for _, set := range []string{"ForAllValues:", "ForAnyValue:"} {
		if len(base) > len(set) && strings.EqualFold(base[:len(set)], set) {
			base = base[len(set):]
			break
		}
	}
	const suffix = "IfExists"
	if len(base) > len(suffix) && strings.EqualFold(base[len(base)-len(suffix):], suffix) {
		base = base[:len(base)-len(suffix)]
		if strings.EqualFold(base, "Null") {
			return false // "You can add IfExists to the end of any condition operator name except the Null condition"
		}
	}
	return slices.ContainsFunc(conditionOperators[:], func(k string) bool { return strings.EqualFold(k, base) })
}

var conditionOperators = [...]string{
	"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike",
	"BinaryEquals", "Bool",
	"DateEquals", "DateGreaterThan", "DateGreaterThanEquals", "DateLessThan", "DateLessThanEquals", "DateNotEquals",
	"IpAddress", "NotIpAddress", "Null",
	"NumericEquals", "NumericGreaterThan", "NumericGreaterThanEquals", "NumericLessThan", "NumericLessThanEquals", "NumericNotEquals",
	"StringEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike",
}

// Regions lists the Regions this version knows. New ones open every year, so a
// name that is not here may still be right: see [RegionShaped].
// Source: AWS General Reference, "AWS Regions", with the China, GovCloud and
// European Sovereign Cloud partitions.
func Regions() []string { return slices.Clone(regions[:]) }

var regions = [...]string{
	"af-south-1",
	"ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
	"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
	"ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1",
	"eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "eusc-de-east-1",
	"il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1",
	"us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2",
}

// RegionShaped reports whether s has the form of a Region's name: words of
// lower-case letters joined by hyphens, then a number ("us-gov-east-1").
func RegionShaped(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) < 3 || len(s) > 32 {
		return false
	}
	last := len(parts) - 1
	for i, p := range parts {
		letters := strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") == ""
		digits := strings.Trim(p, "0123456789") == ""
		if p == "" || (i == last && !digits) || (i < last && !letters) {
			return false
		}
	}
	return true
}

// Partition is the partition a Region belongs to, by the beginning of its name.
// Source: AWS General Reference, "Amazon Resource Names (ARNs)".
func Partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "eusc-"):
		return "aws-eusc"
	case strings.HasPrefix(region, "us-iso-"):
		return "aws-iso"
	case strings.HasPrefix(region, "us-isob-"):
		return "aws-iso-b"
	case strings.HasPrefix(region, "eu-isoe-"):
		return "aws-iso-e"
	case strings.HasPrefix(region, "us-isof-"):
		return "aws-iso-f"
	}
	return "aws"
}

// AccessPolicies lists the names of EKS access policies, each
// arn:aws:eks::aws:cluster-access-policy/NAME.
// Source: EKS guide access-policy-reference; eks:ListAccessPolicies at run time
// may know more.
func AccessPolicies() []string { return slices.Clone(accessPolicies[:]) }

var accessPolicies = [...]string{
	"AmazonEKSAdminPolicy", "AmazonEKSAdminViewPolicy", "AmazonEKSAutoNodePolicy",
	"AmazonEKSBlockStorageClusterPolicy", "AmazonEKSBlockStoragePolicy",
	"AmazonEKSClusterAdminPolicy", "AmazonEKSComputeClusterPolicy", "AmazonEKSComputePolicy",
	"AmazonEKSEditPolicy", "AmazonEKSHybridPolicy",
	"AmazonEKSLoadBalancingClusterPolicy", "AmazonEKSLoadBalancingPolicy",
	"AmazonEKSNetworkingClusterPolicy", "AmazonEKSNetworkingPolicy",
	"AmazonEKSSecretReaderPolicy", "AmazonEKSViewPolicy",
}
