package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/stile-aws/stile/internal/cli/term"
	"github.com/stile-aws/stile/internal/session/browser"
	"github.com/stile-aws/stile/internal/session/idc"
	"github.com/stile-aws/stile/internal/session/tty"
)

// show opens a page in the browser, and says its address on standard error and at
// the terminal, which may be the only places where the person looks. Its error is
// that nobody can answer the page: there is no browser, nobody to read, and no way
// for a browser elsewhere to bring its answer.
func show(ctx context.Context, s *term.Streams, page *idc.Page) error {
	problem := errElsewhere
	if !page.Pasted {
		problem = browser.Open(ctx, s.Getenv, page.URL)
	}
	if problem != nil && !page.Anywhere() && !s.Terminal && !tty.Here() {
		return fmt.Errorf("the sign-in page can be shown to nobody (%w, and no terminal): stile login with --device takes a browser anywhere, "+
			"with --paste the address at which that ends up, with --port PORT its answer by ssh -L PORT:127.0.0.1:PORT", problem)
	}
	note(s, pageText(page, problem))
	return nil
}

// errElsewhere is why no browser is opened for an answer that is pasted.
var errElsewhere = errors.New("the browser is elsewhere")

// pageText tells a person of a page. problem is why the browser does not show it.
func pageText(p *idc.Page, problem error) string {
	text := "stile: sign in at the page that your browser shows, or at " + p.URL
	if problem != nil {
		text = "stile: sign in at this page, in " + where(p) + ":\n  " + p.URL
	}
	if problem != nil && !p.Pasted {
		text = fmt.Sprintf("stile: no browser was opened: %v\n%s", problem, text)
	}
	if p.Pasted && p.Shown {
		text += "\nstile: the page ends with a code: paste it here"
	} else if p.Pasted {
		text += "\nstile: the browser ends up at a page of 127.0.0.1 that it cannot open: paste its address here"
	}
	if p.Code != "" {
		text += "\nstile: it must show the code " + p.Code
	}
	return text
}

// where is the browser that will do.
func where(p *idc.Page) string {
	switch {
	case p.Code != "" || p.Pasted:
		return "any browser"
	case p.Port != 0:
		return fmt.Sprintf("a browser on this computer, or on one that forwards its port %d to here (ssh -L %[1]d:127.0.0.1:%[1]d)", p.Port)
	}
	return "a browser on this computer (for one elsewhere: stile login with --device or --paste)"
}
