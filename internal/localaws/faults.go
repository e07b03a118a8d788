package localaws

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/policy"
)

// AddFault switches a fault on and returns its id. One that can hit nothing is an
// error: a typing error would be a fault that never comes.
func (s *Server) AddFault(f service.Fault) (id string, err error) {
	if err := s.aim(&f); err != nil {
		return "", err
	}
	return s.faults.Add(s.world.Now(), f), nil
}

// aim makes sure that a fault can hit something.
func (s *Server) aim(f *service.Fault) error {
	switch f.Kind {
	case service.Throttle, service.ServerError, service.Unavailable, service.Outage:
	case service.Latency:
		if f.Delay <= 0 {
			return errors.New("latency needs a delay")
		}
	default:
		return fmt.Errorf("there is no kind %q: want throttle, error, unavailable, outage or latency", f.Kind)
	}
	s.world.RLock()
	known := f.Account == "" || s.world.Accounts[f.Account] != nil
	s.world.RUnlock()
	if !known {
		return fmt.Errorf("there is no account %s", f.Account)
	}
	var services, operations []string
	for _, sv := range s.services {
		services = append(services, sv.Name())
		if f.Service == "" || f.Service == sv.Name() {
			operations = append(operations, sv.Operations()...)
		}
	}
	slices.Sort(services)
	switch {
	case f.Service != "" && !slices.Contains(services, f.Service):
		return fmt.Errorf("there is no service %q%s: want one of %s", f.Service, meant(f.Service, services), strings.Join(services, ", "))
	case f.Operation == "", slices.Contains(operations, f.Operation):
		return nil
	}
	return fmt.Errorf("%s serves no operation %q%s", cmp.Or(f.Service, "the local AWS"), f.Operation, meant(f.Operation, operations))
}

func meant(word string, known []string) string {
	if near := policy.Closest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
