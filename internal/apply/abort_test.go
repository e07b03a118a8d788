package apply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/access"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/scope/scopetest"
)

// phase says whether an aborted call has taken effect.
type phase bool

const (
	before phase = false
	after  phase = true
)

func (p phase) String() string {
	if p == after {
		return "after"
	}
	return "before"
}

// errDead is what every call of a dead process gets.
var errDead = errors.New("the process is dead")

// mortal is a process's way out: it dies at its n-th call (0: never), before or
// after that takes effect, and then makes no call any more.
type mortal struct {
	door  http.RoundTripper
	n     int
	phase phase
	die   context.CancelFunc

	mu    sync.Mutex // guards calls and dead
	calls int
	dead  bool
}

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.calls++
	fatal := m.calls == m.n
	dead := m.dead
	m.dead = m.dead || fatal
	m.mu.Unlock()
	if dead {
		return nil, errDead
	}
	if fatal && m.phase == before {
		m.die()
		return nil, errDead
	}
	resp, err := m.door.RoundTrip(r)
	if fatal {
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		m.die()
		return nil, errDead
	}
	return resp, err
}

// abort starts r and kills it at its n-th call.
func (r run) abort(ctx context.Context, n int, p phase) {
	ctx, die := context.WithCancel(ctx)
	defer die()
	m := &mortal{door: r.world.Door, n: n, phase: p, die: die}
	r.door = m
	r.config.Patience = time.Nanosecond
	_, _ = r.apply(ctx)
}

// calls counts the calls of a whole run.
func (r run) calls(t *testing.T) int {
	t.Helper()
	m := &mortal{door: r.world.Door}
	r.door = m
	r.must(t)
	return m.calls
}

// trouble is what a run has to cope with besides being killed.
type trouble struct {
	name    string
	delay   time.Duration // propagation delay
	fault   service.Fault
	oneCall bool // makes the runs deterministic
	shards  int  // worlds that share the kills
}

// TestKilledAtAnyCallTheNextRunConverges kills a run at every call it makes,
// before and after the call takes effect, and runs it again.
func TestKilledAtAnyCallTheNextRunConverges(t *testing.T) {
	for _, tr := range []trouble{
		{name: "plain", oneCall: true, shards: 4},
		{name: "side by side", shards: 4},
		{name: "throttled", fault: service.Fault{Kind: service.Throttle, Probability: 0.3}, shards: 4},
		{name: "failing after effect", fault: service.Fault{Kind: service.ServerError, Probability: 0.1, After: true}, shards: 4},
		{name: "propagation delay", delay: 20 * time.Second, shards: 4},
	} {
		for shard := range tr.shards {
			t.Run(fmt.Sprintf("%s %d", tr.name, shard), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { tr.torture(t, shard) })
			})
		}
	}
}

// torture takes its share of the kills.
func (tr trouble) torture(t *testing.T, shard int) {
	w := scopetest.New(t, localaws.Config{PropagationDelay: tr.delay})
	c := &cycle{trouble: tr, world: w, set: scopetest.Examples(t, allExamples...)}
	c.seeded = c.state(t)
	made := c.run(false).calls(t)
	c.wanted = c.state(t)
	gone := c.run(true).calls(t)
	if made < 50 || gone < 30 {
		t.Fatalf("a run makes %d calls to apply and %d to destroy: the test does not see them", made, gone)
	}
	if tr.fault.Kind != "" {
		w.Server.Faults().Add(w.Server.World().Now(), tr.fault)
	}
	kills := map[bool][]kill{false: tr.kills(shard, made), true: tr.kills(shard, gone)}
	for destroy := false; len(kills[false])+len(kills[true]) > 0; destroy = !destroy {
		kills[destroy] = c.there(t, destroy, kills[destroy])
		if t.Failed() {
			t.FailNow()
		}
	}
}

// kill is a call at which a run dies.
type kill struct {
	n     int
	phase phase
}

// kills is a world's share of the kills of a run that makes so many calls.
func (tr trouble) kills(shard, calls int) []kill {
	var all, mine []kill
	for n := range calls {
		all = append(all, kill{n + 1, before}, kill{n + 1, after})
	}
	for i := shard; i < len(all); i += tr.shards {
		mine = append(mine, all[i])
	}
	return mine
}

// cycle applies and destroys over and over, killed on the way.
type cycle struct {
	trouble
	world *scopetest.World
	set   *access.Set
	// seeded is the state without the scope's work, wanted after an undisturbed apply.
	seeded, wanted map[string]string
}

func (c *cycle) run(destroy bool) run {
	return run{world: c.world, set: c.set, destroy: destroy, oneCall: c.oneCall}
}

// state is the world with what the ledger says.
func (c *cycle) state(t *testing.T) map[string]string {
	t.Helper()
	out := c.world.Snapshot()
	l, err := c.world.Ledger(t.Context(), scopetest.Tooling, c.set.Scope.Name)
	if err != nil {
		t.Fatal(err)
	}
	out["ledger"] = string(l.Encode())
	return out
}

// there applies (or destroys what is applied), killed on the way, then makes
// good. It returns the kills that are left: those that came before anything was
// written changed nothing, and the next is tried at once.
func (c *cycle) there(t *testing.T, destroy bool, kills []kill) []kill {
	t.Helper()
	from, to := c.seeded, c.wanted
	if destroy {
		from, to = to, from
	}
	at := "no kill"
	for len(kills) > 0 {
		k := kills[0]
		kills = kills[1:]
		at = fmt.Sprintf("destroy %v killed at call %d, %s it took effect", destroy, k.n, k.phase)
		c.run(destroy).abort(t.Context(), k.n, k.phase)
		if !cmp.Equal(from, c.state(t)) {
			break
		}
	}
	mustBeKnown(t, c.world, c.set.Scope.Name)
	c.run(destroy).must(t)
	c.run(destroy).mustBeDone(t)
	if diff := cmp.Diff(to, c.state(t)); diff != "" {
		t.Errorf("not as after an undisturbed run (-want +got):\n%s", diff)
	}
	if t.Failed() {
		t.Logf("%s: %s", c.name, at)
	}
	return kills
}
