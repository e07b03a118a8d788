package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// small is a package of one service.
func small() map[string]string {
	return map[string]string{
		"package.json":                     `{"version": "1.2.3", "updatedAt": "2026-01-02T03:04:05Z"}`,
		"data/services.json":               `["s3"]`,
		"data/rcpSupportedServices.json":   `["s3"]`,
		"data/conditionKeys/s3.json":       `{"a": {"key": "s3:prefix", "type": "String"}, "b": {"key": "aws:TagKeys", "type": "ArrayOfString"}, "c": {"key": "saml:aud", "type": "String"}}`,
		"data/resourceTypes/s3.json":       `{"bucket": {"key": "bucket", "arn": "arn:${Partition}:s3:::${BucketName}", "conditionKeys": ["aws:TagKeys"]}}`,
		"data/actions/s3.json":             `{"listbucket": {"name": "ListBucket", "accessLevel": "List", "conditionKeys": ["s3:prefix"], "resourceTypes": [{"name": "bucket", "required": true, "conditionKeys": ["saml:aud"]}]}, "x": {"name": "ListAllMyBuckets", "accessLevel": "List"}}`,
		"dist/cjs/globalConditionKeys.js":  "exports.globalConditionKeys = [\n    {\n        key: 'aws:PrincipalTag/tag-key',\n        category: 'principal',\n        type: 'String',\n",
		"dist/cjs/somethingElse/README.md": "not read",
	}
}

func pack(t *testing.T, files map[string]string) (path, sum string) {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: "package/" + name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "package.tgz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := sha512.Sum512(b.Bytes())
	return path, hex.EncodeToString(hash[:])
}

// generate runs the command over files and returns what it wrote.
func generate(t *testing.T, files map[string]string) ([]byte, facts, error) {
	t.Helper()
	path, sum := pack(t, files)
	dir := t.TempDir()
	if err := run(t.Context(), options{spec: "@scope/iam-data@1.2.3", sha512: sum, from: path, out: dir}); err != nil {
		return nil, facts{}, err
	}
	data, err := os.ReadFile(filepath.Join(dir, "zz_iamdata.bin"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "zz_iamdata.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f facts
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return data, f, nil
}

func TestSamePackageGivesSameBytes(t *testing.T) {
	first, f, err := generate(t, small())
	if err != nil {
		t.Fatal(err)
	}
	second, g, err := generate(t, small())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) || f != g {
		t.Error("two runs over one package differ")
	}
	f.SHA256, f.TextSHA256, f.TarballSHA512 = "", "", ""
	want := facts{
		Package: "@scope/iam-data", Version: "1.2.3", UpdatedAt: "2026-01-02T03:04:05Z",
		Services: 1, Actions: 2, WildcardOnly: 1, ResourceTypes: 1, ConditionKeys: 3, GlobalKeys: 2, RCPServices: 1,
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// The text of a service is what package catalog reads; its form is described
// in data.go there.
func TestSectionText(t *testing.T) {
	files := map[string][]byte{}
	for name, content := range small() {
		files[name] = []byte(content)
	}
	m, err := read(files)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sectionText(&m.services[0], &facts{})
	if err != nil {
		t.Fatal(err)
	}
	want := "Kaws:TagKeys\tS\nKs3:prefix\ts\nKsaml:aud\ts\n" +
		"Rbucket\tarn:${Partition}:s3:::${BucketName}\t0\n" +
		"AListAllMyBuckets\tL\t\t\nAListBucket\tL\t0!\t1,2\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("section (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]foreignPrefix{{"saml", "s3"}}, m.foreign, cmp.AllowUnexported(foreignPrefix{})); diff != "" {
		t.Errorf("foreign prefixes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]key{{"aws:PrincipalTag/${TagKey}", "String"}, {"aws:TagKeys", "ArrayOfString"}}, m.globals, cmp.AllowUnexported(key{})); diff != "" {
		t.Errorf("global keys (-want +got):\n%s", diff)
	}
}

// What the command does not understand stops it: silence would make facts of it.
func TestRefusesWhatItDoesNotUnderstand(t *testing.T) {
	tests := []struct {
		name, file, old, new string
		want                 string
	}{
		{"another version", "package.json", "1.2.3", "1.2.4", "says it is version 1.2.4"},
		{"an access level", "data/actions/s3.json", `"accessLevel": "List"`, `"accessLevel": "Browse"`, `unknown access level "Browse"`},
		{"a key's type", "data/conditionKeys/s3.json", "ArrayOfString", "ListOfString", `unknown type "ListOfString"`},
		{"a resource type nobody defines", "data/actions/s3.json", `"name": "bucket"`, `"name": "pail"`, `"pail", which is no resource type`},
		{"a condition key nobody defines", "data/actions/s3.json", "s3:prefix", "s3:suffix", `"s3:suffix" and does not define it`},
		{"dependent actions", "data/actions/s3.json", `"conditionKeys": ["s3:prefix"]`, `"conditionKeys": [], "dependentActions": ["kms:Decrypt"]`, "dependent actions"},
		{"an RCP service that is none", "data/rcpSupportedServices.json", "s3", "s4", `"s4", which is no service`},
		{"the table of global keys", "dist/cjs/globalConditionKeys.js", "type: 'String'", "type: String", "read 0 of 1 entries"},
		{"JSON", "data/services.json", "[", "", "parsing data/services.json"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := small()
			changed := strings.Replace(files[test.file], test.old, test.new, 1)
			if changed == files[test.file] {
				t.Fatal("the case changes nothing")
			}
			files[test.file] = changed
			if _, _, err := generate(t, files); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
	files := small()
	delete(files, "data/actions/s3.json")
	if _, _, err := generate(t, files); err == nil || !strings.Contains(err.Error(), "no data/actions/s3.json") {
		t.Errorf("a missing file: %v", err)
	}
	path, _ := pack(t, small())
	if err := run(t.Context(), options{spec: "@scope/iam-data@1.2.3", sha512: strings.Repeat("0", 128), from: path, out: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "sha512 is") {
		t.Errorf("another tarball: %v", err)
	}
	if err := run(t.Context(), options{spec: "nothing", out: t.TempDir()}); err == nil {
		t.Error("a package without a version is taken")
	}
}
