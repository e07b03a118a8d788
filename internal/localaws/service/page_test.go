package service_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stile-aws/stile/internal/localaws/service"
)

func itself(s string) string { return s }

// A listing that is read page by page has every entry once, also when others
// come and go meanwhile.
func TestPagesHaveEveryEntryOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringN(1, 4, -1), itself).Draw(t, "names")
		limit := rapid.Int32Range(1, 5).Draw(t, "limit")
		lost := rapid.IntRange(0, max(0, len(names)-1)).Draw(t, "lost")
		var seen []string
		var token *string
		for {
			shown, next, ok := service.SortedPage(slices.Clone(names), itself, token, &limit, 1)
			if !ok || shown == nil || len(shown) > int(limit) {
				t.Fatalf("SortedPage = %v, %v", shown, ok)
			}
			seen = append(seen, shown...)
			if token = next; token == nil {
				break
			}
			if lost < len(names) && slices.Contains(seen, names[lost]) {
				names = slices.Delete(slices.Clone(names), lost, lost+1) // it was shown, and goes
				lost = len(names)
			}
		}
		for _, name := range names {
			if n := len(slices.DeleteFunc(slices.Clone(seen), func(s string) bool { return s != name })); n != 1 {
				t.Fatalf("%q is listed %d times in %v", name, n, seen)
			}
		}
		if !slices.IsSorted(seen) {
			t.Fatalf("not in order: %v", seen)
		}
	})
}

func TestOrderedPagesKeepTheirOrder(t *testing.T) {
	all := []string{"c", "a", "d", "b"}
	two, zero := int32(2), int32(0)
	first, next, ok := service.OrderedPage(all, itself, nil, &two, 10)
	if diff := cmp.Diff([]string{"c", "a"}, first); diff != "" || !ok || next == nil {
		t.Fatalf("first page: %s %v %v", diff, next, ok)
	}
	last, end, ok := service.OrderedPage(all, itself, next, &zero, 3)
	if diff := cmp.Diff([]string{"d", "b"}, last); diff != "" || !ok || end != nil {
		t.Errorf("last page: %s %v %v", diff, end, ok)
	}
	if _, _, ok := service.OrderedPage([]string{"c"}, itself, next, nil, 3); ok {
		t.Error("a token of an entry that has gone is taken")
	}
}

func TestPagesRefuseWhatIsNoToken(t *testing.T) {
	for _, text := range []string{"*", "%%%", "a", "a=", "ü"} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			if shown, _, ok := service.SortedPage([]string{"a"}, itself, &text, nil, 3); ok {
				t.Errorf("SortedPage = %v", shown)
			}
			if shown, _, ok := service.OrderedPage([]string{"a"}, itself, &text, nil, 3); ok {
				t.Errorf("OrderedPage = %v", shown)
			}
		})
	}
	empty := ""
	if shown, next, ok := service.SortedPage[string](nil, itself, &empty, nil, 3); !ok || shown == nil || len(shown) != 0 || next != nil {
		t.Errorf("of nothing: %v, %v, %v", shown, next, ok)
	}
}
