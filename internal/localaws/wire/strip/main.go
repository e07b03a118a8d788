// Command strip makes the service models that package wire embeds from
// botocore's. It is a maintainer's command: run it with the data directory of
// an installed botocore, add a service's directory name to -services to serve
// one more, and commit what it writes.
//
//	go run ./internal/localaws/wire/strip -botocore DIR
//
// DIR is the botocore package, the directory that holds data and __init__.py.
// Documentation, examples and endpoint rule parameters are dropped; all that
// says how a request or an answer looks, and all constraints, are kept, so that
// botocore itself can load the result. Equal input gives equal bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// served are the services whose models the repository carries, by the name of
// their directory in botocore.
const served = "dynamodb,eks,iam,kms,organizations,secretsmanager,signin,sso,sso-oidc,sts"

// dropped are the model keys no reader of a stripped model needs.
var dropped = []string{
	"documentation", "documentationUrl", "deprecatedMessage", "deprecatedSince", "staticContextParams",
	"operationContextParams", "contextParam", "clientContextParams", "examples", "externalDocumentation",
}

func main() {
	botocore := flag.String("botocore", "", "the botocore package's `directory`")
	services := flag.String("services", served, "the services, by directory name, `comma-separated`")
	out := flag.String("out", "internal/localaws/wire/models", "the `directory` to write to")
	flag.Parse()
	if err := run(*botocore, strings.Split(*services, ","), *out); err != nil {
		fmt.Fprintln(os.Stderr, "strip:", err)
		os.Exit(1)
	}
}

func run(botocore string, services []string, out string) error {
	if botocore == "" {
		return errors.New("-botocore names the botocore package's directory and is required")
	}
	version, err := botocoreVersion(botocore)
	if err != nil {
		return err
	}
	slices.Sort(services)
	var sums bytes.Buffer
	for _, service := range services {
		packed, err := pack(botocore, service)
		if err != nil {
			return fmt.Errorf("stripping the model of %s: %w", service, err)
		}
		name := service + ".json.gz"
		if err := os.WriteFile(filepath.Join(out, name), packed, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(packed), name)
	}
	if err := os.WriteFile(filepath.Join(out, "SHA256SUMS"), sums.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "VERSION"), []byte("botocore "+version+"\n"), 0o644)
}

var versionLine = regexp.MustCompile(`(?m)^__version__ = '([0-9.]+)'`)

func botocoreVersion(dir string) (string, error) {
	source, err := os.ReadFile(filepath.Join(dir, "__init__.py"))
	if err != nil {
		return "", err
	}
	match := versionLine.FindSubmatch(source)
	if match == nil {
		return "", fmt.Errorf("finding __version__ in %s/__init__.py: no such line", dir)
	}
	return string(match[1]), nil
}

// pack reads the newest API version of a service and returns it stripped.
func pack(botocore, service string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(botocore, "data", service, "*", "service-2.json*"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no service-2.json below %s/data/%s", botocore, service)
	}
	data, err := readModel(slices.Max(files))
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var model map[string]any
	if err := decoder.Decode(&model); err != nil {
		return nil, err
	}
	strip(model)
	plain, err := json.Marshal(model)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

func readModel(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !strings.HasSuffix(file, ".gz") {
		return io.ReadAll(f)
	}
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// strip drops what is not needed from the model, its operations, its shapes and
// their members. It looks only where the format puts such keys, because a
// member may itself be called "documentation".
func strip(model map[string]any) {
	drop(model)
	for _, operation := range objects(model["operations"]) {
		drop(operation)
	}
	for _, shape := range objects(model["shapes"]) {
		drop(shape)
		for _, member := range objects(shape["members"]) {
			drop(member)
		}
		for _, part := range []string{"member", "key", "value"} {
			if inner, ok := shape[part].(map[string]any); ok {
				drop(inner)
			}
		}
	}
}

func drop(object map[string]any) {
	for _, key := range dropped {
		delete(object, key)
	}
}

func objects(v any) map[string]map[string]any {
	out := map[string]map[string]any{}
	parent, _ := v.(map[string]any)
	for name, child := range parent {
		if object, ok := child.(map[string]any); ok {
			out[name] = object
		}
	}
	return out
}
