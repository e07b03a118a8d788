package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/policy"
)

func mustParse(t testing.TB, src string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(src))
	if err != nil {
		t.Fatalf("Parse(%s): %v", src, err)
	}
	return d
}

const everything = `{
  "Version": "2012-10-17",
  "Id": "all-of-it",
  "Statement": [
    {
      "Sid": "First",
      "Effect": "Allow",
      "Principal": {"AWS": ["111111111111", "arn:aws:iam::222222222222:role/r"], "Service": "ec2.amazonaws.com"},
      "Action": ["s3:GetObject", "s3:List*"],
      "Resource": "*",
      "Condition": {
        "StringEquals": {"aws:PrincipalTag/team": ["a", "b"], "s3:prefix": ""},
        "Bool": {"aws:SecureTransport": true},
        "NumericLessThan": {"s3:max-keys": 10.5}
      }
    },
    {"Effect": "Deny", "NotPrincipal": "*", "NotAction": "iam:*", "NotResource": ["arn:aws:s3:::b/\u00e9\n"]}
  ]
}`

func TestParseKeepsSpellingAndPlace(t *testing.T) {
	d := mustParse(t, everything)
	if d.Version != policy.Version2012 || d.ID != "all-of-it" || d.Single || len(d.Statements) != 2 {
		t.Fatalf("document = %+v", d)
	}
	first, second := d.Statements[0], d.Statements[1]
	if got, want := policy.Values(first.Actions), []string{"s3:GetObject", "s3:List*"}; !cmp.Equal(got, want) {
		t.Errorf("Actions = %q, want %q", got, want)
	}
	wantEntries := []policy.PrincipalEntry{
		{Type: "AWS", Value: policy.Text{Value: "111111111111", Pos: policy.Pos{Offset: 148, Line: 8, Column: 29}}},
		{Type: "AWS", Value: policy.Text{Value: "arn:aws:iam::222222222222:role/r", Pos: policy.Pos{Offset: 164, Line: 8, Column: 45}}},
		{Type: "Service", Value: policy.Text{Value: "ec2.amazonaws.com", Pos: policy.Pos{Offset: 212, Line: 8, Column: 93}}},
	}
	if diff := cmp.Diff(wantEntries, first.Principal.Entries); diff != "" {
		t.Errorf("principals (-want +got):\n%s", diff)
	}
	if second.NotPrincipal == nil || !second.NotPrincipal.Everyone || second.Principal != nil {
		t.Errorf("NotPrincipal = %+v, Principal = %+v", second.NotPrincipal, second.Principal)
	}
	if got, want := second.NotResources[0].Value, "arn:aws:s3:::b/é\n"; got != want {
		t.Errorf("NotResource = %q, want %q", got, want)
	}
	var got []string
	for _, c := range first.Conditions {
		got = append(got, c.Operator+" "+c.Key+" "+strings.Join(policy.Values(c.Values), ","))
	}
	want := []string{"StringEquals aws:PrincipalTag/team a,b", "StringEquals s3:prefix ", "Bool aws:SecureTransport true", "NumericLessThan s3:max-keys 10.5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

// TestPositionsPointAtWhatTheyName reads the text back at every position.
func TestPositionsPointAtWhatTheyName(t *testing.T) {
	d := mustParse(t, everything)
	lines := strings.Split(everything, "\n")
	check := func(pos policy.Pos, prefix string) {
		t.Helper()
		if !strings.HasPrefix(everything[pos.Offset:], prefix) {
			t.Errorf("offset %d is at %.20q, want %q", pos.Offset, everything[pos.Offset:], prefix)
		}
		if at := lines[pos.Line-1][pos.Column-1:]; !strings.HasPrefix(at, prefix) {
			t.Errorf("%d:%d is at %.20q, want %q", pos.Line, pos.Column, at, prefix)
		}
	}
	check(d.Pos, "{")
	for _, st := range d.Statements {
		check(st.Pos, "{")
		for _, c := range st.Conditions {
			check(c.Pos, `"`+c.Key+`"`)
			check(c.OperatorPos, `"`+c.Operator+`"`)
		}
		for _, a := range st.Actions {
			check(a.Pos, `"`+a.Value+`"`)
		}
	}
}

func TestParseReportsEverythingWrong(t *testing.T) {
	const allow = `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"`
	for _, test := range []struct {
		name string
		src  string
		want []string // position, message and hint of each error
		aws  string
	}{
		{"empty text", ``, []string{`1:1: the text ends where a value should be`}, ""},
		{"not json", "This is no policy", []string{`1:1: 'T' where a value should be`}, ""},
		{"null", `null`, []string{`1:1: a policy document must be an object, not null`}, ""},
		{"a list", ` [1]`, []string{`1:2: a policy document must be an object, not a list`}, ""},
		{"text after the document", allow + "}}\n{}", []string{`2:1: there is text after the end of the document`}, ""},
		{"trailing comma", `{"Statement":[],}`, []string{`1:16: a comma before "}"`}, ""},
		{"missing comma", "{\"Statement\":{\"Effect\":\"Allow\"\n\"Action\":\"*\"}}", []string{`2:1: '"' where a comma or "}" should be`}, ""},
		{"missing colon", `{"Statement" []}`, []string{`1:14: '[' where the colon after "Statement" should be`}, ""},
		{"bare name", `{Statement: []}`, []string{`1:2: 'S' where a quoted name should be`}, ""},
		{"open string", `{"Statement": "x`, []string{`1:15: a string that does not end`}, ""},
		{"line feed in string", "{\"Statement\": \"x\ny\"}", []string{`1:17: a control character in a string`}, ""},
		{"bad escape", `{"Id":"\x"}`, []string{`1:8: unknown escape \x`}, ""},
		{"lone surrogate", `{"Id":"\ud800"}`, []string{`1:8: malformed \u escape`}, ""},
		{"latin-1", "{\"Id\":\"\xe9\"}", []string{`1:8: text that is not UTF-8`}, ""},
		{"number with a leading zero", `{"Id":01}`, []string{`1:8: '1' where a comma or "}" should be`}, ""},
		{"number without digits", `{"Id":-}`, []string{`1:7: malformed number "-"`}, ""},
		{"deep nesting", strings.Repeat("[", 100), []string{`1:34: values are nested more than 32 deep`}, ""},
		{"no statement", `{"Version":"2012-10-17"}`, []string{`1:1: the document has no Statement`}, ""},
		{"statement list is empty", `{"Statement":[]}`, []string{`1:14: the list of statements is empty`}, ""},
		{"statement is a string", `{"Statement":["x"]}`, []string{`1:15: a statement must be an object, not a string`}, ""},
		{"statement is a number", `{"Statement":1}`, []string{`1:14: Statement must be an object or a list of objects, not a number`}, ""},
		{"version that does not exist", `{"Version":"2013-10-17",` + allow[1:] + "}}", []string{`1:12: policy version "2013-10-17" does not exist (use "2012-10-17")`}, ""},
		{"misspelt element", `{"Statment":1,` + allow[1:] + "}}", []string{`1:2: unknown element "Statment" in a policy document (did you mean "Statement"?)`}, ""},
		{"element in lower case", `{"Statement":{"effect":"Allow","Action":"*"}}`,
			[]string{`1:14: the statement has no Effect (write "Effect": "Allow" or "Deny")`, `1:15: unknown element "effect" in a statement (did you mean "Effect"?)`}, ""},
		{"element from elsewhere", allow + `,"Description":"x"}}`,
			[]string{`1:60: unknown element "Description" in a statement (known are Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition)`}, ""},
		{"effect in lower case", `{"Statement":{"Effect":"allow","Action":"*"}}`, []string{`1:24: Effect is "allow", must be Allow or Deny (letter case counts)`}, "The policy failed legacy parsing"},
		{"effect misspelt", `{"Statement":{"Effect":"Dany","Action":"*"}}`, []string{`1:24: Effect is "Dany", must be Allow or Deny (did you mean "Deny"?)`}, ""},
		{"duplicate element", `{"Statement":{"Effect":"Allow","Action":"*","Effect":"Deny"}}`, []string{`1:45: "Effect" appears twice in one object`}, ""},
		{"action and its twin", `{"Statement":{"Effect":"Allow","Action":"*","NotAction":"s3:*"}}`, []string{`1:45: a statement has either Action or NotAction, not both`}, ""},
		{"resource and its twin", allow + `,"NotResource":[]}}`, []string{`1:60: a statement has either Resource or NotResource, not both`, `1:74: NotResource is an empty list`}, ""},
		{"principal and its twin", allow + `,"NotPrincipal":"*","Principal":"*"}}`, []string{`1:60: a statement has either Principal or NotPrincipal, not both`}, ""},
		{"no action", `{"Statement":{"Effect":"Allow","Resource":"*"}}`, []string{`1:14: the statement has neither Action nor NotAction`}, "Policy statement must contain actions."},
		{"empty actions", `{"Statement":{"Effect":"Allow","Action":[],"Resource":"*"}}`, []string{`1:41: Action is an empty list`}, "Policy statement must contain actions."},
		{"actions of other types", `{"Statement":{"Effect":"Allow","Action":[1,"*",null]}}`, []string{`1:42: each value of Action must be a string, not a number`, `1:48: each value of Action must be a string, not null`}, ""},
		{"resource is an object", `{"Statement":{"Effect":"Allow","Action":"*","Resource":{"Ref":"x"}}}`, []string{`1:56: Resource must be a string or a list of strings, not an object`}, ""},
		{"principal is a bare arn", allow + `,"Principal":"123456789012"}}`, []string{`1:72: Principal is the string "123456789012"; only "*" may stand alone (write {"AWS": "123456789012"})`}, ""},
		{"principal type in lower case", allow + `,"Principal":{"aws":"*"}}}`, []string{`1:73: unknown type of principal "aws" (did you mean "AWS"?)`}, ""},
		{"principal of nobody", allow + `,"Principal":{}}}`, []string{`1:72: Principal names nobody`}, ""},
		{"principal is a list", allow + `,"Principal":["*"]}}`, []string{`1:72: Principal must be "*" or an object, not a list`}, ""},
		{"condition is a list", allow + `,"Condition":[]}}`, []string{`1:72: Condition must be an object, not a list`}, ""},
		{"operator without keys", allow + `,"Condition":{"Bool":true}}}`, []string{`1:80: Bool must be an object, not a boolean`}, ""},
		{"condition value is an object", allow + `,"Condition":{"Bool":{"k":{}}}}}`, []string{`1:85: values of condition key "k" must be strings, numbers or booleans, not an object`}, ""},
		{"condition key twice", allow + `,"Condition":{"Bool":{"k":"a","k":"b"}}}}`, []string{`1:89: "k" appears twice in one object`}, ""},
		{"sid is a number", `{"Statement":{"Sid":1,"Effect":"Allow","Action":"*"}}`, []string{`1:21: Sid must be a string, not a number`}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := policy.Parse([]byte(test.src))
			if err == nil {
				t.Fatalf("Parse = %v, want errors", d)
			}
			if d != nil {
				t.Errorf("Parse returned a document beside its error")
			}
			errs, ok := errors.AsType[policy.Errors](err)
			if !ok {
				t.Fatalf("error is a %T", err)
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			want := test.aws
			if want == "" {
				want = "Syntax errors in policy."
			}
			if got := errs.AWS(policy.Identity); got != want {
				t.Errorf("AWS = %q, want %q", got, want)
			}
			if single, ok := errors.AsType[*policy.Error](err); !ok || single != errs[0] {
				t.Errorf("the first error is not reachable: %v, %v", single, ok)
			}
		})
	}
}

func TestParseAcceptsWhatIAMAccepts(t *testing.T) {
	for _, src := range []string{
		`{"Statement":{"Effect":"Allow","Action":"*","Condition":{}}}`,
		`{"Statement":{"Effect":"Allow","Action":"*","Condition":{"DateGreaterThan":{}}}}`,
		`{"Statement":{"Effect":"Allow","Action":"*","Condition":{"Bool":{"k":[]}}}}`,
		`{"Statement":{"Effect":"Allow","Action":"*","Condition":{"Unknown":{"k":"v"}}}}`,
		`{"Statement":[{"Effect":"Deny","NotAction":["a:b"],"NotResource":["*"]}],"Version":"2008-10-17"}`,
		" \n\t{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"\\u0041\\ud83d\\ude00\\/\"}}\r\n",
	} {
		if _, err := policy.Parse([]byte(src)); err != nil {
			t.Errorf("Parse(%s): %v", src, err)
		}
	}
}

// TestParseKeepsNothingOfItsBytes overwrites the text that was parsed: only the
// document of ParseText has parts of its own text, which cannot change.
func TestParseKeepsNothingOfItsBytes(t *testing.T) {
	const text = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:Put\u004fbject"],"Resource":"arn:aws:s3:::a,b[c]/*"},{"Effect":"Deny","NotAction":"iam:*","Resource":["*"]}]}`
	src := []byte(text)
	got, err := policy.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	for i := range src {
		src[i] = 'x'
	}
	want, err := policy.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse and ParseText differ (-text +bytes):\n%s", diff)
	}
	if len(got.Statements) != 2 || got.Statements[0].Actions[1].Value != "s3:PutObject" || got.Statements[0].Resources[0].Value != "arn:aws:s3:::a,b[c]/*" {
		t.Errorf("Parse(%s) = %v", text, got)
	}
}

func TestDecodeReadsATreeFromElsewhere(t *testing.T) {
	str := func(s string) policy.Node { return policy.Node{Kind: policy.StringNode, Text: s} }
	tree := policy.Node{Kind: policy.ObjectNode, Members: []policy.Member{
		{Name: "Version", Value: str("2012-10-17")},
		{Name: "Statement", Value: policy.Node{Kind: policy.ObjectNode, Members: []policy.Member{
			{Name: "Effect", Value: str("Allow")},
			{Name: "Action", Value: policy.Node{Kind: policy.ListNode, Items: []policy.Node{str("s3:*")}}},
		}}},
	}}
	d, err := policy.Decode(tree)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.String(), `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*"}}`; got != want {
		t.Errorf("Decode = %s, want %s", got, want)
	}
	tree.Members[1].Value.Members[0].Value.Text = "Maybe"
	if _, err := policy.Decode(tree); err == nil {
		t.Error("Decode of a wrong Effect = nil, want an error")
	}
}

func TestPrintRoundTrip(t *testing.T) {
	d := mustParse(t, everything)
	const want = `{"Version":"2012-10-17","Id":"all-of-it","Statement":[{"Sid":"First","Effect":"Allow",` +
		`"Principal":{"AWS":["111111111111","arn:aws:iam::222222222222:role/r"],"Service":"ec2.amazonaws.com"},` +
		`"Action":["s3:GetObject","s3:List*"],"Resource":"*",` +
		`"Condition":{"StringEquals":{"aws:PrincipalTag/team":["a","b"],"s3:prefix":""},"Bool":{"aws:SecureTransport":"true"},"NumericLessThan":{"s3:max-keys":"10.5"}}},` +
		`{"Effect":"Deny","NotPrincipal":"*","NotAction":"iam:*","NotResource":"arn:aws:s3:::b/é\n"}]}`
	if diff := cmp.Diff(want, string(d.JSON())); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	for _, text := range [][]byte{d.JSON(), d.Indent()} {
		again := mustParse(t, string(text))
		if !policy.Equal(d, again) {
			t.Errorf("parsing %s again gives another document", text)
		}
	}
	if !strings.Contains(string(d.Indent()), "\n    {\n      \"Sid\": \"First\",") {
		t.Errorf("Indent = %s", d.Indent())
	}
}

func TestPrintKeepsCharactersThatHTMLEscapes(t *testing.T) {
	d := policy.NewDocument(policy.Statement{Effect: policy.Allow, Actions: policy.Texts("a:<&>")})
	if got := d.String(); !strings.Contains(got, "a:<&>") {
		t.Errorf("JSON = %s, want <&> as it is", got)
	}
}

func TestPrintGroupsConditionsAndPrincipals(t *testing.T) {
	d := policy.NewDocument(policy.Statement{
		Effect: policy.Allow,
		Principal: &policy.Principals{Entries: []policy.PrincipalEntry{
			{Type: "AWS", Value: policy.Text{Value: "a"}}, {Type: "Service", Value: policy.Text{Value: "s"}}, {Type: "AWS", Value: policy.Text{Value: "b"}},
		}},
		Actions: policy.Texts("x:y"),
		Conditions: []policy.Condition{
			policy.Cond("Bool", "k1", "true"), policy.Cond("Null", "k2", "false"), policy.Cond("Bool", "k3", "false"), policy.Cond("StringLike", "k4"),
		},
	})
	want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["a","b"],"Service":"s"},"Action":"x:y",` +
		`"Condition":{"Bool":{"k1":"true","k3":"false"},"Null":{"k2":"false"},"StringLike":{"k4":[]}}}]}`
	if got := d.String(); got != want {
		t.Errorf("JSON = %s\nwant   %s", got, want)
	}
}

func TestPrintOfAConditionTwiceIsRefusedByParse(t *testing.T) {
	d := policy.NewDocument(policy.Statement{
		Effect: policy.Allow, Actions: policy.Texts("x:y"),
		Conditions: []policy.Condition{policy.Cond("StringEquals", "k", "a"), policy.Cond("StringEquals", "k", "b")},
	})
	if _, err := policy.Parse(d.JSON()); err == nil {
		t.Errorf("Parse(%s) = nil, want the repetition refused", d.JSON())
	}
}

func TestSizeIgnoresWhiteSpaceBetweenTokens(t *testing.T) {
	for src, want := range map[string]int{
		``:                        0,
		" { \n\t\"a\" : \"b\" }":  9,
		`{"a b":"c\" d"}`:         15,
		`{"é":"\\" , "x" : "y" }`: 18,
	} {
		if got := policy.Size(src); got != want {
			t.Errorf("Size(%s) = %d, want %d", src, got, want)
		}
	}
	d := mustParse(t, everything)
	if got, want := d.Size(), policy.Size(string(d.Indent())); got != want {
		t.Errorf("Size of the document = %d, of its indented text %d", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(everything))
	f.Add([]byte(`{"Statement":{"Effect":"Allow","Action":"*","Condition":{"Bool":{"k":[true,1e3,"x"]}}}}`))
	f.Add([]byte(`{"Statement":{"Effect":"Deny","Principal":{"AWS":["*"],"Service":["a","b"]},"NotAction":["\ud83d\ude00"]}}`))
	f.Add([]byte(`{"Statement":[}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := policy.Parse(src)
		if err != nil {
			if d != nil {
				t.Fatal("a document beside an error")
			}
			for _, e := range err.(policy.Errors) { //nolint:errorlint // Parse promises the type
				if e.Pos.IsZero() || e.Pos.Offset > len(src) || e.Msg == "" {
					t.Fatalf("error without place or message: %+v", e)
				}
			}
			return
		}
		text := d.JSON()
		again, err := policy.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q) of the print of %q: %v", text, src, err)
		}
		if !policy.Equal(d, again) {
			t.Fatalf("print and parse changed the meaning:\n%q\n%q", src, text)
		}
		if twice := again.JSON(); string(twice) != string(text) {
			t.Fatalf("printing is not stable:\n%q\n%q", text, twice)
		}
		if c := policy.Canonical(d); c != policy.Canonical(mustParse(t, c)) {
			t.Fatalf("Canonical is not its own canonical form: %q", c)
		}
		for kind := policy.Identity; kind <= policy.RCP; kind++ {
			for _, e := range policy.Validate(d, kind) {
				if e.Msg == "" {
					t.Fatalf("finding without a message for %q", src)
				}
			}
		}
	})
}
