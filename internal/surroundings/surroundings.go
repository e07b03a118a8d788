// Package surroundings is what around a process decides which credentials it
// gets: variables of its environment, and files. [Deciding] names the variables,
// [FindPaths], [State] and [ProfileFiles] the files of a person, [Above] and
// [Guarded] those of the working directory.
//
// It reads no file's contents, and keeps to packages that are initialised early
// (see internal/early): so there is no path/filepath here. stile runs on Unix,
// where package path says the same of absolute paths.
package surroundings

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// names are the variables beside AWS_* and STILE_* that decide which credentials
// there are and how AWS is reached.
var names = []string{
	"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "KUBECONFIG", "DBUS_SESSION_BUS_ADDRESS",
}

// ignored are variables that look as if they decided, and do not, or whose value
// is part of the request.
var ignored = []string{
	"STILE_BROKER", InsideEnv, DeclarationsEnv, "STILE_ADDRESS", "STILE_EXPIRES", "STILE_REGION", "STILE_ACCOUNT_ID", "STILE_ACCOUNT_NAME",

	// How programs print, retry, sum up and name themselves (AWS SDKs and tools reference
	// guide, "Settings reference"; AWS CLI user guide, "Environment variables").
	"AWS_PAGER", "AWS_CLI_AUTO_PROMPT", "AWS_CLI_FILE_ENCODING", "AWS_CLI_HISTORY_FILE", "AWS_CLI_OUTPUT_ENCODING", "AWS_DEFAULT_OUTPUT", "AWS_EXECUTION_ENV",
	"AWS_SDK_UA_APP_ID", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION",
	"AWS_DISABLE_REQUEST_COMPRESSION", "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "AWS_ENABLE_ENDPOINT_DISCOVERY",
	"AWS_ENDPOINT_URL_S3", "AWS_S3_USE_ARN_REGION", "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT", "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
	// What others leave beside credentials, for people.
	"AWS_VAULT", "AWS_SESSION_EXPIRATION", "AWS_CREDENTIAL_EXPIRATION",
}

// InsideEnv tells the programs that give credentials, and stile below them, for what
// they run: see package program.
const InsideEnv = "STILE_CREDENTIAL_PROCESS"

// DeclarationsEnv names the declarations when no flag does.
const DeclarationsEnv = "STILE_DECLARATIONS"

// Deciding is the part of an environment that decides, sorted.
func Deciding(environ []string) []string {
	var out []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		decides := strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "STILE_") || slices.Contains(names, name)
		if decides && !slices.Contains(ignored, name) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// reaching are the variables, beside AWS_ENDPOINT_URL*, by which AWS is reached.
var reaching = []string{
	"HOME", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// World is a mark of whose home this is and of which AWS its programs reach: the
// real one or a local one. Credentials of one are nobody's in another.
func World(environ []string) string {
	var out []string
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if value != "" && (slices.Contains(reaching, name) || strings.HasPrefix(name, "AWS_ENDPOINT_URL")) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return mark(out)
}

// Mark is a mark of all that decides, and of where programs are found: what a
// program gives that somebody has named depends on both. It tells none of it.
func Mark(environ []string) string {
	out := Deciding(environ)
	for _, v := range environ {
		if strings.HasPrefix(v, "PATH=") {
			out = append(out, v)
		}
	}
	return mark(out)
}

func mark(words []string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return hex.EncodeToString(sum[:])
}

// State is where stile keeps its state: $XDG_STATE_HOME/stile, by default
// ~/.local/state/stile.
func State(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); path.IsAbs(dir) {
		return path.Join(dir, "stile"), nil
	}
	home := getenv("HOME")
	if home == "" {
		return "", errors.New("finding stile's state: neither XDG_STATE_HOME nor HOME is set")
	}
	return path.Join(home, ".local", "state", "stile"), nil
}

// ProfileFiles are the AWS config and credentials files.
func ProfileFiles(getenv func(string) string) []string {
	home := path.Join(getenv("HOME"), ".aws")
	return []string{
		cmp.Or(getenv("AWS_CONFIG_FILE"), path.Join(home, "config")),
		cmp.Or(getenv("AWS_SHARED_CREDENTIALS_FILE"), path.Join(home, "credentials")),
	}
}

// Upwards gives dir, which is absolute, and all directories above it.
func Upwards(dir string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dir = path.Clean(dir); yield(dir) && path.Dir(dir) != dir; dir = path.Dir(dir) {
		}
	}
}

// Above finds the directory of a stile.yaml in the working directory or above,
// "" when there is none. One that is another user's is passed over, as everybody
// can put one into /tmp, and with it all work below it: see [Foreign].
func Above() string { dir, _ := above(); return dir }

// Foreign is a stile.yaml that Above passes over since it is another user's, "" for
// none.
func Foreign() string { _, file := above(); return file }

func above() (own, foreign string) {
	dir, err := os.Getwd()
	if err != nil {
		return "", ""
	}
	for dir := range Upwards(dir) {
		file := path.Join(dir, "stile.yaml")
		info, err := os.Stat(file)
		switch {
		case err != nil || !info.Mode().IsRegular():
		case trusted(info):
			return dir, foreign
		case foreign == "":
			foreign = file
		}
	}
	return "", foreign
}

// Mine reports that a file or directory is this user's. In another's, who may take
// away what is put there and put something else in its place, nothing is safe.
func Mine(info fs.FileInfo) bool {
	own, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(own.Uid) == os.Getuid()
}

// trusted reports a file of this user, of root, or of who has become root by sudo.
func trusted(info fs.FileInfo) bool {
	own, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	return own.Uid == 0 || Mine(info) || bySudo(int(own.Uid))
}

// bySudo reports that this is root, by the will of a user.
func bySudo(uid int) bool { return os.Getuid() == 0 && os.Getenv("SUDO_UID") == strconv.Itoa(uid) }

// Borrowed reports that this is root by sudo, with the home of who has called it.
func Borrowed(home string) bool {
	info, err := os.Stat(home)
	if err != nil || Mine(info) {
		return false
	}
	own, ok := info.Sys().(*syscall.Stat_t)
	return ok && bySudo(int(own.Uid))
}

// GuardFile is the name of a guard's file (package guard).
const GuardFile = ".stile-guard.yaml"

// Guarded reports that something of a guard's name is in the working directory
// or above, or that nobody can tell. Where the directory was come to by a link, that
// is above where it is, and above the link.
func Guarded() bool {
	dir, err := os.Getwd() // as the shell has it
	if err != nil {
		return true
	}
	real, err := syscall.Getwd()
	return err != nil || guarded(dir) || real != dir && guarded(real)
}

func guarded(dir string) bool {
	for dir := range Upwards(dir) {
		if _, err := os.Lstat(path.Join(dir, GuardFile)); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
	}
	return false
}
