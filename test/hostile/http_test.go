package hostile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stile-aws/stile/internal/localaws"
)

func decimal(n int) string { return strconv.Itoa(n) }

// TestOddRequests sends what HTTP servers trip over.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	post := func(headers, body string) string { return "POST / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body }
	requests := map[string]string{
		"nothing":                        "",
		"noise":                          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP/2":                         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"HTTP/0.9":                       "GET /\r\n",
		"HTTP/1.0":                       "GET / HTTP/1.0\r\n\r\n",
		"no host":                        "GET / HTTP/1.1\r\n\r\n",
		"two hosts":                      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"a host with a user":             "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
		"a host with a NUL":              "GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
		"a long host":                    "GET / HTTP/1.1\r\nHost: " + strings.Repeat("a.", 50_000) + "amazonaws.com\r\n\r\n",
		"only dots":                      "GET / HTTP/1.1\r\nHost: .....amazonaws.com\r\n\r\n",
		"a host that is a domain":        "GET / HTTP/1.1\r\nHost: .amazonaws.com:\r\n\r\n",
		"a broken IPv6 host":             "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
		"an unknown method":              "FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n",
		"TRACE":                          "TRACE / HTTP/1.1\r\nHost: x\r\nCookie: secret\r\n\r\n",
		"OPTIONS *":                      "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT to a port":              "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n",
		"an absolute URL":                "GET http://169.254.169.254/latest/meta-data/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
		"an empty path":                  "GET ? HTTP/1.1\r\nHost: x\r\n\r\n",
		"two slashes":                    get("//"),
		"dots":                           get("/../../../etc/passwd"),
		"encoded dots":                   get("/%2e%2e/%2e%2e/etc/passwd"),
		"a broken escape":                get("/%zz"),
		"an encoded NUL":                 get("/clusters/%00"),
		"a long path":                    get("/" + strings.Repeat("a/", 50_000)),
		"a long query":                   get("/?" + strings.Repeat("a=b&", 50_000)),
		"a broken query":                 get("/?Action=%zz;%%%&=&&Action"),
		"many actions":                   get("/?Action=CreateUser&Action=DeleteUser&Action=" + strings.Repeat("A", 10_000)),
		"a header without a name":        "GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
		"a header without a colon":       "GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
		"a folded header":                "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
		"many headers":                   "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 20_000) + "\r\n",
		"large headers":                  "GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"many targets":                   post(strings.Repeat("X-Amz-Target: "+strings.Repeat("A.", 100)+"\r\n", 100)+"Content-Length: 0\r\n", ""),
		"a target of dots":               post("X-Amz-Target: ....\r\nContent-Length: 0\r\n", ""),
		"two lengths":                    post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"),
		"a length and chunks":            post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /_stile/state HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a negative length":              post("Content-Length: -1\r\n", ""),
		"a length that is not there":     post("Content-Length: 100000\r\n", "abc"),
		"an unknown transfer encoding":   post("Transfer-Encoding: gzip\r\n", "abc"),
		"a broken chunk":                 post("Transfer-Encoding: chunked\r\n", "zz\r\nabc\r\n"),
		"a chunk that is too long":       post("Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\nabc\r\n"),
		"a chunk of AWS's that is wrong": post("Content-Encoding: aws-chunked\r\nContent-Length: 24\r\n", "fffffffffffffff;x\r\n\r\n\r\n"),
		"AWS's chunks without an end":    post("X-Amz-Content-Sha256: STREAMING-X\r\nContent-Length: 8\r\n", "3\r\nabc\r\n"),
		"AWS's chunks with many trailers": post("X-Amz-Content-Sha256: STREAMING-X\r\nContent-Length: "+decimal(5+6*40)+"\r\n",
			"0\r\na:"+strings.Repeat("\r\na:bc", 40)),
		"a body on a GET":          "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 23\r\n\r\nAction=GetCallerIdentity",
		"an expectation":           post("Expect: 100-continue\r\nContent-Length: 3\r\n", "abc"),
		"an unknown expectation":   post("Expect: miracles\r\nContent-Length: 3\r\n", "abc"),
		"an upgrade":               "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"an upgrade to HTTP/2":     "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"an issuer's key by dots":  get("/id/../_stile/state"),
		"an issuer that is absent": get("/id/00000000000000000000000000000000/keys"),
		"a file of an issuer":      get("/id/../../../../etc/passwd"),
		"a gzipped form":           post("Content-Type: application/x-www-form-urlencoded\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n", "\x1f\x8b\x08\x00"),
		"a multipart form":         post("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5\r\n", "--x--"),
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			aws.unchanged(t, func() {
				answer := aws.raw(t, []byte(request))
				for line := range strings.SplitSeq(answer, "\n") {
					if strings.HasPrefix(line, "HTTP/1.1 2") || strings.HasPrefix(line, "HTTP/1.0 2") {
						t.Errorf("it was answered: %.300s", answer)
					}
				}
				if strings.Contains(answer, "sessionKey") || strings.Contains(answer, "root:") {
					t.Errorf("it tells secrets: %.300s", answer)
				}
			})
		})
	}
}

