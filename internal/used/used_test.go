package used_test

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/used"
)

func TestOutside(t *testing.T) {
	before := []string{"AWS_PROFILE=own \"odd\"\nvalue", "AWS_REGION=eu-west-1", "AWS_ROLE_ARN=x"}
	state := used.State{Choice: `{"Address":"a/b"}`, Before: before}
	inside := []string{
		"PATH=/bin", "AWS_PROFILE=stile-a/b", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_SDK_LOAD_CONFIG=1", "STILE_ADDRESS=a/b",
		"STILE_EXPIRES=2026-11-22T10:00:00Z", "STILE_USED=" + state.String(), "AWS_PAGER=",
	}
	got, is := used.Outside(inside)
	if is == nil || is.Choice != state.Choice {
		t.Errorf("the state is %v, want %v", is, state)
	}
	if diff := cmp.Diff(append([]string{"PATH=/bin", "AWS_PAGER="}, before...), got); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	// What cannot be read is nothing, and changes nothing.
	for _, text := range []string{"", "x", `"a" b`, `"a`} {
		environ := []string{"AWS_PROFILE=x", "STILE_USED=" + text}
		if got, is := used.Outside(environ); is != nil || !slices.Equal(got, environ) {
			t.Errorf("by the state %q the environment was %q", text, got)
		}
	}
}

func TestRegion(t *testing.T) {
	state := used.State{Choice: "c", Before: []string{"AWS_REGION=eu-west-1"}}.String()
	for _, c := range []struct {
		name         string
		environ      []string
		want, saidBy string
	}{
		{"nothing said", []string{"AWS_REGION="}, "", ""},
		{"the person's", []string{"AWS_REGION=a", "AWS_DEFAULT_REGION=b"}, "a", "AWS_REGION"},
		{"the other variable", []string{"AWS_DEFAULT_REGION=b"}, "b", "AWS_DEFAULT_REGION"},
		{"the person's in a shell that uses something", []string{"AWS_REGION=a", "STILE_ADDRESS=other", "STILE_USED=" + state}, "a", "AWS_REGION"},
		{"stile's for another address", []string{"AWS_REGION=a", "AWS_DEFAULT_REGION=a", "STILE_ADDRESS=other", "STILE_REGION=a"}, "", ""},
		{"stile's for another address, and what was there before", []string{"AWS_REGION=a", "STILE_ADDRESS=other", "STILE_REGION=a", "STILE_USED=" + state}, "eu-west-1", "AWS_REGION"},
		{"stile's for this address", []string{"AWS_REGION=a", "STILE_ADDRESS=here", "STILE_REGION=a"}, "a", "AWS_REGION"},
		{"changed since", []string{"AWS_REGION=b", "AWS_DEFAULT_REGION=a", "STILE_ADDRESS=other", "STILE_REGION=a", "STILE_USED=" + state}, "b", "AWS_REGION"},
		{"the last of several", []string{"AWS_REGION=a", "AWS_REGION=b"}, "b", "AWS_REGION"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, saidBy := used.Region(c.environ, "here"); got != c.want || saidBy != c.saidBy {
				t.Errorf("Region(%q) = %q, %q, want %q, %q", c.environ, got, saidBy, c.want, c.saidBy)
			}
		})
	}
}

func TestLeave(t *testing.T) {
	for name, value := range map[string]string{
		"STILE_USED":  used.State{Choice: "c", Before: []string{"AWS_PROFILE=own"}}.String(),
		"AWS_PROFILE": "stile-a", "AWS_REGION": "us-east-1", "STILE_ADDRESS": "a", "AWS_CA_BUNDLE": "kept",
	} {
		t.Setenv(name, value)
	}
	if err := used.Leave(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"AWS_PROFILE": "own", "AWS_REGION": "", "STILE_ADDRESS": "", "STILE_USED": "", "AWS_CA_BUNDLE": "kept"} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if err := used.Leave(); err != nil || os.Getenv("AWS_PROFILE") != "own" {
		t.Errorf("leaving twice: %v, %q", err, os.Getenv("AWS_PROFILE"))
	}
}

// What was written is read.
func FuzzState(f *testing.F) {
	f.Add("choice", "NAME=value", "")
	f.Add("", "\"", "\n ' \\ \xff")
	f.Fuzz(func(t *testing.T, choice, one, two string) {
		want := used.State{Choice: choice, Before: []string{one, two}}
		if got, ok := used.Parse(want.String()); !ok || !cmp.Equal(got, want) {
			t.Errorf("Parse(%q) = %q, %v", want, got, ok)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`"a" "b"`)
	f.Add(`"a"  'x' `)
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := used.Parse(text); ok {
			if again, ok := used.Parse(s.String()); !ok || !cmp.Equal(s, again) {
				t.Errorf("%q is read as %q, and that as %q", text, s, again)
			}
		}
	})
}
