package attribute_test

import (
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/localaws/dynamodb/attribute"
	"github.com/stile-aws/stile/internal/localaws/store"
)

func TestCanonicalNumbers(t *testing.T) {
	tests := []struct{ in, want string }{
		{"0", "0"}, {"-0", "0"}, {"0.000", "0"}, {"1", "1"}, {"+1", "1"}, {"001.50", "1.5"}, {"-12.30", "-12.3"},
		{"1e3", "1000"}, {"1E-3", "0.001"}, {"123e-2", "1.23"}, {".5", "0.5"}, {"5.", "5"},
		{"9.9999999999999999999999999999999999999E+125", "99999999999999999999999999999999999999" + strings.Repeat("0", 88)},
		{"1e-130", "0." + strings.Repeat("0", 129) + "1"},
	}
	for _, test := range tests {
		if got, err := attribute.Canonical(test.in); err != nil || got != test.want {
			t.Errorf("Canonical(%q) = %q, %v, want %q", test.in, got, err, test.want)
		}
	}
	bad := map[string]string{
		"": "cannot be converted", "x": "cannot be converted", "1.2.3": "cannot be converted", "1e": "cannot be converted", "0x1": "cannot be converted",
		"1e126": "Number overflow", "1e-131": "Number underflow", "1e99999999999": "cannot be converted", "NaN": "cannot be converted",
		"1." + strings.Repeat("1", 38): "more than 38 significant digits", "-": "cannot be converted",
	}
	for in, want := range bad {
		if _, err := attribute.Canonical(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Canonical(%q): %v, want %q", in, err, want)
		}
	}
}

// Numbers are compared and added like rational numbers.
func TestNumbersAgreeWithRationals(t *testing.T) {
	number := rapid.StringMatching(`-?[0-9]{1,12}(\.[0-9]{1,12})?(e-?[0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		va, vb := value(t, a), value(t, b)
		if order, ok := attribute.Compare(va, vb); !ok || order != x.Cmp(y) {
			t.Errorf("Compare(%s, %s) = %d, want %d", a, b, order, x.Cmp(y))
		}
		if attribute.Equal(va, vb) != (x.Cmp(y) == 0) {
			t.Errorf("Equal(%s, %s) is wrong", a, b)
		}
		for subtract, want := range map[bool]*big.Rat{false: new(big.Rat).Add(x, y), true: new(big.Rat).Sub(x, y)} {
			got, err := attribute.Sum(va, vb, subtract)
			if err != nil {
				t.Fatal(err)
			}
			if sum, ok := new(big.Rat).SetString(got.Text); !ok || sum.Cmp(want) != 0 {
				t.Errorf("Sum(%s, %s, %v) = %s, want %s", a, b, subtract, got.Text, want)
			}
		}
	})
}

func value(t *rapid.T, number string) store.Value {
	text, err := attribute.Canonical(number)
	if err != nil {
		t.Fatal(err)
	}
	return store.Value{Type: attribute.Number, Text: text}
}

func TestValuesComeBack(t *testing.T) {
	in := map[string]types.AttributeValue{
		"s": &types.AttributeValueMemberS{Value: "x"}, "empty": &types.AttributeValueMemberS{},
		"n": &types.AttributeValueMemberN{Value: "1.5"}, "b": &types.AttributeValueMemberB{Value: []byte{1}},
		"bool": &types.AttributeValueMemberBOOL{Value: false}, "null": &types.AttributeValueMemberNULL{Value: true},
		"ss": &types.AttributeValueMemberSS{Value: []string{"a", "b"}}, "ns": &types.AttributeValueMemberNS{Value: []string{"1", "2"}},
		"bs": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {2}}},
		"l":  &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberL{Value: []types.AttributeValue{}}}},
		"m":  &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"k": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{}}}},
	}
	item, err := attribute.ItemFromSDK(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := attribute.ItemToSDK(item); !reflect.DeepEqual(got, in) {
		t.Errorf("got %v, want %v", got, in)
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	deep := types.AttributeValue(&types.AttributeValueMemberS{Value: "x"})
	for range 40 {
		deep = &types.AttributeValueMemberL{Value: []types.AttributeValue{deep}}
	}
	for name, v := range map[string]types.AttributeValue{
		"none": nil, "empty set": &types.AttributeValueMemberSS{}, "null false": &types.AttributeValueMemberNULL{},
		"twice": &types.AttributeValueMemberNS{Value: []string{"1", "1.0"}}, "twice binary": &types.AttributeValueMemberBS{Value: [][]byte{{1}, {1}}},
		"deep": deep, "no number": &types.AttributeValueMemberN{Value: "one"},
	} {
		if _, err := attribute.FromSDK(v); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSizeOfAnItem(t *testing.T) {
	item, err := attribute.ItemFromSDK(map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "abc"}, "n": &types.AttributeValueMemberN{Value: "1234"},
		"m": &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"k": &types.AttributeValueMemberBOOL{Value: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := attribute.ItemSize(item), 2+3+1+3+1+3+1+1+1; got != want {
		t.Errorf("ItemSize = %d, want %d", got, want)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"0", "-1.5e10", "1e-130", "..", "1e+", "99999999999999999999999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := attribute.Canonical(s)
		if err != nil {
			return
		}
		if twice, err := attribute.Canonical(once); err != nil || twice != once {
			t.Errorf("Canonical(%q) = %q, then %q, %v", s, once, twice, err)
		}
	})
}