// TestControlEndpointsAreClosed tries to steer the local AWS as somebody else.
func TestControlEndpointsAreClosed(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	paths := []string{"clock", "faults", "faults/fault-1", "propagation", "token", "denials", "accounts", "state", "", "../state", "%2e%2e/state", "./state", "state/", "state%00"}
	forms := []string{
		"/_stile/%s", "//_stile/%s", "/./_stile/%s", "/x/../_stile/%s", "/%%5fstile/%s", "/_stile%%2f%s", "/_STILE/%s", "/_stile/../_stile/%s", "http://127.0.0.1/_stile/%s", "/_stile//%s", "/id/../_stile/%s",
	}
	headers := []string{
		"", "X-Stile-Token: \r\n", "X-Stile-Token: guess\r\n", "X-Stile-Token: " + aws.ControlToken() + "x\r\n", "Cookie: X-Stile-Token=" + aws.ControlToken() + "\r\n",
		"Origin: http://127.0.0.1\r\n", "X-Forwarded-For: 127.0.0.1\r\n", "Authorization: Bearer " + aws.ControlToken() + "\r\n",
	}
	aws.unchanged(t, func() {
		now := aws.World().Now()
		for _, path := range paths {
			for _, form := range forms {
				for _, method := range []string{"GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD"} {
					for _, h := range headers {
						const body = `{"advance":"1h","kind":"outage","account":"111111111111","cluster":"ci","namespace":"a","serviceAccount":"b","delay":"1h"}`
						answer := aws.raw(t, fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, fmt.Sprintf(form, path), h, len(body), body))
						if got := status(answer); got < 300 || strings.Contains(answer, "sessionKey") {
							t.Errorf("%s %s with %q: %.200s", method, fmt.Sprintf(form, path), h, answer)
						}
					}
				}
			}
		}
		if len(aws.Faults().List()) > 0 || !aws.World().Now().Equal(now) {
			t.Error("faults or the clock were changed")
		}
	})
	t.Run("from another machine, with the token", func(t *testing.T) {
		for _, from := range []string{"192.0.2.1:1234", "[2001:db8::1]:1234", "10.0.0.1:1", "0.0.0.0:1", "", "@", "localhost:1"} {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:7171/_stile/state", nil)
			r.RemoteAddr = from
			r.Header.Set(localaws.ControlHeader, aws.ControlToken())
			w := httptest.NewRecorder()
			aws.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "sessionKey") {
				t.Errorf("from %q: %d", from, w.Code)
			}
		}
	})
	t.Run("as a web page, with the token", func(t *testing.T) {
		for _, h := range []string{"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1:7171\r\n", "Host: 127.0.0.1\r\nOrigin: null\r\n", "Host: evil.example.com\r\n", "Host: localhost.evil.example.com\r\n", "Host: sts.amazonaws.com\r\n", "Host: 127.0.0.1.nip.io:7171\r\n"} {
			answer := aws.raw(t, []byte("GET /_stile/state HTTP/1.1\r\n"+h+"X-Stile-Token: "+aws.ControlToken()+"\r\n\r\n"))
			if status(answer) != http.StatusForbidden || strings.Contains(answer, "sessionKey") {
				t.Errorf("%q: %.200s", h, answer)
			}
		}
	})
	t.Run("control: from this machine, with the token", func(t *testing.T) {
		answer := aws.raw(t, []byte("GET /_stile/state HTTP/1.1\r\nHost: "+aws.addr+"\r\nX-Stile-Token: "+aws.ControlToken()+"\r\n\r\n"))
		if status(answer) != http.StatusOK || !strings.Contains(answer, "sessionKey") {
			t.Errorf("the state is not told to who may know it: %.200s", answer)
		}
	})
}

// TestEndlessBodyIsCut sends a body without an end, unsigned. The server reads a
// bounded part of it.
func TestEndlessBodyIsCut(t *testing.T) {
	aws := newTarget(t, nil) // not parallel: it measures memory
	for name, head := range map[string]string{
		"chunked":               "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"of a terabyte":         "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n",
		"of AWS's large chunks": "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Content-Sha256: STREAMING-X\r\nContent-Length: 1099511627776\r\n\r\n",
		"of AWS's small chunks": "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: aws-chunked\r\nContent-Length: 1099511627776\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			piece := append(append([]byte("100000\r\n"), make([]byte, 1<<20)...), "\r\n"...)
			if strings.Contains(name, "terabyte") {
				piece = make([]byte, 1<<20)
			}
			if strings.Contains(name, "small") {
				piece = bytes.Repeat([]byte("1\r\na\r\n"), 1<<17)
			}
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", aws.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sent := 0
			_, err = io.WriteString(conn, head)
			for err == nil && sent < 1<<30 {
				var n int
				n, err = conn.Write(piece)
				sent += n
			}
			runtime.ReadMemStats(&after)
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("after %d MB: %v, want the server to hang up", sent>>20, err)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
				t.Errorf("the heap has grown by %d MB", grown>>20)
			}
			t.Logf("it hung up after %d MB", sent>>20)
		})
	}
	aws.report(t)
}

// TestSlowHeadersAreCut sends a request a byte at a time, in effect: it stops
// before the end of the headers.
func TestSlowHeadersAreCut(t *testing.T) {
	t.Parallel()
	aws := newTarget(t, nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", aws.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	start := time.Now()
	if err := conn.SetDeadline(start.Add(3 * patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nA: "); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || status(string(answer)) == http.StatusOK {
		t.Errorf("after %v: %v %s, want the server to hang up", time.Since(start), err, answer)
	}
}
