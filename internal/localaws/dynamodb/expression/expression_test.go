package expression_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/dynamodb/expression"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// value makes a value of plain JSON; {"SS": […]} and its like are sets.
func value(t testing.TB, src string) store.Value {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(src))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return convert(v)
}

func convert(v any) store.Value {
	switch v := v.(type) {
	case string:
		return store.Value{Type: attribute.String, Text: v}
	case json.Number:
		return store.Value{Type: attribute.Number, Text: v.String()}
	case bool:
		return store.Value{Type: attribute.Bool, Bool: v}
	case []any:
		out := store.Value{Type: attribute.List}
		for _, e := range v {
			out.List = append(out.List, convert(e))
		}
		return out
	case map[string]any:
		if set, ok := v["SS"].([]any); ok {
			out := store.Value{Type: attribute.StringSet}
			for _, e := range set {
				out.Texts = append(out.Texts, e.(string))
			}
			return out
		}
		out := store.Value{Type: attribute.Map, Map: store.Item{}}
		for name, e := range v {
			out.Map[name] = convert(e)
		}
		return out
	}
	return store.Value{Type: attribute.Null}
}

func item(t testing.TB, src string) store.Item {
	t.Helper()
	return value(t, src).Map
}

func placeholders(t testing.TB, names map[string]string, values map[string]string) *expression.Placeholders {
	t.Helper()
	converted := map[string]store.Value{}
	for name, src := range values {
		converted[name] = value(t, src)
	}
	p, err := expression.NewPlaceholders(names, converted)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const order = `{"id":"o1","cost":12.5,"paid":true,"nothing":null,"labels":{"SS":["a","b"]},"parts":[{"sku":"x","n":1},{"sku":"y","n":2}],"address":{"city":"Bern","zip":"3000"},"size":"L"}`

func values() map[string]string {
	return map[string]string{
		":s": `"o1"`, ":n": `12.5`, ":ten": `10`, ":t": `true`, ":a": `"a"`, ":o": `"o"`, ":two": `2`,
		":type": `"S"`, ":line": `{"sku":"x","n":1}`, ":bern": `"Bern"`, ":null": `null`, ":ss": `{"SS":["a","b"]}`,
	}
}

func TestConditions(t *testing.T) {
	tests := []struct {
		src  string
		want bool
	}{
		{"id = :s", true}, {"id <> :s", false}, {"absent <> :s", true}, {"absent = :s", false}, {"absent = also_absent", false},
		{"cost = :n", true}, {"cost > :ten", true}, {"cost >= :n", true}, {"cost < :ten", false}, {"cost <= :n", true}, {"id > :ten", false},
		{"paid = :t", true}, {"nothing = :null", true}, {"labels = :ss", true}, {"parts[0] = :line", true}, {"parts[5] = :line", false},
		{"address.city = :bern", true}, {"address.city.x = :bern", false}, {"parts[1].n = :two", true},
		{"cost BETWEEN :ten AND :n", true}, {"cost between :n and :n", true}, {"absent BETWEEN :ten AND :n", false},
		{"id IN (:a, :s)", true}, {"id IN (:a)", false},
		{"attribute_exists(id)", true}, {"attribute_exists(absent)", false}, {"attribute_not_exists(absent.x)", true}, {"attribute_exists(parts[1].sku)", true},
		{"attribute_type(id, :type)", true}, {"attribute_type(cost, :type)", false},
		{"begins_with(id, :o)", true}, {"begins_with(id, :a)", false}, {"contains(labels, :a)", true}, {"contains(labels, :o)", false},
		{"contains(id, :o)", true}, {"contains(parts, :line)", true},
		{"size(parts) = :two", true}, {"size(id) = :two", true}, {"size(cost) = :two", false}, {"size(#size) < :two", true},
		{"NOT id = :s", false}, {"NOT NOT id = :s", true}, {"NOT absent = :s", true},
		{"id = :a OR cost = :n AND paid = :t", true}, {"(id = :a OR cost = :n) AND paid = :a", false}, {"id = :s OR absent = :s AND absent = :s", true},
		{"((id = :s))", true}, {":ten < cost", true}, {"id=:s AND\n\tcost=:n", true},
	}
	for _, test := range tests {
		t.Run(test.src, func(t *testing.T) {
			p := placeholders(t, map[string]string{"#size": "size"}, values())
			c, err := p.Condition("ConditionExpression", test.src)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Holds(item(t, order)); got != test.want {
				t.Errorf("%s is %v", test.src, got)
			}
		})
	}
	var none *expression.Condition
	if !none.Holds(nil) {
		t.Error("no condition does not hold")
	}
}

func TestBadExpressionsAreRefused(t *testing.T) {
	tests := []struct{ src, want string }{
		{"", "The expression can not be empty;"},
		{"id", "Syntax error; token: \"<EOF>\""},
		{"id = :absent", "An expression attribute value used in expression is not defined; attribute value: :absent"},
		{"#x = :s", "An expression attribute name used in the document path is not defined; attribute name: #x"},
		{"status = :s", "Attribute name is a reserved keyword; reserved keyword: status"},
		{"id = :s id", "Syntax error; token: \"id\""},
		{"id == :s", "Syntax error; token: \"=\""},
		{"id ! :s", "Invalid character in expression"},
		{"nope(id)", "Invalid function name; function: nope"},
		{"attribute_type(id, :s)", "Invalid attribute type name found; type: o1"},
		{"begins_with(id, :n)", "Incorrect operand type"},
		{"id > :t", "Incorrect operand type"},
		{"id BETWEEN :s OR :s", "Syntax error"},
		{"(id = :s", "Syntax error"},
		{"id = attribute_exists(id)", "not allowed to be used this way"},
		{"parts[x] = :s", "Syntax error"},
		{"id IN (:s", "Syntax error"},
		{strings.Repeat("(", 50) + "id = :s" + strings.Repeat(")", 50), "too many nested levels"},
		{strings.Repeat("id = :s AND ", 350) + "id = :s", "size has exceeded"},
		{strings.Repeat("a=:s OR ", 200) + "a=:s", "too many operators"},
	}
	for _, test := range tests {
		t.Run(test.src[:min(len(test.src), 30)], func(t *testing.T) {
			_, err := placeholders(t, nil, values()).Condition("FilterExpression", test.src)
			if err == nil || !strings.HasPrefix(err.Error(), "Invalid FilterExpression: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	p := placeholders(t, map[string]string{"#a": "x"}, map[string]string{":b": "1", ":c": "2"})
	if _, err := p.Condition("FilterExpression", "y = :b"); err != nil {
		t.Fatal(err)
	}
	if err := p.Unused(); err == nil || err.Error() != "Value provided in ExpressionAttributeValues unused in expressions: keys: {:c}" {
		t.Errorf("Unused: %v", err)
	}
	if _, err := p.Condition("FilterExpression", "y = :c"); err != nil {
		t.Fatal(err)
	}
	if err := p.Unused(); err == nil || err.Error() != "Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}" {
		t.Errorf("Unused: %v", err)
	}
	for _, names := range []map[string]string{{"a": "x"}, {"#": "x"}, {"#a-b": "x"}, {"#a": ""}} {
		if _, err := expression.NewPlaceholders(names, nil); err == nil {
			t.Errorf("names %v are accepted", names)
		}
	}
	if _, err := expression.NewPlaceholders(nil, map[string]store.Value{"b": {}}); err == nil {
		t.Error("a value without a colon is accepted")
	}
}

func TestProjection(t *testing.T) {
	p := placeholders(t, map[string]string{"#z": "zip"}, nil)
	paths, err := p.Projection("id, address.#z, parts[1].sku, absent, parts[0]")
	if err != nil {
		t.Fatal(err)
	}
	want := item(t, `{"id":"o1","address":{"zip":"3000"},"parts":[{"sku":"x","n":1},{"sku":"y"}]}`)
	if diff := cmp.Diff(want, expression.Project(item(t, order), paths)); diff != "" {
		t.Error(diff)
	}
	if _, err := p.Projection("address, address.city"); err == nil || !strings.Contains(err.Error(), "path one: [address], path two: [address, city]") {
		t.Errorf("overlapping paths: %v", err)
	}
}

func TestUpdates(t *testing.T) {
	const before = `{"id":"o1","n":1,"l":["a","b","c"],"m":{"x":1},"s":{"SS":["a","b"]}}`
	values := map[string]string{":one": "1", ":v": `"v"`, ":l": `["d"]`, ":set": `{"SS":["b","c"]}`, ":all": `{"SS":["a","b"]}`, ":m": `{"y":2}`}
	tests := []struct{ src, want string }{
		{"SET n = :v", `{"id":"o1","n":"v","l":["a","b","c"],"m":{"x":1},"s":{"SS":["a","b"]}}`},
		{"SET n = n + :one", `{"id":"o1","n":2,"l":["a","b","c"],"m":{"x":1},"s":{"SS":["a","b"]}}`},
		{"SET n = :one - n, k = n", `{"id":"o1","n":0,"k":1,"l":["a","b","c"],"m":{"x":1},"s":{"SS":["a","b"]}}`},
		{"SET k = if_not_exists(k, :one) + :one", `{"id":"o1","n":1,"k":2,"l":["a","b","c"],"m":{"x":1},"s":{"SS":["a","b"]}}`},
		{"SET l = list_append(l, :l)", `{"id":"o1","n":1,"l":["a","b","c","d"],"m":{"x":1},"s":{"SS":["a","b"]}}`},
		{"SET l[1] = :v, l[9] = :one", `{"id":"o1","n":1,"l":["a","v","c",1],"m":{"x":1},"s":{"SS":["a","b"]}}`},
		{"SET m.y = :one REMOVE l[0], l[2]", `{"id":"o1","n":1,"l":["b"],"m":{"x":1,"y":1},"s":{"SS":["a","b"]}}`},
		{"REMOVE n, m.x, absent", `{"id":"o1","l":["a","b","c"],"m":{},"s":{"SS":["a","b"]}}`},
		{"ADD n :one, k :one, s :set", `{"id":"o1","n":2,"k":1,"l":["a","b","c"],"m":{"x":1},"s":{"SS":["a","b","c"]}}`},
		{"DELETE s :set", `{"id":"o1","n":1,"l":["a","b","c"],"m":{"x":1},"s":{"SS":["a"]}}`},
		{"DELETE s :all, absent :all", `{"id":"o1","n":1,"l":["a","b","c"],"m":{"x":1}}`},
		{"set m = :m remove l", `{"id":"o1","n":1,"m":{"y":2},"s":{"SS":["a","b"]}}`},
	}
	for _, test := range tests {
		t.Run(test.src, func(t *testing.T) {
			old := item(t, before)
			u, err := placeholders(t, nil, values).Update(test.src)
			if err != nil {
				t.Fatal(err)
			}
			got, err := u.Apply(old)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(item(t, test.want), got); diff != "" {
				t.Error(diff)
			}
			if !reflect.DeepEqual(old, item(t, before)) {
				t.Error("the old item was written to")
			}
		})
	}
}

func TestBadUpdates(t *testing.T) {
	values := map[string]string{":one": "1", ":v": `"v"`, ":set": `{"SS":["b"]}`}
	tests := []struct{ src, want string }{
		{"SET a = :one SET b = :one", `The "SET" section can only be used once`},
		{"SET a = :one, a.b = :one", "Two document paths overlap"},
		{"UPSERT a = :one", "Syntax error"},
		{"SET a", "Syntax error"},
		{"SET a = ", "Syntax error"},
		{"SET a = :v + :one", "Incorrect operand type"},
		{"ADD a :v", "Incorrect operand type"},
		{"DELETE a :one", "Incorrect operand type"},
		{"SET a = nope(a)", "Invalid function name"},
		{"SET a = size(a)", "Invalid function name"},
		{"SET a = absent", "refers to an attribute that does not exist in the item"},
		{"SET m.x.y = :one", "The document path provided in the update expression is invalid for update"},
		{"SET absent.x = :one", "invalid for update"},
		{"REMOVE absent.x", "invalid for update"},
		{"SET n = s + :one", "incorrect data type"},
		{"ADD n :set", "incorrect data type"},
		{"DELETE n :set", "incorrect data type"},
		{"SET l = list_append(n, n)", "incorrect data type"},
	}
	for _, test := range tests {
		t.Run(test.src, func(t *testing.T) {
			u, err := placeholders(t, nil, values).Update(test.src)
			if err == nil {
				_, err = u.Apply(item(t, `{"n":1,"s":"x","m":{"x":1},"l":[]}`))
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestKeyConditions(t *testing.T) {
	key := store.TableKey{Partition: "pk", Sort: "sk"}
	values := map[string]string{":p": `"p"`, ":a": `"a"`, ":b": `"b"`}
	good := map[string][2]bool{ // whether "a" and "b" are in
		"pk = :p": {true, true}, "pk = :p AND sk = :a": {true, false}, "(sk > :a) AND (pk = :p)": {false, true},
		"pk = :p AND begins_with(sk, :b)": {false, true}, "pk = :p AND sk BETWEEN :a AND :b": {true, true},
	}
	for src, want := range good {
		k, err := placeholders(t, nil, values).KeyCondition(src, key)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		for i, sk := range []string{"a", "b"} {
			if got := k.Sort.Holds(item(t, `{"sk":"`+sk+`"}`)); got != want[i] || k.Partition.Text != "p" {
				t.Errorf("%s of %s = %v", src, sk, got)
			}
		}
	}
	bad := map[string]string{
		"sk = :a": "missed key schema element: pk", "pk > :p": "not supported", "pk = :p OR sk = :a": "not supported",
		"pk = :p AND elsewhere = :a": "missed key schema element: sk", "pk = :p AND sk <> :a": "not supported", "pk = :p AND contains(sk, :a)": "not supported",
		"pk = sk": "not supported", "pk = :p AND size(sk) = :a": "not supported", "pk = :p AND pk = :p": "missed key schema element",
		"pk = :p AND attribute_exists(sk)": "not supported",
	}
	for src, want := range bad {
		if _, err := placeholders(t, nil, values).KeyCondition(src, key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{
		"id = :s", "NOT (a.b[1] <> :n) AND size(x) BETWEEN :n AND :n", "SET a = if_not_exists(a, :n) + :n REMOVE b[0]", "ADD n :n DELETE s :ss",
		"a, b.c[0], #x", "contains(labels, :s) OR id IN (:s, :n)", "parts[0].n = :n", "SET parts[0].n = :n REMOVE parts[1], address.zip",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p := placeholders(t, map[string]string{"#x": "x"}, map[string]string{":s": `"s"`, ":n": "1", ":ss": `{"SS":["a"]}`})
		old := item(t, order)
		if c, err := p.Condition("FilterExpression", src); err == nil {
			not, err := p.Condition("FilterExpression", "NOT ("+src+")")
			if err == nil && not.Holds(old) == c.Holds(old) {
				t.Errorf("%q and its negation agree", src)
			}
		}
		if paths, err := p.Projection(src); err == nil {
			part := expression.Project(old, paths)
			if again := expression.Project(old, paths); !cmp.Equal(part, again) {
				t.Errorf("Project(%q) differs from itself", src)
			}
		}
		if u, err := p.Update(src); err == nil {
			if _, err := u.Apply(old); err == nil && len(u.Paths()) == 0 {
				t.Errorf("the update %q changes nothing", src)
			}
		}
		if _, err := p.KeyCondition(src, store.TableKey{Partition: "id", Sort: "cost"}); err == nil && !strings.Contains(src, "id") {
			t.Errorf("the key condition %q has no partition", src)
		}
		if !cmp.Equal(old, item(t, order)) {
			t.Errorf("%q wrote to the item", src)
		}
	})
}
