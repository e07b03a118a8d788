package use

import (
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/render/awsconfig"
	"github.com/stile-aws/stile/internal/session"
	"github.com/stile-aws/stile/internal/session/recent"
)

// keepProfiles is how many profiles of others the block keeps beside those that a
// shell is known to use.
const keepProfiles = 20

const headed = "profile " // as a section's heading begins

// pruned leaves out the profiles of addresses that were used longest ago: those
// beyond keepProfiles that no shell uses. dir is where uses are remembered.
func pruned(sections []awsconfig.Section, dir string) []awsconfig.Section {
	if len(sections) <= keepProfiles {
		return sections
	}
	latest, err := (&recent.Log{Dir: dir}).Latest()
	if err != nil {
		return sections // nothing is known to be old
	}
	rank := map[string]int{}
	for i, address := range latest {
		if _, known := rank[base(address)]; !known {
			rank[base(address)] = i
		}
	}
	age := func(s awsconfig.Section) int {
		name := strings.TrimPrefix(s.Heading, headed)
		if i, ok := rank[name]; ok {
			return i
		}
		if i, ok := rank[withoutSum(name)]; ok {
			return i
		}
		return len(latest)
	}
	live := map[string]bool{}
	shellsIn(dir).live(live)
	inherited(live)
	byAge := slices.SortedStableFunc(slices.Values(sections), func(a, b awsconfig.Section) int { return age(a) - age(b) })
	old := map[string]bool{}
	for _, s := range byAge[keepProfiles:] {
		old[s.Heading] = !live[strings.TrimPrefix(s.Heading, headed)]
	}
	return slices.DeleteFunc(sections, func(s awsconfig.Section) bool { return old[s.Heading] })
}

// recentIn is where it is remembered what was used.
func recentIn(paths session.Paths) string { return filepath.Dir(paths.Locks) }

func shellsIn(dir string) shellsDir { return shellsDir(filepath.Join(dir, "shells")) }

// withoutSum is a profile's name without the sum that [nameOf] may have put behind it.
func withoutSum(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if sum, err := hex.DecodeString(name[i+1:]); err != nil || len(sum) != sumSize {
		return name
	}
	return name[:i]
}
