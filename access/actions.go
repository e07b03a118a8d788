package access

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/catalog"
	"github.com/stile-aws/stile/internal/diag"
)

// action checks the form service:Action, wildcards in the second part admitted,
// and that AWS has such an action.
func (l *loader) action(action *string, pos Pos) bool {
	service, name, ok := strings.Cut(*action, ":")
	if ok && onlyOf(service, lower+upper+digits+"-", 1, 64) && onlyOf(name, lower+upper+digits+"*?", 1, 128) {
		return l.knownAction(service, *action, l.posOf(action, pos))
	}
	hint := "write service:Action, as in \"dynamodb:GetItem\""
	if !ok && *action == "*" {
		hint = "name the services; nothing here grants everything"
	}
	l.fail(l.posOf(action, pos), CodeBadAction, says{what: fmt.Sprintf("%q is not an IAM action", *action), hint: hint})
	return false
}

// knownAction reports what the catalog is sure does not exist. IAM takes such
// actions and grants nothing by them.
func (l *loader) knownAction(service, action string, pos Pos) bool {
	_, day := catalog.DataVersion()
	s := says{why: fmt.Sprintf("IAM would take it and grant nothing (AWS's list of %s)", day)}
	switch {
	case !catalog.KnownService(service):
		s.what = fmt.Sprintf("%s: no service's actions begin with %q", action, service+":")
		s.why = fmt.Sprintf("AWS's list of %s has no such service", day)
		s.hint = diag.DidYouMean(service, catalog.Services())
		if near := catalog.SuggestAction(action); near != "" {
			s.hint = fmt.Sprintf("did you mean %q?", near)
		}
	case catalog.MatchesAction(action):
		return true
	case strings.ContainsAny(action, "*?"):
		s.what = fmt.Sprintf("%s matches no action of %s", action, service)
	default:
		s.what = fmt.Sprintf("there is no action %s", action)
		if near := catalog.SuggestAction(action); near != "" {
			s.hint = fmt.Sprintf("did you mean %q?", near)
		}
	}
	l.fail(pos, CodeUnknownAction, s)
	return false
}

// actionMeetsResources reports an action that none of the resources can satisfy.
func (l *loader) actionMeetsResources(action *string, w *Allow, resources []arn.ARN) {
	pos := l.posOf(action, w.Pos)
	if catalog.WildcardOnly(*action) {
		l.fail(pos, CodeNeedsWildcard, says{
			what: fmt.Sprintf("%s works on \"*\" only", *action), why: "it supports no resource-level permission, so naming resources never allows it",
			hint: "give it an element of its own with resources: [\"*\"]",
		})
		return
	}
	services := servicesOf(*action)
	matches := func(r arn.ARN) bool { return r.IsZero() || slices.Contains(services, r.Service) }
	if len(services) > 0 && !slices.Contains(services, "*") && !slices.ContainsFunc(resources, matches) {
		l.warn(pos, CodeNeverMatches, says{
			what: fmt.Sprintf("%s has no resource of %s among the resources", *action, strings.Join(services, " or ")), hint: "split the element by service",
		})
	}
}

// servicesOf lists the services that the resources of an action, or of a
// pattern of actions, can belong to; none when that is not known.
func servicesOf(action string) []string {
	if services := catalog.ARNServices(action); services != nil {
		return services
	}
	if service, known := catalog.ARNService(action); known {
		return []string{service}
	}
	return nil
}
