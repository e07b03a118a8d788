package secretservice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	serviceName = "org.freedesktop.secrets"
	servicePath = dbus.ObjectPath("/org/freedesktop/secrets")
	none        = dbus.ObjectPath("/")

	serviceInterface    = "org.freedesktop.Secret.Service"
	collectionInterface = "org.freedesktop.Secret.Collection"
	itemInterface       = "org.freedesktop.Secret.Item"
	promptInterface     = "org.freedesktop.Secret.Prompt"
	getProperty         = "org.freedesktop.DBus.Properties.Get"
)

// loginCollection is GNOME's, for which no alias may be set.
const loginCollection = servicePath + "/collection/login"

// secret is the struct of that name in the specification.
type secret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

// conn is a connection to the session's bus.
type conn struct {
	bus      *dbus.Conn
	cancel   context.CancelFunc
	asker    func(context.Context, func(context.Context) error) error
	patience time.Duration
}

// connect connects to the bus. No bus is started where there is none: the keyring
// on it would be nobody's.
func (k *Keyring) connect(ctx context.Context) (*conn, error) {
	c := &conn{asker: k.Ask, patience: k.Patience}
	if c.patience == 0 {
		c.patience = 5 * time.Second
	}
	living, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	ctx, stop := c.soon(ctx)
	defer stop()
	defer context.AfterFunc(ctx, cancel)() // until it is connected, calls have no context
	bus, err := dialBus(ctx, cmp.Or(k.Bus, sessionBus()), dbus.WithContext(living))
	if err == nil {
		c.bus, err = bus, greet(bus)
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("reaching it over the D-Bus of this session: %w", c.cause(ctx, err))
	}
	return c, nil
}

func greet(bus *dbus.Conn) error {
	if err := bus.Auth(nil); err != nil {
		return err
	}
	return bus.Hello()
}

func (c *conn) close() {
	c.cancel()
	if c.bus != nil {
		_ = c.bus.Close() // nothing more is wanted of it
	}
}

// soon bounds what needs no person.
func (c *conn) soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.patience, &silentError{c.patience})
}

// silentError is that of a keyring, or a bus, that hangs.
type silentError struct{ patience time.Duration }

func (e *silentError) Error() string { return fmt.Sprintf("it does not answer within %s", e.patience) }

// Is reports true for a deadline that is exceeded.
func (e *silentError) Is(target error) bool { return target == context.DeadlineExceeded }

// cause is why err came about: that of ctx if it has ended.
func (c *conn) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[dbus.Error](err); ok && e.Name == "org.freedesktop.Secret.Error.IsLocked" {
		return ErrLocked
	}
	if err != nil && c.bus != nil && !c.bus.Connected() {
		return errGone
	}
	return err
}

var errGone = errors.New("the D-Bus of this session went away")

// call calls a method and gives what stores its results.
func (c *conn) call(ctx context.Context, path dbus.ObjectPath, method string, args ...any) func(results ...any) error {
	return func(results ...any) error {
		ctx, stop := c.soon(ctx)
		defer stop()
		return c.cause(ctx, c.bus.Object(serviceName, path).CallWithContext(ctx, method, 0, args...).Store(results...))
	}
}

// session opens what secrets go over, and ends with the connection.
func (c *conn) session(ctx context.Context) (*secret, error) {
	var output dbus.Variant
	s := &secret{Parameters: []byte{}}
	return s, c.call(ctx, servicePath, serviceInterface+".OpenSession", "plain", dbus.MakeVariant(""))(&output, &s.Session)
}

// search gives an entry of these attributes, "" for none, and one that is locked.
func (c *conn) search(ctx context.Context, by map[string]string) (item, locked dbus.ObjectPath, err error) {
	open, shut, err := c.searchAll(ctx, by)
	if len(open) > 0 {
		item = open[0]
	}
	if len(shut) > 0 {
		locked = shut[0]
	}
	return item, locked, err
}

