package use

import (
	"context"
	"errors"
)

func (o *options) pick(context.Context) (string, error) {
	return "", errors.New("choosing takes a terminal, at standard input and standard error: say which one, as stile use ADDRESS; stile ls lists them")
}

func (o *options) remember(context.Context, string) {}
