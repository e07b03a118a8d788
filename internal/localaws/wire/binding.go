package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	dynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// bindingKey names the pair of a structure of a model and a Go type.
type bindingKey struct {
	shape *shape
	typ   reflect.Type
}

// binding says which Go field holds which member. A structure of the model is a
// Go struct, or an interface with a type per member where the SDK has a union.
type binding struct {
	fields   []field
	byName   map[string]*field       // by model name
	byWire   map[string]*field       // by name on the wire
	concrete map[reflect.Type]*field // of a union
}

// field is one member bound. For a union, index is the field Value of the
// concrete type.
type field struct {
	*member
	index    int
	concrete reflect.Type
}

// bind returns the binding of s to t, which is a struct or a union interface.
func (m *Model) bind(s *shape, t reflect.Type) (*binding, error) {
	key := bindingKey{s, t}
	if b, ok := m.bindings.Load(key); ok {
		return b.(*binding), nil
	}
	b := &binding{byName: map[string]*field{}, byWire: map[string]*field{}, concrete: map[reflect.Type]*field{}}
	var err error
	switch t.Kind() {
	case reflect.Struct:
		b.bindStruct(s, t)
	case reflect.Interface:
		err = b.bindUnion(s, t)
	default:
		err = fmt.Errorf("binding %s: structure %s has no fields in it", t, s.name)
	}
	if err != nil {
		return nil, err
	}
	for i := range b.fields {
		f := &b.fields[i]
		b.byName[f.name] = f
		b.byWire[f.wire] = f
		if f.concrete != nil {
			b.concrete[f.concrete] = f
		}
	}
	m.bindings.Store(key, b)
	return b, nil
}

func (b *binding) bindStruct(s *shape, t reflect.Type) {
	for _, mb := range s.members {
		f, ok := t.FieldByName(mb.field)
		if !ok || len(f.Index) != 1 || !f.IsExported() {
			continue // a member newer than the SDK
		}
		b.fields = append(b.fields, field{member: mb, index: f.Index[0]})
	}
}

func (b *binding) bindUnion(s *shape, t reflect.Type) error {
	for _, u := range unions {
		if u.iface != t {
			continue
		}
		for _, mb := range s.members {
			for _, concrete := range u.concrete {
				if concrete.Name() == t.Name()+"Member"+mb.field {
					b.fields = append(b.fields, field{member: mb, index: 0, concrete: concrete})
				}
			}
		}
		return nil
	}
	return fmt.Errorf("binding %s: a union that the codec does not list", t)
}

// union is a union interface of the SDK and the types that implement it.
type union struct {
	iface    reflect.Type
	concrete []reflect.Type
}

// unions lists the SDK's unions in the models served, because reflection cannot
// find the types that implement an interface. test/conformance fails when one
// is missing. Nothing writes to it.
var unions = []union{{
	iface: reflect.TypeFor[dynamodb.AttributeValue](),
	concrete: []reflect.Type{
		reflect.TypeFor[dynamodb.AttributeValueMemberB](), reflect.TypeFor[dynamodb.AttributeValueMemberBOOL](),
		reflect.TypeFor[dynamodb.AttributeValueMemberBS](), reflect.TypeFor[dynamodb.AttributeValueMemberL](),
		reflect.TypeFor[dynamodb.AttributeValueMemberM](), reflect.TypeFor[dynamodb.AttributeValueMemberN](),
		reflect.TypeFor[dynamodb.AttributeValueMemberNS](), reflect.TypeFor[dynamodb.AttributeValueMemberNULL](),
		reflect.TypeFor[dynamodb.AttributeValueMemberS](), reflect.TypeFor[dynamodb.AttributeValueMemberSS](),
	},
}}

// members calls visit with every member that a structure value has a field for,
// set or not, in the model's order; of a union, with the one that is set.
func (m *Model) members(s *shape, v reflect.Value, visit func(mb *member, v reflect.Value) error) error {
	v, ok := indirect(v)
	if !ok {
		return nil
	}
	if v.Kind() == reflect.Map {
		return membersOfMap(s, v, visit)
	}
	if f, value, err := m.unionMember(s, v); f != nil || err != nil {
		if err != nil {
			return err
		}
		if value.CanAddr() {
			value = value.Addr() // the member is set even where its value is empty
		}
		return visit(f.member, value)
	}
	b, err := m.bind(s, v.Type())
	if err != nil {
		return err
	}
	for i := range b.fields {
		if err := visit(b.fields[i].member, v.Field(b.fields[i].index)); err != nil {
			return err
		}
	}
	return nil
}

// membersOfMap visits a map[string]any that stands for a structure, as in
// Error.Fields. Keys are member names or Go field names.
func membersOfMap(s *shape, v reflect.Value, visit func(mb *member, v reflect.Value) error) error {
	for _, mb := range s.members {
		value := v.MapIndex(reflect.ValueOf(mb.name).Convert(v.Type().Key()))
		if !value.IsValid() {
			value = v.MapIndex(reflect.ValueOf(mb.field).Convert(v.Type().Key()))
		}
		if !value.IsValid() {
			continue
		}
		if err := visit(mb, value); err != nil {
			return err
		}
	}
	return nil
}

// unionMember returns the one set member of a union's concrete value, or a nil
// field when v is no member of a union. The interface has been unwrapped, so
// the concrete type leads back to it.
func (m *Model) unionMember(s *shape, v reflect.Value) (*field, reflect.Value, error) {
	if v.Kind() != reflect.Struct || !strings.Contains(v.Type().Name(), "Member") {
		return nil, reflect.Value{}, nil
	}
	for _, u := range unions {
		if !slices.Contains(u.concrete, v.Type()) {
			continue
		}
		b, err := m.bind(s, u.iface)
		if err != nil {
			return nil, reflect.Value{}, err
		}
		f := b.concrete[v.Type()]
		if f == nil {
			return nil, reflect.Value{}, fmt.Errorf("encoding %s: %s has no such member", v.Type(), s.name)
		}
		return f, v.Field(f.index), nil
	}
	return nil, reflect.Value{}, nil
}

// indirect follows pointers and interfaces; false means nil.
func indirect(v reflect.Value) (reflect.Value, bool) {
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		if v.IsNil() {
			return v, false
		}
		v = v.Elem()
	}
	return v, v.IsValid()
}

// target returns the settable value to decode into, allocating what v points
// to.
func target(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	return v
}
