package policy_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stile-aws/stile/internal/growth"
	"github.com/stile-aws/stile/policy"
)

// repeat joins n texts that make gives by their number.
func repeat(n int, separator string, make func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(make(i))
	}
	return b.String()
}

// hostileDocuments are texts whose size grows with n, each of one kind of
// excess. Some are policies, some are broken.
func hostileDocuments() map[string]func(n int) string {
	statement := func(body string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + body + `}]}`
	}
	number := func(format string) func(n int) string {
		return func(n int) string {
			return repeat(n, ",", func(i int) string { return fmt.Sprintf(format, i) })
		}
	}
	in := func(before string, list func(n int) string, after string) func(n int) string {
		return func(n int) string { return before + list(n) + after }
	}
	const action = `"Action":"s3:GetObject","Resource":"*"`
	return map[string]func(n int) string{
		"open brackets":       func(n int) string { return strings.Repeat("[", n) },
		"open objects":        func(n int) string { return strings.Repeat(`{"Statement":`, n) },
		"brackets":            func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) },
		"white space":         func(n int) string { return strings.Repeat(" \n", n) },
		"empty lists":         in("[", number("[]"), "]"),
		"unknown elements":    in("{", number(`"Statemant%d":1`), "}"),
		"repeated elements":   func(n int) string { return "{" + strings.Repeat(`"Version":"2012-10-17",`, n) + `"Statement":[]}` },
		"an open string":      func(n int) string { return `{"Version":"` + strings.Repeat("a", n) },
		"escapes":             func(n int) string { return statement(`"Action":"` + strings.Repeat(`\u0041`, n) + `"`) },
		"broken escapes":      func(n int) string { return statement(`"Action":"` + strings.Repeat(`\ud800`, n) + `"`) },
		"a long number":       func(n int) string { return statement(`"Action":` + strings.Repeat(`1`, n)) },
		"a broken number":     func(n int) string { return statement(`"Action":1e` + strings.Repeat(`e`, n)) },
		"a long effect":       func(n int) string { return `{"Statement":{"Effect":"` + strings.Repeat(`a`, n) + `","Action":"*"}}` },
		"statements":          in(`{"Version":"2012-10-17","Statement":[`, number(`{"Sid":"S%d","Effect":"Allow","Action":"s3:Get","Resource":"*"}`), "]}"),
		"statements alike":    in(`{"Version":"2012-10-17","Statement":[`, number(`{"Sid":"S","Effect":"Allow","Action":"s3:Get","Resource":"x%[1]d"}`), "]}"),
		"statements of 1":     in(`{"Statement":[`, func(n int) string { return strings.Repeat("1,", n) + "1" }, "]}"),
		"bad statements":      in(`{"Statement":[`, number(`{"Efect":%d}`), "]}"),
		"actions":             in(statementBefore+`"Resource":"*","Action":[`, number(`"s3:Get%d"`), "]}]}"),
		"bad actions":         in(statementBefore+`"Resource":"*","Action":[`, number(`"Get:%d:x"`), "]}]}"),
		"numbers as actions":  in(statementBefore+`"Resource":"*","Action":[`, number(`%d`), "]}]}"),
		"a long action":       func(n int) string { return statement(`"Action":"` + strings.Repeat("*s", n) + `","Resource":"*"`) },
		"sts in wildcards":    in(statementBefore+`"Principal":"*","Action":[`, number(`"sts:*a*s*s*u*m*e*%d*"`), "]}]}"),
		"misspelt sts":        in(statementBefore+`"Principal":"*","Action":[`, number(`"sts:AssumeRoleWithWebIdendity%d"`), "]}]}"),
		"resources":           in(statementBefore+`"Action":"*","Resource":[`, number(`"arn:aws:iam::111111111111:role/r%d"`), "]}]}"),
		"bad resources":       in(statementBefore+`"Action":"*","Resource":[`, number(`"arn:awz:iam::111111111111:role/r%d"`), "]}]}"),
		"a resource of colon": func(n int) string { return statement(`"Action":"*","Resource":"` + strings.Repeat(":", n) + `"`) },
		"principals":          in(statementBefore+`"Action":"*","Principal":{"AWS":[`, number(`"arn:aws:iam::111111111111:role/r%d"`), "]}}]}"),
		"bad principals":      in(statementBefore+`"Action":"*","Principal":{"AWS":[`, number(`"r%d"`), "]}}]}"),
		"principals of 2 types": func(n int) string {
			return statementBefore + `"Action":"*","Principal":{"AWS":[` + number(`"r%d"`)(n) + `],"Service":[` + number(`"s%d"`)(n) + "]}}]}"
		},
		"types of principal": in(statementBefore+`"Action":"*","Principal":{`, number(`"AWS%d":"*"`), "}}]}"),
		"operators":          in(statementBefore+action+`,"Condition":{`, number(`"StringEqualz%d":{"k":"v"}`), "}}]}"),
		"operators of sets":  in(statementBefore+action+`,"Condition":{`, number(`"ForAnyValues::StringEqualz%d":{"k":"v"}`), "}}]}"),
		"empty operators":    in(statementBefore+action+`,"Condition":{`, number(`"Bool%d":{}`), "}}]}"),
		"keys":               in(statementBefore+action+`,"Condition":{"StringEquals":{`, number(`"aws:PrincipalTag/t%d":"v"`), "}}}]}"),
		"keys that repeat":   in(statementBefore+action+`,"Condition":{"StringEquals":{`, func(n int) string { return strings.Repeat(`"k":"v",`, n) + `"k":"v"` }, "}}}]}"),
		"values":             in(statementBefore+action+`,"Condition":{"StringEquals":{"k":[`, number(`"v%d"`), "]}}}]}"),
		"bad dates":          in(statementBefore+action+`,"Condition":{"DateEquals":{"k":[`, number(`"2026-%d"`), "]}}}]}"),
		"null values":        in(statementBefore+action+`,"Condition":{"DateEquals":{"k":[`, func(n int) string { return strings.Repeat("null,", n) + "null" }, "]}}}]}"),
		"sids":               func(n int) string { return statement(`"Sid":"` + strings.Repeat("- ", n) + `",` + action) },
		"not UTF-8":          func(n int) string { return `{"Statement":"` + strings.Repeat("é", n) + "\xff\"}" },
	}
}

