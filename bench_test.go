package stile_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/stile-aws/stile"
)

// The benchmarks compare Pool with what services write by hand: 64 goroutines,
// 250 roles in four Regions, STS answering after 20 ms.
const (
	benchRoles      = 250
	benchGoroutines = 64
	benchLatency    = 20 * time.Millisecond
)

var benchRegions = []string{"us-east-1", "us-west-2", "eu-west-1", "eu-central-1"}

// slowSTS answers AssumeRole after benchLatency.
type slowSTS struct {
	life     time.Duration
	throttle atomic.Bool
	hang     atomic.Bool // never answer
	calls    atomic.Int64
}

func (s *slowSTS) RoundTrip(r *http.Request) (*http.Response, error) {
	timer := time.NewTimer(benchLatency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	n := s.calls.Add(1)
	if s.hang.Load() {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	status, body := http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA%d</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
		<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, n, time.Now().Add(s.life).UTC().Format(time.RFC3339Nano))
	if s.throttle.Load() {
		status, body = http.StatusBadRequest, `<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{"Content-Type": {"text/xml"}}, Request: r}, nil
}

func (s *slowSTS) config() aws.Config {
	return aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: s},
		Credentials: credentials.StaticCredentialsProvider{Value: aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s", AccountID: "111111111111"}},
	}
}

// getter gives the configuration of a role for a Region, whose credentials the
// caller then retrieves, as each request of a client does.
type getter func(ctx context.Context, account, region string) (aws.Config, error)

// credentials does both.
func (g getter) credentials(ctx context.Context, account, region string) (aws.Credentials, error) {
	cfg, err := g(ctx, account, region)
	if err != nil {
		return aws.Credentials{}, err
	}
	return cfg.Credentials.Retrieve(ctx)
}

type peer struct {
	name string
	make func(b *testing.B, s *slowSTS) getter
}

// peers are the ways to do it, each with credentials of its own.
var peers = []peer{
	{"mutex-map", mutexMap},
	{"rwmutex-map", rwMutexMap},
	{"syncmap-sdk-cache", syncMap},
	{"stile", pooled},
}

type benchKey struct{ account, region string }

// fixed is a configuration with credentials that were fetched once.
type fixed struct {
	cfg     *aws.Config
	expires time.Time
}

func fetchFixed(ctx context.Context, s *slowSTS, client *sts.Client, account, region string) (fixed, error) {
	c, err := stscreds.NewAssumeRoleProvider(client, benchARN(account)).Retrieve(ctx)
	cfg := s.config()
	cfg.Region, cfg.Credentials = region, credentials.StaticCredentialsProvider{Value: c}
	return fixed{&cfg, c.Expires}, err
}

// mutexMap is a map of configurations behind one lock, as the pattern is often
// written.
func mutexMap(_ *testing.B, s *slowSTS) getter {
	client := sts.NewFromConfig(s.config())
	var mu sync.Mutex
	held := map[benchKey]fixed{}
	return func(ctx context.Context, account, region string) (aws.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		f, ok := held[benchKey{account, region}]
		if ok && time.Now().Before(f.expires) {
			return *f.cfg, nil
		}
		f, err := fetchFixed(ctx, s, client, account, region)
		if err != nil {
			return aws.Config{}, err
		}
		held[benchKey{account, region}] = f
		return *f.cfg, nil
	}
}

// rwMutexMap is the same with the network call outside the lock.
func rwMutexMap(_ *testing.B, s *slowSTS) getter {
	client := sts.NewFromConfig(s.config())
	var mu sync.RWMutex
	held := map[benchKey]fixed{}
	return func(ctx context.Context, account, region string) (aws.Config, error) {
		mu.RLock()
		f, ok := held[benchKey{account, region}]
		mu.RUnlock()
		if ok && time.Now().Before(f.expires) {
			return *f.cfg, nil
		}
		f, err := fetchFixed(ctx, s, client, account, region)
		if err != nil {
			return aws.Config{}, err
		}
		mu.Lock()
		held[benchKey{account, region}] = f
		mu.Unlock()
		return *f.cfg, nil
	}
}

// syncMap is a configuration with the SDK's cache for each key, in a sync.Map.
func syncMap(_ *testing.B, s *slowSTS) getter {
	client := sts.NewFromConfig(s.config())
	var held sync.Map
	return func(_ context.Context, account, region string) (aws.Config, error) {
		k := benchKey{account, region}
		cfg, ok := held.Load(k)
		if !ok {
			made := s.config()
			made.Region = region
			made.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, benchARN(account)))
			cfg, _ = held.LoadOrStore(k, &made)
		}
		return *cfg.(*aws.Config), nil
	}
}

func pooled(b *testing.B, s *slowSTS) getter {
	cfg := s.config()
	pool, err := stile.New(b.Context(), stile.Config{AWS: &cfg, Role: "reader"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return func(ctx context.Context, account, region string) (aws.Config, error) {
		return pool.Config(ctx, account, "", region)
	}
}

// static never asks STS.
func static(_ *testing.B, s *slowSTS) getter {
	cfg := s.config()
	return func(context.Context, string, string) (aws.Config, error) { return cfg, nil }
}

func benchARN(account string) string { return "arn:aws:iam::" + account + ":role/reader" }

func benchAccounts() []string {
	out := make([]string, benchRoles)
	for i := range out {
		out[i] = fmt.Sprintf("%012d", i+1)
	}
	return out
}

// BenchmarkHot looks up credentials that are there.
func BenchmarkHot(b *testing.B) {
	accounts := benchAccounts()
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			get := p.make(b, &slowSTS{life: time.Hour})
			var wg sync.WaitGroup
			for _, a := range accounts {
				wg.Go(func() {
					for _, r := range benchRegions {
						if _, err := get.credentials(b.Context(), a, r); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			for range 3 * len(accounts) * len(benchRegions) { // let it settle
				_, _ = get.credentials(b.Context(), accounts[rand.IntN(len(accounts))], benchRegions[rand.IntN(len(benchRegions))])
			}
			ctx := context.Background()
			b.SetParallelism(benchGoroutines / 4)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := rand.IntN(1000)
				for pb.Next() {
					i++
					if _, err := get.credentials(ctx, accounts[i%benchRoles], benchRegions[i%4]); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkCold gets all credentials for the first time, in random order.
func BenchmarkCold(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			var calls int64
			for b.Loop() {
				s := &slowSTS{life: time.Hour}
				get := p.make(b, s)
				var wg sync.WaitGroup
				for range benchGoroutines {
					wg.Go(func() {
						for _, k := range rand.Perm(benchRoles * len(benchRegions)) {
							if _, err := get.credentials(b.Context(), fmt.Sprintf("%012d", k/4+1), benchRegions[k%4]); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				calls += s.calls.Load()
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls")
		})
	}
}

// load is what happened while 64 goroutines used credentials at random.
type load struct {
	mu          sync.Mutex
	ops, failed int
	blocked     []time.Duration // longer than 5 ms
	lastFailure time.Time
}

// use gets credentials at random until the time is over, with a pause of 2 ms.
func use(get getter, accounts []string, until time.Time) *load {
	l := &load{}
	var wg sync.WaitGroup
	for range benchGoroutines {
		wg.Go(func() {
			for time.Now().Before(until) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				_, err := get.credentials(ctx, accounts[rand.IntN(len(accounts))], benchRegions[rand.IntN(4)])
				cancel()
				l.add(time.Since(began), err)
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	return l
}

func (l *load) add(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops++
	if took > 5*time.Millisecond {
		l.blocked = append(l.blocked, took)
	}
	if err != nil {
		l.failed++
		l.lastFailure = time.Now()
	}
}

func (l *load) report(b *testing.B, calls int64) {
	b.ReportMetric(float64(l.ops), "ops")
	b.ReportMetric(float64(l.failed), "failed")
	b.ReportMetric(float64(len(l.blocked)), "blocked>5ms")
	if len(l.blocked) > 0 {
		b.ReportMetric(float64(slices.Max(l.blocked).Milliseconds()), "max-ms")
	}
	b.ReportMetric(float64(calls), "calls")
	b.ReportMetric(0, "ns/op")
}

// warm gets every credential once.
func warm(b *testing.B, get getter, accounts []string) {
	var wg sync.WaitGroup
	for _, a := range accounts {
		wg.Go(func() {
			for _, r := range benchRegions {
				if _, err := get.credentials(b.Context(), a, r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkCommonExpiry lets all credentials expire together, once. What the control
// is blocked, whose credentials never expire, is the machine's doing. Run it with
// -benchtime 1x.
func BenchmarkCommonExpiry(b *testing.B) {
	accounts := benchAccounts()
	for _, p := range append(slices.Clone(peers), peer{"control", static}) {
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				s := &slowSTS{life: 30 * time.Second}
				get := p.make(b, s)
				warm(b, get, accounts)
				before := s.calls.Load()
				l := use(get, accounts, time.Now().Add(35*time.Second))
				l.report(b, s.calls.Load()-before)
			}
		})
	}
}

// BenchmarkThrottle has STS refuse everything for 30 s, while credentials are valid
// ("valid": they are in their refresh window) and while they expire ("expired":
// five seconds in). after-ms is how long after the throttling the last operation
// failed. Run it with -benchtime 1x.
func BenchmarkThrottle(b *testing.B) {
	accounts := benchAccounts()
	for name, life := range map[string]time.Duration{"valid": 150 * time.Second, "expired": 20 * time.Second} {
		for _, p := range peers {
			b.Run(name+"/"+p.name, func(b *testing.B) {
				for b.Loop() {
					s := &slowSTS{life: life}
					get := p.make(b, s)
					warm(b, get, accounts)
					lead := 15 * time.Second
					if name == "valid" {
						lead = 78 * time.Second // past half of the life
						s.throttle.Store(true)  // before the window begins
					}
					time.Sleep(lead)
					s.throttle.Store(true)
					before := s.calls.Load()
					over := time.Now().Add(30 * time.Second)
					end := time.AfterFunc(30*time.Second, func() { s.throttle.Store(false) })
					until := over.Add(6 * time.Second)
					if name == "valid" {
						until = over
					}
					l := use(get, accounts, until)
					end.Stop()
					l.report(b, s.calls.Load()-before)
					if after := l.lastFailure.Sub(over); l.failed > 0 {
						b.ReportMetric(float64(after.Milliseconds()), "after-ms")
					}
				}
			})
		}
	}
}

// BenchmarkManyCallers has 10,000 callers want one credential that is not there.
func BenchmarkManyCallers(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			var calls int64
			for b.Loop() {
				s := &slowSTS{life: time.Hour}
				get := p.make(b, s)
				var wg sync.WaitGroup
				for range 10_000 {
					wg.Go(func() {
						if _, err := get.credentials(b.Context(), "000000000001", "us-east-1"); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				calls += s.calls.Load()
			}
			b.ReportMetric(float64(calls)/float64(b.N), "calls")
		})
	}
}

// BenchmarkHungSTS has STS accept a request and never answer it. late is how many
// of 64 callers with 300 ms to wait were not let go within a second, stuck how many
// of 64 with no deadline were still there after 45 s, freed-ms when the last of
// those left who did. Run it with -benchtime 1x.
func BenchmarkHungSTS(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				s := &slowSTS{life: time.Hour}
				s.hang.Store(true)
				get := p.make(b, s)
				began := time.Now()
				patient := callers(benchGoroutines, func() {
					_, _ = get.credentials(context.WithoutCancel(b.Context()), "000000000001", "us-east-1") // it fails, if it ends
				})
				hurried := callers(benchGoroutines, func() {
					ctx, cancel := context.WithTimeout(b.Context(), 300*time.Millisecond)
					defer cancel()
					_, _ = get.credentials(ctx, "000000000001", "us-east-1")
				})
				time.Sleep(time.Second)
				b.ReportMetric(float64(benchGoroutines-len(hurried)), "late")
				time.Sleep(44 * time.Second)
				free := len(patient)
				b.ReportMetric(float64(benchGoroutines-free), "stuck")
				var last time.Time
				for range free {
					last = <-patient
				}
				if free > 0 {
					b.ReportMetric(float64(last.Sub(began).Milliseconds()), "freed-ms")
				}
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// callers runs f n times side by side, and gives when each has ended.
func callers(n int, f func()) <-chan time.Time {
	ended := make(chan time.Time, n)
	for range n {
		go func() {
			f()
			ended <- time.Now()
		}()
	}
	return ended
}
