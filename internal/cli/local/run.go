package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/stile-aws/stile/internal/atomicfile"
	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/localaws"
	"github.com/stile-aws/stile/internal/localaws/frontdoor"
)

// Setup is a local AWS to start.
type Setup struct {
	AWS    localaws.Config
	Listen string // of the port, or of the proxy
	Proxy  bool
	// Credentials is where to write an AWS credentials file with one
	// administrator profile an account, named like it; "" for nowhere.
	Credentials string
	// CABundle is where to write the proxy's certificate; "" picks a file in
	// stile's state.
	CABundle string
}

// Running is a local AWS that serves.
type Running struct {
	Server *localaws.Server
	// URL is the port's, or the proxy's.
	URL string
	// Exposed is set when other computers can reach it.
	Exposed bool
	// CABundle is the file with the proxy's certificate, "" without a proxy.
	CABundle string

	stop   context.CancelFunc
	done   chan error
	record string
}

// Record tells other commands of this user where a local AWS runs. The file
// holds its control token: mode 0600.
type Record struct {
	URL   string `json:"url"`
	Proxy bool   `json:"proxy,omitempty"`
	Token string `json:"token"`
	PID   int    `json:"pid"`
	// Through is the port to reach the control endpoints at: URL, unless URL is a proxy.
	Through string `json:"through"`
}

// Start starts a local AWS. ctx governs its life; Close ends it too.
func Start(ctx context.Context, s *term.Streams, setup Setup) (*Running, error) {
	for _, file := range []string{setup.Credentials, setup.CABundle, setup.AWS.StateFile} {
		if file == "" {
			continue
		}
		if err := atomicfile.Place(file); err != nil {
			return nil, err
		}
	}
	if setup.Credentials != "" {
		if err := mayWrite(setup.Credentials); err != nil {
			return nil, err
		}
	}
	server, err := localaws.New(setup.AWS)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &Running{Server: server, stop: stop, done: make(chan error, 1)}
	if err := r.serve(ctx, s, setup); err != nil {
		stop()
		return nil, errors.Join(err, server.Close())
	}
	if setup.Credentials != "" {
		if err := r.writeCredentials(setup); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

func (r *Running) serve(ctx context.Context, s *term.Streams, setup Setup) error {
	dir, err := recordDir(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if setup.Proxy {
		return r.serveProxy(ctx, setup, dir)
	}
	port, err := frontdoor.Listen(ctx, setup.Listen, r.Server)
	if err != nil {
		return err
	}
	go func() { r.done <- port.Wait() }()
	r.URL, r.Exposed = port.URL(), frontdoor.Exposed(port.Addr())
	return r.writeRecord(dir, Record{URL: r.URL, Through: r.URL})
}

// serveProxy opens the proxy, and a port of its own for the control endpoints.
func (r *Running) serveProxy(ctx context.Context, setup Setup, dir string) error {
	control, err := frontdoor.Listen(ctx, "127.0.0.1:0", r.Server)
	if err != nil {
		return err
	}
	r.CABundle = cmp.Or(setup.CABundle, filepath.Join(dir, "ca-"+fileName(control.Addr())+".pem"))
	proxy, err := frontdoor.NewProxy(frontdoor.ProxyConfig{Handler: r.Server, CAFile: r.CABundle})
	if err != nil {
		return err
	}
	ln, err := proxy.Listen(ctx, setup.Listen)
	if err != nil {
		return err
	}
	go func() { r.done <- errors.Join(proxy.Serve(ctx, ln), control.Wait()) }()
	r.URL, r.Exposed = frontdoor.URL(ln.Addr()), frontdoor.Exposed(ln.Addr())
	return r.writeRecord(dir, Record{URL: r.URL, Proxy: true, Through: control.URL()})
}

func fileName(a net.Addr) string {
	return strings.NewReplacer(":", "_", "[", "", "]", "").Replace(a.String())
}

func (r *Running) writeRecord(dir string, rec Record) error {
	rec.Token, rec.PID = r.Server.ControlToken(), os.Getpid()
	text, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	r.record = filepath.Join(dir, strings.NewReplacer("http://", "", ":", "_", "[", "", "]", "").Replace(rec.URL)+".json")
	return atomicfile.Write(r.record, text)
}

// credentialsHead is the first line of the credentials files written here: only
// files that begin with it are written over.
const credentialsHead = "# Written by stile local start, and written over by the next one."

// mayWrite refuses to write over somebody else's credentials.
func mayWrite(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (len(text) == 0 || bytes.HasPrefix(text, []byte(credentialsHead))) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	return fmt.Errorf("writing credentials: %s exists and stile did not write it; it is left as it is, name another file", file)
}

// writeCredentials writes the administrators' keys as an AWS credentials file.
func (r *Running) writeCredentials(setup Setup) error {
	var out bytes.Buffer
	out.WriteString(credentialsHead + "\n\n")
	for _, a := range setup.AWS.Accounts {
		id, secret, ok := r.Server.Administrator(a.ID)
		if !ok {
			continue
		}
		fmt.Fprintf(&out, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n\n", cmp.Or(a.Name, string(a.ID)), id, secret)
	}
	if err := atomicfile.Write(setup.Credentials, out.Bytes()); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	return nil
}

// Wait blocks until the local AWS has stopped.
func (r *Running) Wait() error {
	err := <-r.done
	r.done <- err
	return err
}

// Close stops serving and saves the state.
func (r *Running) Close() error {
	r.stop()
	err := errors.Join(r.Wait(), r.Server.Close())
	if r.record != "" {
		if rm := os.Remove(r.record); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}
	return err
}
