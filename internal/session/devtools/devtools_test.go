package devtools_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stile-aws/stile/internal/session/devtools"
)

func TestCommandsAreNumbered(t *testing.T) {
	var said bytes.Buffer
	c := devtools.New(devtools.Pipe(&said, strings.NewReader("")))
	for i, session := range []string{"", "S1"} {
		if id, err := c.Send(session, "Page.navigate", map[string]string{"url": "https://x.example"}); err != nil || id != i+1 {
			t.Errorf("Send = %d, %v, want %d", id, err, i+1)
		}
	}
	want := `{"id":1,"method":"Page.navigate","params":{"url":"https://x.example"}}` + "\x00" +
		`{"id":2,"sessionId":"S1","method":"Page.navigate","params":{"url":"https://x.example"}}` + "\x00"
	if diff := cmp.Diff(want, said.String()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if _, err := c.Send("", "x", func() {}); err == nil {
		t.Error("what is no JSON was sent")
	}
}

func TestWhatABrowserSaysIsRead(t *testing.T) {
	long := strings.Repeat("A", 200_000)
	c := devtools.New(devtools.Pipe(io.Discard, strings.NewReader(
		`{"method":"Fetch.requestPaused","sessionId":"S1","params":{"postData":"`+long+`"}}`+"\x00"+
			`{"id":7,"error":{"code":-32000,"message":"Not attached to an active page"}}`+"\x00"+`{"id":8`)))
	m, err := c.Next()
	if err != nil || m.Method != "Fetch.requestPaused" || m.Session != "S1" || len(m.Params) != len(long)+len(`{"postData":""}`) {
		t.Errorf("Next = %+v, %v", m, err)
	}
	m, err = c.Next()
	if err != nil || m.ID != 7 || m.Error == nil || m.Error.Error() != "Not attached to an active page" {
		t.Errorf("Next = %+v, %v, want the refusal of 7", m, err)
	}
	if m, err := c.Next(); !errors.Is(err, devtools.ErrClosed) {
		t.Errorf("Next = %+v, %v, want that half a message is none", m, err)
	}
}

func TestOtherProgramsAreNoBrowsers(t *testing.T) {
	c := devtools.New(devtools.Pipe(io.Discard, strings.NewReader("hello\x00")))
	if m, err := c.Next(); !errors.Is(err, devtools.ErrForeign) {
		t.Errorf("Next = %+v, %v, want that it is another protocol", m, err)
	}
	c = devtools.New(devtools.Pipe(io.Discard, endless{}))
	if m, err := c.Next(); !errors.Is(err, devtools.ErrClosed) {
		t.Errorf("Next = %+v, %v, want that nobody is listened to for ever", m, err)
	}
	r, w := io.Pipe()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := devtools.New(devtools.Pipe(w, strings.NewReader(""))).Send("", "Browser.close", nil); !errors.Is(err, devtools.ErrClosed) {
		t.Errorf("Send = %v, want that it is gone", err)
	}
}

// endless says nothing but x.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}