// searchAll is the first call of a connection. GNOME Keyring may not know that yet,
// and takes the method for one that it lacks; the calls after one that succeeds are
// safe from that.
func (c *conn) searchAll(ctx context.Context, by map[string]string) (open, locked []dbus.ObjectPath, err error) {
	for pause := 5 * time.Millisecond; ; pause *= 2 {
		err = c.call(ctx, servicePath, serviceInterface+".SearchItems", by)(&open, &locked)
		if e, ok := errors.AsType[dbus.Error](err); !ok || e.Name != "org.freedesktop.DBus.Error.UnknownMethod" || pause > time.Second/2 {
			return open, locked, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

func (c *conn) attributesOf(ctx context.Context, item dbus.ObjectPath) (map[string]string, error) {
	var v dbus.Variant
	if err := c.call(ctx, item, getProperty, itemInterface, "Attributes")(&v); err != nil {
		return nil, err
	}
	has, _ := v.Value().(map[string]string)
	delete(has, "xdg:schema") // which GNOME Keyring adds to some
	return has, nil
}

// collection is where new entries go: into the default collection, else into that
// of the login; "" when there is neither. One that ends with the session is none.
func (c *conn) collection(ctx context.Context) (dbus.ObjectPath, error) {
	aliases := map[string]dbus.ObjectPath{}
	for _, name := range []string{"default", "session"} {
		path := none
		if err := c.call(ctx, servicePath, serviceInterface+".ReadAlias", name)(&path); err != nil {
			return "", err
		}
		aliases[name] = path
	}
	if path := aliases["default"]; path != none && path != aliases["session"] {
		return path, nil
	}
	var all dbus.Variant
	if err := c.call(ctx, servicePath, getProperty, serviceInterface, "Collections")(&all); err != nil {
		return "", err
	}
	if paths, ok := all.Value().([]dbus.ObjectPath); ok && slices.Contains(paths, loginCollection) {
		return loginCollection, nil
	}
	return "", nil
}

func (c *conn) locked(ctx context.Context, collection dbus.ObjectPath) (bool, error) {
	var v dbus.Variant
	if err := c.call(ctx, collection, getProperty, collectionInterface, "Locked")(&v); err != nil {
		return false, err
	}
	locked, _ := v.Value().(bool)
	return locked, nil
}

// ask has a person asked, if that may be.
func (c *conn) ask(ctx context.Context, do func(context.Context) error) error {
	if c.asker == nil {
		return ErrLocked
	}
	return c.asker(ctx, do)
}

// finish has the prompt answered that a call came with, if it did.
func (c *conn) finish(ctx context.Context, prompt dbus.ObjectPath) (result dbus.Variant, err error) {
	if prompt == none {
		return result, nil
	}
	err = c.ask(ctx, func(ctx context.Context) error {
		result, err = c.show(ctx, prompt)
		return err
	})
	return result, err
}

// dismissedError is a prompt's that came to nothing. It is ErrLocked.
type dismissedError struct{ how string }

func (e *dismissedError) Error() string { return ErrLocked.Error() + ", and " + e.how }

func (e *dismissedError) Unwrap() error { return ErrLocked }

// show has the keyring show a prompt, and waits for what comes of it.
func (c *conn) show(ctx context.Context, prompt dbus.ObjectPath) (result dbus.Variant, err error) {
	if prompt == none {
		return result, nil
	}
	signals := make(chan *dbus.Signal, 8)
	c.bus.Signal(signals)
	defer c.bus.RemoveSignal(signals)
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(serviceName), dbus.WithMatchObjectPath(prompt), dbus.WithMatchInterface(promptInterface)},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, serviceName)},
	} {
		if err := c.bus.AddMatchSignalContext(ctx, match...); err != nil {
			return result, c.cause(ctx, err)
		}
	}
	if err := c.call(ctx, prompt, promptInterface+".Prompt", "")(); err != nil {
		return result, err
	}
	for {
		select {
		case <-ctx.Done(): // nobody waits for it any more
			c.bus.Object(serviceName, prompt).Go(promptInterface+".Dismiss", dbus.FlagNoReplyExpected, nil)
			return result, &dismissedError{context.Cause(ctx).Error()}
		case s, ok := <-signals:
			switch {
			case !ok:
				return result, errGone
			case s.Name == "org.freedesktop.DBus.NameOwnerChanged" && len(s.Body) == 3 && s.Body[0] == serviceName:
				return result, errors.New("it ended while its prompt was shown")
			case s.Path == prompt && s.Name == promptInterface+".Completed":
				return completed(s)
			}
		}
	}
}

func completed(s *dbus.Signal) (result dbus.Variant, err error) {
	var dismissed bool
	if err := dbus.Store(s.Body, &dismissed, &result); err != nil {
		return result, fmt.Errorf("reading what came of its prompt: %w", err)
	}
	if dismissed {
		return result, &dismissedError{"its prompt was dismissed, or could be shown to nobody"}
	}
	return result, nil
}
