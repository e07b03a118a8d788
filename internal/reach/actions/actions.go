// Package actions writes sets of actions as people read them: by the patterns of
// policies, by whole services, by name.
//
// Start with [Describe]. Lists of actions are sorted byte by byte, in AWS's own
// spelling. What patterns stand for is the catalog's business.
package actions

import (
	"slices"
	"strings"
)

// Describe says which of the actions that a pattern stands for are meant:
// the pattern itself, the pattern but for some, or those that are, with whole
// services as one.
func Describe(pattern string, all, some []string, covered int) (actions, except []string) {
	switch {
	case len(some) == covered && covered == len(all):
		return []string{pattern}, nil
	case len(some)*2 > len(all):
		return []string{pattern}, Shorten(pattern, all, without(all, some))
	}
	return Shorten(pattern, all, some), nil
}

// without is the names of a that are not in b, both sorted.
func without(a, b []string) []string {
	var out []string
	for _, name := range a {
		if _, found := slices.BinarySearch(b, name); !found {
			out = append(out, name)
		}
	}
	return out
}

// Shorten writes names of which a service has no others among all as one.
func Shorten(pattern string, all, some []string) []string {
	if _, operation, _ := strings.Cut(pattern, ":"); pattern != "*" && operation != "*" {
		return some
	}
	count := func(list []string) map[string]int {
		n := map[string]int{}
		for _, name := range list {
			service, _, _ := strings.Cut(name, ":")
			n[service]++
		}
		return n
	}
	has, of := count(some), count(all)
	var out []string
	for _, name := range some {
		service, _, _ := strings.Cut(name, ":")
		if whole := service + ":*"; has[service] == of[service] {
			name = whole
		}
		if len(out) == 0 || out[len(out)-1] != name {
			out = append(out, name)
		}
	}
	return out
}

// Overlap reports whether some text is described by both patterns.
func Overlap(a, b string) bool {
	row := make([]bool, len(b)+1) // row[j]: the rest of a and b[j:] overlap
	for i := len(a); i >= 0; i-- {
		before := row
		row = make([]bool, len(b)+1)
		for j := len(b); j >= 0; j-- {
			switch {
			case i == len(a) && j == len(b):
				row[j] = true
			case i < len(a) && a[i] == '*':
				row[j] = before[j] || j < len(b) && row[j+1]
			case j < len(b) && b[j] == '*':
				row[j] = row[j+1] || i < len(a) && before[j]
			case i < len(a) && j < len(b):
				row[j] = (a[i] == b[j] || a[i] == '?' || b[j] == '?') && before[j+1]
			}
		}
	}
	return row[0]
}
