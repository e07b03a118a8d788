package main_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/handout"
)

// many is how many roles somebody may know, in the words.
const many = 3000

// What is done for an answer does not grow with what is known: the same packages
// are initialised, and about as much is allocated. Nothing is timed.
func TestAnAnswerTakesNoMoreWhereManyRolesAreKnown(t *testing.T) {
	if testing.Short() {
		t.Skip("listing many roles takes a while: Identity Center is asked no more than 20 times a second")
	}
	work := func(roles int) (packages []string, objects, bytes uint64) {
		p, address := knowing(t, roles)
		r := p.run(t, nil, "credential-process", address)
		if !r.early() || r.key() == "" {
			t.Fatalf("%d roles: early %t, exit %d, %s", roles, r.early(), r.code, r.stderr)
		}
		env := handout.Environment{Environ: func() []string { return p.env }, Getenv: func(name string) string {
			for _, v := range slices.Backward(p.env) {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		}}
		objects, bytes = allocated(func() {
			if c, _, ok := handout.Find(env, &handout.Request{Address: address}); !ok || c.AccessKeyID != r.key() {
				t.Fatalf("%d roles: found %v, %t, want what the program gives", roles, c, ok)
			}
		})
		return r.inits, objects, bytes
	}
	fewPackages, fewObjects, fewBytes := work(1)
	manyPackages, manyObjects, manyBytes := work(many)
	if !slices.Equal(fewPackages, manyPackages) {
		t.Errorf("%d packages are initialised with one role, %d with %d", len(fewPackages), len(manyPackages), many)
	}
	// What grew with the accounts would take an object for each, and reading a file that
	// names all roles some bytes for each; a directory may be read in more pieces.
	if fewObjects == 0 || manyObjects > fewObjects+many/perAccount/2 || manyBytes > fewBytes+many {
		t.Errorf("%d objects of %d bytes are allocated with one role, %d of %d with %d", fewObjects, fewBytes, manyObjects, manyBytes, many)
	}
}

// allocated is what f allocates at least: under the race detector a sync.Pool drops
// some of what it is given, at random.
func allocated(f func()) (objects, bytes uint64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as testing.AllocsPerRun has it
	f()
	objects, bytes = math.MaxUint64, math.MaxUint64
	for range 20 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		objects, bytes = min(objects, after.Mallocs-before.Mallocs), min(bytes, after.TotalAlloc-before.TotalAlloc)
	}
	return objects, bytes
}

// BenchmarkStartUp measures whole processes, from fork to exit, and lists what
// their initialisation costs.
func BenchmarkStartUp(b *testing.B) {
	floor := newPlace(b, time.Hour)
	empty := goProgram(b, "package main\nfunc main() {}\n")
	measure(b, "true", func() *exec.Cmd { return exec.Command("/bin/true") })
	measure(b, "empty-Go-program", func() *exec.Cmd { return exec.Command(empty) })
	measure(b, "version", func() *exec.Cmd { return floor.quiet(b, "--version") })
	for _, roles := range []int{1, many} {
		p, address := knowing(b, roles)
		if r := p.run(b, nil, "credential-process", address); !r.early() || r.key() == "" {
			b.Fatalf("exit %d, early %t, %s", r.code, r.early(), r.stderr)
		}
		measure(b, fmt.Sprintf("cached/roles=%d", roles), func() *exec.Cmd { return p.quiet(b, "credential-process", address) })
		measure(b, fmt.Sprintf("cached-by-the-whole-program/roles=%d", roles), func() *exec.Cmd { return p.quiet(b, "credential-process", "--no-broker", address) })
	}
	if aws := awsCLI(b); aws != nil {
		measure(b, "aws-configure-export-credentials", aws)
	}
	b.Run("initialisation", func(b *testing.B) {
		var list string
		for b.Loop() {
			list = floor.costs(b)
		}
		b.Log("the last of them:\n" + list)
	})
}

// quiet is a command without a trace.
func (p *place) quiet(t testing.TB, args ...string) *exec.Cmd {
	return p.command(t, []string{"GODEBUG="}, args...)
}

// measure runs processes and reports the least and the median of their times.
func measure(b *testing.B, name string, command func() *exec.Cmd) {
	b.Run(name, func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			cmd := command()
			start := time.Now()
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		b.ReportMetric(ms(took[0]), "ms-min")
		b.ReportMetric(ms(took[len(took)/2]), "ms-median")
	})
}

// awsCLI prints credentials that are in its environment, which is the least that it
// can be asked for. Nil where there is none that can.
func awsCLI(t testing.TB) func() *exec.Cmd {
	home := t.TempDir()
	command := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/aws", "configure", "export-credentials") // the system's, without a shim before it
		cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + home, "AWS_ACCESS_KEY_ID=ASIA", "AWS_SECRET_ACCESS_KEY=hush", "AWS_SESSION_TOKEN=hush"}
		return cmd
	}
	if command().Run() != nil {
		return nil
	}
	return command
}

func goProgram(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// costs lists the packages whose initialisation costs most, and all that come
// before an early answer together.
func (p *place) costs(t testing.TB) string {
	t.Helper()
	cmd := p.command(t, nil, "--version")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	type cost struct {
		pkg   string
		clock float64 // ms
		bytes string
	}
	var all []cost
	var before, total float64
	for line := range strings.Lines(trace.String()) {
		// init PACKAGE @START ms, CLOCK ms clock, BYTES bytes, ALLOCS allocs (package runtime, GODEBUG inittrace)
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != "init" {
			continue
		}
		clock, err := strconv.ParseFloat(f[4], 64)
		if err != nil {
			t.Fatalf("reading the trace: %q: %v", line, err)
		}
		total += clock
		if strings.HasSuffix(f[1], "/internal/early") {
			before = total
		}
		all = append(all, cost{f[1], clock, f[7]})
	}
	slices.SortStableFunc(all, func(a, b cost) int { return int(1e6 * (b.clock - a.clock)) })
	var out strings.Builder
	fmt.Fprintf(&out, "initialising %d packages takes %.2f ms, those before an early answer %.2f ms\n", len(all), total, before)
	for _, c := range all[:min(len(all), 8)] {
		fmt.Fprintf(&out, "%8.3f ms %9s bytes  %s\n", c.clock, c.bytes, c.pkg)
	}
	return strings.TrimSpace(out.String())
}
