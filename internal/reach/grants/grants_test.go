package grants_test

import (
	"slices"
	"testing"

	"github.com/stile-aws/stile/internal/reach/digraph"
	"github.com/stile-aws/stile/internal/reach/grants"
	"github.com/stile-aws/stile/policy"
)

func TestCandidates(t *testing.T) {
	documents := []string{ // of principals 0, 1, …
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::reports/a"}`,
		`{"Effect":"Allow","Action":"S3:get*","Resource":"arn:aws:s3:::reports/*"}`,
		`{"Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"s3:GetObject","Resource":"*"}`,
		`{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::reports/a"}`,
		`{"Effect":"Allow","NotAction":"s3:GetObject","Resource":"arn:aws:s3:::reports/a"}`,
		`{"Effect":"Allow","Action":"s3:GetObject","NotResource":"arn:aws:s3:::reports/a"}`,
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::${aws:username}/a"}`,
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3"}`,
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::other/a","arn:aws:s3:::r?ports/a"]}`,
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}`,
	}
	var x grants.Index
	for i, text := range documents {
		doc, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		x.Add(digraph.Vertex(i), doc)
	}
	x.AddUnknown(99)
	for _, c := range []struct {
		action, resource string
		want             []digraph.Vertex
	}{
		{"s3:getobject", "arn:aws:s3:::reports/a", []digraph.Vertex{0, 1, 2, 5, 6, 7, 8, 9, 99}},
		{"s3:putobject", "arn:aws:s3:::reports/a", []digraph.Vertex{2, 4, 5, 99}},
		{"s3:getobject", "arn:aws:s3:::nothing/b", []digraph.Vertex{2, 6, 8, 99}},
		{"iam:createuser", "*", []digraph.Vertex{2, 99}},
	} {
		var got []digraph.Vertex
		x.Candidates(c.action, c.resource, func(n digraph.Vertex) { got = append(got, n) })
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, c.want) {
			t.Errorf("Candidates(%s, %s) = %v, want %v", c.action, c.resource, got, c.want)
		}
	}
}

func TestSupersetCoversWhatAResourceDescribes(t *testing.T) {
	for _, c := range []struct {
		resource, want string
		exact          bool
	}{
		{"arn:aws:iam::111111111111:role/a", "arn:aws:iam::111111111111:role/a", true},
		{"arn:aws:iam::*:role/a", "arn:aws:iam::*:role/a", false},
		{"**", "*", false}, {"*", "*", false}, {"arn:aws:iam", "*", false},
		{"arn:aws:s3:::${aws:username}/${aws:PrincipalTag/x, 'y'}", "arn:aws:s3:::*/*", false},
		{"arn:aws:s3:::${aws:username", "arn:aws:s3:::*", false},
	} {
		if got, exact := grants.Superset(c.resource); got != c.want || exact != c.exact {
			t.Errorf("Superset(%q) = %q, %v, want %q, %v", c.resource, got, exact, c.want, c.exact)
		}
	}
}