const statementBefore = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`

func TestHostileDocumentsCostLinearTime(t *testing.T) {
	for name, text := range hostileDocuments() {
		t.Run(name, func(t *testing.T) {
			growth.Check(t, 100, func(n int) func() {
				src := []byte(text(n))
				return func() {
					if _, err := policy.Parse(src); err != nil {
						_ = err.Error()
						_ = err.(policy.Errors).AWS(policy.Trust)
					}
				}
			})
			for _, use := range uses {
				growth.Check(t, 100*use.size, func(n int) func() {
					d, err := policy.Parse([]byte(text(n)))
					return func() {
						if err == nil {
							use.of(d)
						}
					}
				})
			}
		})
	}
}

// uses are what the package does with documents; of those that do little, on
// larger ones.
var uses = []struct {
	size int
	of   func(d *policy.Document)
}{
	{3, func(d *policy.Document) { d.JSON() }},
	{1, func(d *policy.Document) { policy.Canonical(d) }},
	{1, func(d *policy.Document) { policy.SameGrants(d, d.WithoutSid("S")) }},
	{1, func(d *policy.Document) { validate(d, policy.Identity) }},
	{1, func(d *policy.Document) { validate(d, policy.Trust) }},
	{1, func(d *policy.Document) { validate(d, policy.RCP) }},
}

func validate(d *policy.Document, kind policy.Kind) {
	errs := policy.Validate(d, kind)
	_ = errs.Error()
	_ = errs.AWS(kind)
}

// A node of the tree takes some 100 bytes where its text has two, and lists
// grow by doubling.
func TestHostileDocumentsTakeMemoryInProportion(t *testing.T) {
	const perByte = 400
	for name, text := range hostileDocuments() {
		src := []byte(text(20_000))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = policy.Parse(src)
		runtime.ReadMemStats(&after)
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(perByte*len(src)); got > limit {
			t.Errorf("%s: Parse of %d bytes allocates %d, want at most %d", name, len(src), got, limit)
		}
	}
}
