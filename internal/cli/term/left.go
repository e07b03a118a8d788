package term

import (
	"fmt"
	"time"
)

// Left is how long it is until a time to come, to the minute, as people read it.
func Left(end time.Time) string {
	minutes := int(time.Until(end).Round(time.Minute) / time.Minute)
	switch {
	case minutes < 1:
		return "under a minute"
	case minutes < 60:
		return fmt.Sprintf("%dm", minutes)
	}
	return fmt.Sprintf("%dh%dm", minutes/60, minutes%60)
}
