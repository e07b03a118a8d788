package organizations

import (
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/service"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/internal/localaws/wire"
)

// principals is the form of service principals: "sso.amazonaws.com",
// "malware-protection.guardduty.amazonaws.com".
var principals = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com$`)

func registerTrust(s *service.Service) {
	register(s, "EnableAWSServiceAccess", op[organizations.EnableAWSServiceAccessInput, organizations.EnableAWSServiceAccessOutput]{
		access: func(_ call, in *organizations.EnableAWSServiceAccessInput) []gate.Access {
			return []gate.Access{onService(gate.Access{Resource: "*"}, in.ServicePrincipal)}
		},
		handle: enableService,
	})
	register(s, "DisableAWSServiceAccess", op[organizations.DisableAWSServiceAccessInput, organizations.DisableAWSServiceAccessOutput]{
		access: func(_ call, in *organizations.DisableAWSServiceAccessInput) []gate.Access {
			return []gate.Access{onService(gate.Access{Resource: "*"}, in.ServicePrincipal)}
		},
		handle: disableService,
	})
	register(s, "ListAWSServiceAccessForOrganization", op[organizations.ListAWSServiceAccessForOrganizationInput, organizations.ListAWSServiceAccessForOrganizationOutput]{
		rank: reader, readOnly: true, handle: listServices,
	})
	register(s, "RegisterDelegatedAdministrator", op[organizations.RegisterDelegatedAdministratorInput, organizations.RegisterDelegatedAdministratorOutput]{
		access: func(c call, in *organizations.RegisterDelegatedAdministratorInput) []gate.Access {
			return []gate.Access{onService(c.on(in.AccountId), in.ServicePrincipal)}
		},
		handle: delegate,
	})
	register(s, "DeregisterDelegatedAdministrator", op[organizations.DeregisterDelegatedAdministratorInput, organizations.DeregisterDelegatedAdministratorOutput]{
		access: func(c call, in *organizations.DeregisterDelegatedAdministratorInput) []gate.Access {
			return []gate.Access{onService(c.on(in.AccountId), in.ServicePrincipal)}
		},
		handle: withdraw,
	})
	register(s, "ListDelegatedAdministrators", op[organizations.ListDelegatedAdministratorsInput, organizations.ListDelegatedAdministratorsOutput]{
		rank: reader, readOnly: true, handle: listDelegates,
		access: func(_ call, in *organizations.ListDelegatedAdministratorsInput) []gate.Access {
			return []gate.Access{onService(gate.Access{Resource: "*"}, in.ServicePrincipal)}
		},
	})
	register(s, "ListDelegatedServicesForAccount", op[organizations.ListDelegatedServicesForAccountInput, organizations.ListDelegatedServicesForAccountOutput]{
		rank: reader, readOnly: true, handle: listDelegated,
		access: func(c call, in *organizations.ListDelegatedServicesForAccountInput) []gate.Access {
			return []gate.Access{c.on(in.AccountId)}
		},
	})
}

func onService(a gate.Access, principal *string) gate.Access {
	if principal != nil {
		a.Context = map[string][]string{"organizations:ServicePrincipal": {*principal}}
	}
	return a
}

func recognized(c call, principal *string) *wire.Error {
	if !principals.MatchString(aws.ToString(principal)) {
		return c.invalid("UNRECOGNIZED_SERVICE_PRINCIPAL", "You specified an unrecognized service principal.")
	}
	return nil
}

func enableService(c call, in *organizations.EnableAWSServiceAccessInput) (*organizations.EnableAWSServiceAccessOutput, *wire.Error) {
	if e := recognized(c, in.ServicePrincipal); e != nil {
		return nil, e
	}
	if c.org.Trusted == nil {
		c.org.Trusted = map[string]time.Time{}
	}
	if _, on := c.org.Trusted[*in.ServicePrincipal]; !on {
		c.org.Trusted[*in.ServicePrincipal] = c.Now
	}
	return nil, nil
}

func disableService(c call, in *organizations.DisableAWSServiceAccessInput) (*organizations.DisableAWSServiceAccessOutput, *wire.Error) {
	if e := recognized(c, in.ServicePrincipal); e != nil {
		return nil, e
	}
	for _, services := range c.org.Delegated {
		if _, on := services[*in.ServicePrincipal]; on {
			return nil, c.constraint("DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE", "You attempted to disable trusted access for a service that has a delegated administrator.")
		}
	}
	delete(c.org.Trusted, *in.ServicePrincipal)
	return nil, nil
}

func listServices(c call, in *organizations.ListAWSServiceAccessForOrganizationInput) (*organizations.ListAWSServiceAccessForOrganizationOutput, *wire.Error) {
	var all []types.EnabledServicePrincipal
	for name, since := range c.org.Trusted {
		all = append(all, types.EnabledServicePrincipal{ServicePrincipal: aws.String(name), DateEnabled: aws.Time(since)})
	}
	shown, next, e := page(c, all, func(p types.EnabledServicePrincipal) string { return *p.ServicePrincipal }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: shown, NextToken: next}, nil
}

func delegate(c call, in *organizations.RegisterDelegatedAdministratorInput) (*organizations.RegisterDelegatedAdministratorOutput, *wire.Error) {
	if e := recognized(c, in.ServicePrincipal); e != nil {
		return nil, e
	}
	m, e := c.member(in.AccountId)
	if e != nil {
		return nil, e
	}
	services := c.org.Delegated[m.Account]
	_, registered := services[*in.ServicePrincipal]
	_, trusted := c.org.Trusted[*in.ServicePrincipal]
	switch {
	case m.Account == c.org.Management:
		return nil, c.constraint("CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR", "You cannot register master account/yourself as delegated administrator for your organization.")
	case registered:
		return nil, c.Errorf("AccountAlreadyRegisteredException", "The provided account is already a delegated administrator for your organization.")
	case !trusted:
		return nil, c.constraint("SERVICE_ACCESS_NOT_ENABLED", "You must enable AWS service access for the service before you can register a delegated administrator for it.")
	}
	if c.org.Delegated == nil {
		c.org.Delegated = map[arn.AccountID]map[string]time.Time{}
	}
	if services == nil {
		services = map[string]time.Time{}
		c.org.Delegated[m.Account] = services
	}
	services[*in.ServicePrincipal] = c.Now
	return nil, nil
}

func withdraw(c call, in *organizations.DeregisterDelegatedAdministratorInput) (*organizations.DeregisterDelegatedAdministratorOutput, *wire.Error) {
	m, e := c.member(in.AccountId)
	if e != nil {
		return nil, e
	}
	services := c.org.Delegated[m.Account]
	if _, registered := services[aws.ToString(in.ServicePrincipal)]; !registered {
		return nil, c.Errorf("AccountNotRegisteredException", "The provided account is not a registered delegated administrator for your organization.")
	}
	delete(services, *in.ServicePrincipal)
	if len(services) == 0 {
		delete(c.org.Delegated, m.Account)
	}
	return nil, nil
}

func listDelegates(c call, in *organizations.ListDelegatedAdministratorsInput) (*organizations.ListDelegatedAdministratorsOutput, *wire.Error) {
	var all []types.DelegatedAdministrator
	for id, services := range c.org.Delegated {
		since, ok := earliest(services, in.ServicePrincipal)
		if !ok {
			continue
		}
		a := shownAccount(c, c.org.Members[id])
		all = append(all, types.DelegatedAdministrator{
			Id: a.Id, Arn: a.Arn, Name: a.Name, Email: a.Email, Status: a.Status, State: a.State,
			JoinedMethod: a.JoinedMethod, JoinedTimestamp: a.JoinedTimestamp, DelegationEnabledDate: aws.Time(since),
		})
	}
	shown, next, e := page(c, all, func(d types.DelegatedAdministrator) string { return *d.Id }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListDelegatedAdministratorsOutput{DelegatedAdministrators: shown, NextToken: next}, nil
}

// earliest is since when an account administers a service, or any where
// principal is nil.
func earliest(services map[string]time.Time, principal *string) (since time.Time, ok bool) {
	for name, at := range services {
		if principal != nil && name != *principal {
			continue
		}
		if !ok || at.Before(since) {
			since, ok = at, true
		}
	}
	return since, ok
}

func listDelegated(c call, in *organizations.ListDelegatedServicesForAccountInput) (*organizations.ListDelegatedServicesForAccountOutput, *wire.Error) {
	m, e := c.member(in.AccountId)
	if e != nil {
		return nil, e
	}
	if len(c.org.Delegated[m.Account]) == 0 {
		return nil, c.Errorf("AccountNotRegisteredException", "The provided account is not a registered delegated administrator for your organization.")
	}
	var all []types.DelegatedService
	for name, since := range c.org.Delegated[m.Account] {
		all = append(all, types.DelegatedService{ServicePrincipal: aws.String(name), DelegationEnabledDate: aws.Time(since)})
	}
	shown, next, e := page(c, all, func(d types.DelegatedService) string { return *d.ServicePrincipal }, in.NextToken, in.MaxResults)
	if e != nil {
		return nil, e
	}
	return &organizations.ListDelegatedServicesForAccountOutput{DelegatedServices: shown, NextToken: next}, nil
}

// member finds an account of the organization.
func (c call) member(id *string) (*store.Member, *wire.Error) {
	m := c.org.Members[arn.AccountID(aws.ToString(id))]
	if m == nil {
		return nil, c.Errorf("AccountNotFoundException", "You specified an account that doesn't exist.")
	}
	return m, nil
}

// enabledTypes are the policy types of a root that are on.
func enabledTypes(o *store.Organization) []types.PolicyTypeSummary {
	out := []types.PolicyTypeSummary{}
	for _, kind := range []string{store.ResourceControlPolicy, store.ServiceControlPolicy} {
		if o.Enabled[kind] {
			out = append(out, types.PolicyTypeSummary{Type: types.PolicyType(kind), Status: types.PolicyTypeStatusEnabled})
		}
	}
	return out
}
