package attribute

import (
	"bytes"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stile-aws/stile/internal/localaws/store"
)

// maxDepth is how deep documents may be nested.
const maxDepth = 32

// FromSDK converts and checks a value of a request. The error has DynamoDB's words.
func FromSDK(v types.AttributeValue) (store.Value, error) { return fromSDK(v, 1) }

// ItemFromSDK converts and checks the attributes of a request, nil for none.
func ItemFromSDK(m map[string]types.AttributeValue) (store.Item, error) { return fromMap(m, 1) }

func fromMap(m map[string]types.AttributeValue, depth int) (store.Item, error) {
	if m == nil {
		return nil, nil
	}
	item := make(store.Item, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v, err := fromSDK(m[name], depth)
		if err != nil {
			return nil, err
		}
		item[name] = v
	}
	return item, nil
}

func fromSDK(v types.AttributeValue, depth int) (store.Value, error) {
	if depth > maxDepth+1 {
		return store.Value{}, Problem("Nesting Levels have exceeded supported limits: Attributes have a nesting level greater than the supported limit of 32")
	}
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return store.Value{Type: String, Text: v.Value}, nil
	case *types.AttributeValueMemberN:
		n, err := Canonical(v.Value)
		return store.Value{Type: Number, Text: n}, err
	case *types.AttributeValueMemberB:
		return store.Value{Type: Binary, Bytes: v.Value}, nil
	case *types.AttributeValueMemberBOOL:
		return store.Value{Type: Bool, Bool: v.Value}, nil
	case *types.AttributeValueMemberNULL:
		if !v.Value {
			return store.Value{}, Problem("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
		return store.Value{Type: Null}, nil
	case *types.AttributeValueMemberL:
		list := make([]store.Value, len(v.Value))
		for i := range v.Value {
			var err error
			if list[i], err = fromSDK(v.Value[i], depth+1); err != nil {
				return store.Value{}, err
			}
		}
		return store.Value{Type: List, List: list}, nil
	case *types.AttributeValueMemberM:
		m, err := fromMap(v.Value, depth+1)
		return store.Value{Type: Map, Map: m}, err
	}
	return setFromSDK(v)
}

func setFromSDK(v types.AttributeValue) (store.Value, error) {
	switch v := v.(type) {
	case *types.AttributeValueMemberSS:
		return textSet(StringSet, slices.Clone(v.Value))
	case *types.AttributeValueMemberNS:
		numbers := make([]string, len(v.Value))
		for i, s := range v.Value {
			var err error
			if numbers[i], err = Canonical(s); err != nil {
				return store.Value{}, err
			}
		}
		return textSet(NumberSet, numbers)
	case *types.AttributeValueMemberBS:
		blobs := slices.SortedFunc(slices.Values(v.Value), bytes.Compare)
		n := len(blobs)
		blobs = slices.CompactFunc(blobs, bytes.Equal)
		return store.Value{Type: BinarySet, Blobs: blobs}, checkSet(n, len(blobs), "An binary set")
	}
	return store.Value{}, Problem("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

func textSet(kind string, texts []string) (store.Value, error) {
	n := len(texts)
	slices.Sort(texts)
	texts = slices.Compact(texts)
	name := "An string set"
	if kind == NumberSet {
		name = "An number set"
	}
	return store.Value{Type: kind, Texts: texts}, checkSet(n, len(texts), name)
}

func checkSet(given, distinct int, name string) error {
	switch {
	case given == 0:
		return Problemf("One or more parameter values were invalid: %s may not be empty", name)
	case given != distinct:
		return Problem("One or more parameter values were invalid: Input collection contains duplicates.")
	}
	return nil
}

// ToSDK converts a stored value for an answer.
func ToSDK(v store.Value) types.AttributeValue {
	switch v.Type {
	case Number:
		return &types.AttributeValueMemberN{Value: v.Text}
	case Binary:
		return &types.AttributeValueMemberB{Value: append([]byte{}, v.Bytes...)} // never nil
	case Bool:
		return &types.AttributeValueMemberBOOL{Value: v.Bool}
	case Null:
		return &types.AttributeValueMemberNULL{Value: true}
	case StringSet:
		return &types.AttributeValueMemberSS{Value: v.Texts}
	case NumberSet:
		return &types.AttributeValueMemberNS{Value: v.Texts}
	case BinarySet:
		return &types.AttributeValueMemberBS{Value: v.Blobs}
	case List:
		list := make([]types.AttributeValue, len(v.List))
		for i := range v.List {
			list[i] = ToSDK(v.List[i])
		}
		return &types.AttributeValueMemberL{Value: list}
	case Map:
		m := ItemToSDK(v.Map)
		if m == nil {
			m = map[string]types.AttributeValue{}
		}
		return &types.AttributeValueMemberM{Value: m}
	}
	return &types.AttributeValueMemberS{Value: v.Text}
}

// ItemToSDK converts stored attributes for an answer, nil for nil.
func ItemToSDK(item store.Item) map[string]types.AttributeValue {
	if item == nil {
		return nil
	}
	m := make(map[string]types.AttributeValue, len(item))
	for name, v := range item {
		m[name] = ToSDK(v)
	}
	return m
}
