package idc

import (
	"context"
	"net/url"
)

// Callback waits at a port of this computer for what an authorization page answers;
// for sign-ins that are not Identity Center's. Close it.
type Callback struct{ answer *answer }

// Listen begins to wait, on a port, or any with 0. state tells our answer from others'.
func Listen(ctx context.Context, port int, state string) (*Callback, error) {
	a, err := newAnswer(ctx, port, state, nil)
	if err != nil {
		return nil, err
	}
	return &Callback{a}, nil
}

// Redirect is where the page is to send the browser.
func (c *Callback) Redirect() string { return c.answer.redirect }

// Wait gives the authorization code.
func (c *Callback) Wait(ctx context.Context) (code string, err error) { return c.answer.wait(ctx) }

// Close ends waiting, once the browser has its page.
func (c *Callback) Close() { c.answer.close() }

// ReadAnswer reads an answer's parameters, which somebody pasted say. ours is false
// for an answer to somebody else's question.
func ReadAnswer(q url.Values, state string) (code string, ours bool, err error) {
	return readAnswer(q, state)
}
