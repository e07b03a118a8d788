package route_test

import (
	"context"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/broker"
	"github.com/stile-aws/stile/internal/broker/client"
	"github.com/stile-aws/stile/internal/cli/route/routetest"
)

// heedless is a session of a broker that knows of no session policies, as one of
// another version may be.
type heedless struct{}

func (heedless) About() client.About {
	return client.About{Account: string(routetest.Orders), Name: "everything", Caller: "somebody"}
}

func (h heedless) Retrieve(context.Context) (client.Grant, error) {
	return client.Grant{About: h.About(), AccessKeyID: "ASIAEVERYTHING", SecretAccessKey: "s", SessionToken: "t", Expires: time.Now().Add(time.Hour)}, nil
}

func (heedless) Keep(ctx context.Context) { <-ctx.Done() }

func (heedless) Close() {}

// Whoever answers, what was to be held to less is not handed out unless it is.
func TestWhatABrokerDidNotNarrowIsNotHandedOut(t *testing.T) {
	w := routetest.New(t)
	w.WithBroker(t)
	place, err := client.Find(w.Env)
	if err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		ended <- broker.Run(ctx, broker.Config{
			Place: *place, Ready: func() { close(ready) },
			Open: func(context.Context, client.Request) (broker.Session, error) { return heedless{}, nil },
		})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	if said, ok := stile(t, w, nil, "env", "orders-prod/everything"); !ok {
		t.Fatalf("the broker does not answer: %s", said)
	}
	w.Stile(t, nil, "env", "--read-only", "orders-prod/everything").Refused(t, "--read-only cannot be held to: these credentials come from no call that takes a session policy")
	w.Write(t, ".stile-guard.yaml", "as: readonly")
	w.Stile(t, nil, "env", "orders-prod/everything").Refused(t, "(as: readonly) cannot be held to")
}
