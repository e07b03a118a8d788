package verify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/authz"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/verify"
)

func TestCan(t *testing.T) {
	const table = "arn:aws:dynamodb:us-east-1:222222222222:table/Orders"
	for _, test := range []struct {
		name, caseOf, who, action, resource string
		context                             map[string][]string
		want                                authz.Outcome
		hops, uses                          int
	}{
		{"a pod reads the table", "webidentity", "serviceaccount:ci/payroll/api", "dynamodb:GetItem", table, nil, authz.Allowed, 1, 1},
		{"a pod does not write it", "webidentity", "serviceaccount:ci/payroll/api", "dynamodb:PutItem", table, nil, authz.ImplicitDeny, 1, 1},
		{"a pod goes through the hub", "chain", "serviceaccount:ci/ci-namespace/ci-serviceaccount", "eks:DescribeCluster", "arn:aws:eks:us-east-1:333333333333:cluster/x", nil, authz.Allowed, 3, 1},
		{"the role itself", "webidentity", "orders-prod/payroll-api", "dynamodb:GetItem", table, nil, authz.Allowed, 0, 1},
		{"the role by account id", "webidentity", "222222222222/payroll-api", "dynamodb:GetItem", table, nil, authz.Allowed, 0, 1},
		{"a caller by its ARN over its route", "assumerole", "arn:aws:iam::111111111111:role/ci/deploy", "dynamodb:GetItem", table, nil, authz.Allowed, 1, 1},
		{"a secret takes its key too", "resourcepolicy", app, "secretsmanager:GetSecretValue", secretARN, map[string][]string{"secretsmanager:VersionStage": {"AWSCURRENT"}}, authz.Allowed, 0, 2},
		{"a secret by the pattern it is declared by", "resourcepolicy", app, "secretsmanager:GetSecretValue", secretAny, map[string][]string{"secretsmanager:VersionStage": {"AWSCURRENT"}}, authz.Allowed, 0, 2},
		{"what the caller sends decides", "resourcepolicy", app, "secretsmanager:GetSecretValue", secretARN, nil, authz.Unknown, 0, 2},
		{"the key alone, without the service", "resourcepolicy", app, "kms:Decrypt", keyARN, nil, authz.ImplicitDeny, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.caseOf)
			who, err := access.ParseAddress(test.who)
			if err != nil {
				t.Fatal(err)
			}
			got, err := verify.Can(c.Set, c.w, c.inv, verify.Query{
				Who: who, Action: test.action, Resource: test.resource, Context: test.context, Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
			})
			if err != nil {
				t.Fatal(err)
			}
			best := got.Ways[0]
			if got.Outcome != test.want || best.Outcome() != test.want {
				t.Errorf("Can = %v, want %v: %s", got.Outcome, test.want, best.Uses[0].Decision.Text())
			}
			if len(best.Hops) != test.hops || len(best.Uses) != test.uses {
				t.Errorf("best way has %d hops and %d uses, want %d and %d", len(best.Hops), len(best.Uses), test.hops, test.uses)
			}
		})
	}
}

func TestCanFindsNobody(t *testing.T) {
	c := load(t, "webidentity")
	orders := c.inv.Accounts["222222222222"]
	orders.Complete = true
	orders.Roles["reader"] = &inventory.Role{ARN: "arn:aws:iam::222222222222:role/reader", Name: "reader", Path: "/"}
	for who, hint := range map[string]string{
		"serviceaccount:ci/payroll/other":                 "",
		"serviceaccount:ci/payroll/apii":                  "did you mean serviceaccount:ci/payroll/api?",
		"orders-prod/nobody":                              "neither declared nor observed",
		"orders-prod/payrol-api":                          "did you mean payroll-api?",
		"order-prod/payroll-api":                          `there is no account "order-prod"; did you mean orders-prod?`,
		"arn:aws:iam::222222222222:role/stile/payrol-api": "account 222222222222 has no such role; did you mean payroll-api?",
		"arn:aws:iam::222222222222:role/elsewhere/reader": "the role of that name is arn:aws:iam::222222222222:role/reader",
		"arn:aws:iam::222222222222:user/nobody":           "account 222222222222 has no such user",
	} {
		address, err := access.ParseAddress(who)
		if err != nil {
			t.Fatal(err)
		}
		_, err = verify.Can(c.Set, c.w, c.inv, verify.Query{Who: address, Action: "s3:GetObject", Resource: "*"})
		if !errors.Is(err, verify.ErrNoWay) || !strings.Contains(err.Error(), hint) {
			t.Errorf("Can(%s) = %v, want %v and %q", who, err, verify.ErrNoWay, hint)
		}
	}
	root, err := access.ParseAddress("arn:aws:s3:::bucket")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Can(nil, nil, nil, verify.Query{Who: root, Action: "s3:GetObject", Resource: "*"}); err == nil || !strings.Contains(err.Error(), "want a role") {
		t.Errorf("Can(a bucket) = %v, want an error that says what is wanted", err)
	}
}
