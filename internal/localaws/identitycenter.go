package localaws

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/gate"
	"github.com/stile-aws/stile/internal/localaws/signin"
	"github.com/stile-aws/stile/internal/localaws/ssooidc"
	"github.com/stile-aws/stile/internal/localaws/store"
	"github.com/stile-aws/stile/policy"
)

// IdentityCenter is an instance of IAM Identity Center to begin with. Its
// permission sets are roles from the start, in the accounts of the Assignments.
type IdentityCenter struct {
	// StartURL is the access portal's. Default: https://d-9067000001.awsapps.com/start,
	// for the second instance …2, and so on.
	StartURL string
	// Region is where sso-oidc and the portal answer for it. Default: DefaultRegion.
	Region string
	// SessionDuration is how long a sign-in lasts. Default: 8 hours, AWS's.
	SessionDuration time.Duration
	// RequestsPerSecond is what the portal takes before it answers 429. Default:
	// 20, AWS's; negative: any number.
	RequestsPerSecond int
	// Users are the people. At least one.
	Users          []IdentityCenterUser
	PermissionSets []PermissionSet
	Assignments    []Assignment
}

// IdentityCenterUser is a person of an identity store.
type IdentityCenterUser struct {
	Name   string // the sessions' names: letters, digits and +=,.@-_
	Email  string
	Groups []string
}

// PermissionSet becomes a role in every account it is assigned in.
type PermissionSet struct {
	Name string
	// ManagedPolicies are ARNs of policies that AWS manages.
	ManagedPolicies []string
	// CustomerPolicies are names of policies that each account has itself, with
	// path; an account without one grants nothing by it until it is made.
	CustomerPolicies []string
	// InlinePolicy is a policy document; "" for none.
	InlinePolicy string
	// Boundary is the ARN of a policy that AWS manages, "" for none.
	Boundary string
	// SessionDuration is how long its credentials last. Default: 1 hour, at most 12.
	SessionDuration time.Duration
}

// Assignment gives users and groups permission sets in accounts, each in each.
type Assignment struct {
	Accounts       []arn.AccountID
	PermissionSets []string
	Users          []string
	Groups         []string
}

// Limits and defaults of IAM Identity Center (its user guide, "Set session
// duration", "Configure the session duration of the AWS access portal").
const (
	signInDuration  = 8 * time.Hour
	minSignIn       = 15 * time.Minute
	maxSignIn       = 90 * 24 * time.Hour
	setDuration     = time.Hour
	maxSetDuration  = 12 * time.Hour
	portalRate      = 20
	maxSetName      = 32
	reservedPrefix  = "AWSReservedSSO_"
	inlinePolicy    = "AwsSSOInlinePolicy"
	nameCharacters  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@-_"
	maxUserName     = 64
	instanceIDChars = 16
)

// AddIdentityCenter adds an instance and makes its roles. One with the same
// start URL is an error.
func (s *Server) AddIdentityCenter(cfg IdentityCenter) error {
	if err := checkIdentityCenter(&cfg); err != nil {
		return err
	}
	s.world.Lock()
	defer s.world.Unlock()
	startURL := cmp.Or(cfg.StartURL, defaultStartURL(len(s.world.IdentityCenters)))
	if s.world.IdentityCenterAt(startURL) != nil {
		return fmt.Errorf("adding identity center %s: it exists", startURL)
	}
	return s.addIdentityCenter(startURL, &cfg)
}

// addIdentityCenters adds those of a Config that are not there yet, which were
// checked. The World is locked.
func (s *Server) addIdentityCenters(all []IdentityCenter) error {
	for i := range all {
		startURL := cmp.Or(all[i].StartURL, defaultStartURL(i))
		if s.world.IdentityCenterAt(startURL) != nil {
			continue
		}
		if err := s.addIdentityCenter(startURL, &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// defaultStartURL is the start URL of the instance with an index.
func defaultStartURL(index int) string {
	return fmt.Sprintf("https://d-906700%04d.awsapps.com/start", index+1)
}

func checkIdentityCenter(cfg *IdentityCenter) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if u, err := url.Parse(cfg.StartURL); cfg.StartURL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		wrong("its start URL %q is no https URL", cfg.StartURL)
	}
	if d := cmp.Or(cfg.SessionDuration, signInDuration); d < minSignIn || d > maxSignIn {
		wrong("its session duration %s is not between %s and %s", d, minSignIn, maxSignIn)
	}
	users, groups := checkUsers(cfg.Users, wrong)
	sets := map[string]bool{}
	for i := range cfg.PermissionSets {
		checkPermissionSet(&cfg.PermissionSets[i], sets, wrong)
	}
	for _, a := range cfg.Assignments {
		if len(a.Accounts) == 0 || len(a.PermissionSets) == 0 || len(a.Users)+len(a.Groups) == 0 {
			wrong("an assignment needs accounts, permissionSets, and users or groups")
		}
		missing(a.PermissionSets, sets, "permission set", wrong)
		missing(a.Users, users, "user", wrong)
		missing(a.Groups, groups, "group with a member", wrong)
	}
	if len(errs) > 0 {
		return fmt.Errorf("adding identity center: %w", errors.Join(errs...))
	}
	return nil
}

func checkUsers(all []IdentityCenterUser, wrong func(string, ...any)) (users, groups map[string]bool) {
	users, groups = map[string]bool{}, map[string]bool{}
	if len(all) == 0 {
		wrong("it has no users")
	}
	for _, u := range all {
		// The session's name is the user's: STS's limits are those of names here.
		if len(u.Name) < 2 || len(u.Name) > maxUserName || strings.Trim(u.Name, nameCharacters) != "" {
			wrong("user name %q is not 2 to %d letters, digits and +=,.@-_", u.Name, maxUserName)
		}
		if users[strings.ToLower(u.Name)] {
			wrong("there are two users %q", u.Name)
		}
		users[strings.ToLower(u.Name)], users[u.Name] = true, true
		for _, g := range u.Groups {
			groups[g] = true
		}
	}
	return users, groups
}

func checkPermissionSet(p *PermissionSet, sets map[string]bool, wrong func(string, ...any)) {
	if p.Name == "" || len(p.Name) > maxSetName || strings.Trim(p.Name, nameCharacters) != "" {
		wrong("permission set name %q is not 1 to %d letters, digits and +=,.@-_", p.Name, maxSetName)
	}
	if sets[p.Name] {
		wrong("there are two permission sets %q", p.Name)
	}
	sets[p.Name] = true
	if d := cmp.Or(p.SessionDuration, setDuration); d < setDuration || d > maxSetDuration {
		wrong("permission set %s: its session duration %s is not between %s and %s", p.Name, d, setDuration, maxSetDuration)
	}
	for _, ref := range append(slices.Clone(p.ManagedPolicies), p.Boundary) {
		if _, ok := gate.AWSManaged(ref); !ok && ref != "" {
			wrong("permission set %s: the local AWS has no managed policy %s", p.Name, ref)
		}
	}
	if p.InlinePolicy == "" {
		return
	}
	doc, err := policy.Parse([]byte(p.InlinePolicy))
	problems, _ := errors.AsType[policy.Errors](err)
	if err == nil {
		problems = policy.Validate(doc, policy.Identity)
	}
	if len(problems) > 0 {
		wrong("permission set %s: its inline policy: %w", p.Name, problems)
	}
}

func missing(names []string, known map[string]bool, what string, wrong func(string, ...any)) {
	for _, name := range names {
		if !known[name] {
			wrong("an assignment names %s %q, which there is not", what, name)
		}
	}
}

// addIdentityCenter makes a checked instance. The World is locked.
func (s *Server) addIdentityCenter(startURL string, cfg *IdentityCenter) error {
	ids := s.world.IDs()
	made := &store.IdentityCenter{
		StartURL: store.CanonicalStartURL(startURL), Region: cmp.Or(cfg.Region, DefaultRegion), ID: "ssoins-" + ids.Hex(instanceIDChars),
		SessionDuration: cmp.Or(cfg.SessionDuration, signInDuration), Rate: cmp.Or(cfg.RequestsPerSecond, portalRate),
		Users: map[string]*store.IdentityCenterUser{}, PermissionSets: map[string]*store.PermissionSet{},
	}
	for _, u := range cfg.Users {
		made.Users[strings.ToLower(u.Name)] = &store.IdentityCenterUser{Name: u.Name, Email: u.Email, Groups: slices.Clone(u.Groups)}
	}
	for _, a := range cfg.Assignments {
		for _, id := range a.Accounts {
			if s.world.Accounts[id] == nil {
				return fmt.Errorf("adding identity center %s: it assigns in account %s, which does not exist", made.StartURL, id)
			}
		}
		made.Assignments = append(made.Assignments, assignments(a)...)
	}
	for i := range cfg.PermissionSets {
		p := &cfg.PermissionSets[i]
		made.PermissionSets[p.Name] = &store.PermissionSet{
			Name: p.Name, SessionDuration: cmp.Or(p.SessionDuration, setDuration), Roles: s.provision(made, p),
		}
	}
	s.world.IdentityCenters[made.StartURL] = made
	return nil
}

// assignments is an Assignment taken apart.
func assignments(a Assignment) []store.AccountAssignment {
	var all []store.AccountAssignment
	for _, id := range a.Accounts {
		for _, set := range a.PermissionSets {
			for _, user := range a.Users {
				all = append(all, store.AccountAssignment{Account: id, PermissionSet: set, User: strings.ToLower(user)})
			}
			for _, group := range a.Groups {
				all = append(all, store.AccountAssignment{Account: id, PermissionSet: set, Group: group})
			}
		}
	}
	return all
}

// provision makes a permission set's role in every account that it is assigned
// in, and the provider that the roles trust.
func (s *Server) provision(at *store.IdentityCenter, p *PermissionSet) map[arn.AccountID]string {
	roles := map[arn.AccountID]string{}
	for _, a := range at.Assignments {
		if a.PermissionSet != p.Name || roles[a.Account] != "" {
			continue
		}
		now := s.world.Now()
		own := &s.world.Accounts[a.Account].IAM
		provider := at.ProviderName()
		if key := strings.ToLower(provider); own.SAMLProviders[key] == nil {
			own.SAMLProviders[key] = store.NewVersioned(now, &store.SAMLProvider{
				Name: provider, ID: s.world.IDs().UUID(), Created: now,
				Metadata: `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + escapeXML(at.StartURL) + `"/>`,
			})
		}
		role := reservedRole(at, p, a.Account)
		role.Name = reservedPrefix + p.Name + "_" + s.world.IDs().Hex(16)
		role.ID, role.Created = s.world.NewPrincipal(a.Account, "role", role.Name), now
		own.Roles[strings.ToLower(role.Name)] = store.NewVersioned(now, role)
		roles[a.Account] = role.ID
	}
	return roles
}

// reservedRole is what a permission set is in an account. AWS gives every such
// role the longest maximum; the permission set's own duration is the session's.
func reservedRole(at *store.IdentityCenter, p *PermissionSet, account arn.AccountID) *store.Role {
	provider := arn.IAM(store.Partition, account, "saml-provider", "/", at.ProviderName())
	role := &store.Role{
		Entity:     store.Entity{Path: store.ReservedRolePath(at.Region), Attached: slices.Clone(p.ManagedPolicies), Boundary: p.Boundary},
		MaxSession: maxSetDuration,
		Trust: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + provider.String() +
			`"},"Action":["sts:AssumeRoleWithSAML","sts:TagSession"],"Condition":{"StringEquals":{"SAML:aud":"` + store.SAMLAudience + `"}}}]}`,
	}
	for _, name := range p.CustomerPolicies {
		role.Attached = append(role.Attached, arn.IAM(store.Partition, account, "policy", "/", strings.TrimPrefix(name, "/")).String())
	}
	if p.InlinePolicy != "" {
		role.Inline = map[string]string{inlinePolicy: p.InlinePolicy}
	}
	return role
}

func escapeXML(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace(text)
}

// IdentityCenterInfo is what there is to know of an instance, without secrets.
type IdentityCenterInfo struct {
	StartURL       string   `json:"startURL"`
	Region         string   `json:"region"`
	Users          []string `json:"users"`
	PermissionSets []string `json:"permissionSets"`
}

// IdentityCenters lists the instances by start URL.
func (s *Server) IdentityCenters() []IdentityCenterInfo {
	s.world.RLock()
	defer s.world.RUnlock()
	all := []IdentityCenterInfo{}
	for _, at := range s.world.IdentityCenters {
		info := IdentityCenterInfo{StartURL: at.StartURL, Region: at.Region, Users: at.UserNames(), PermissionSets: []string{}}
		for name := range at.PermissionSets {
			info.PermissionSets = append(info.PermissionSets, name)
		}
		slices.Sort(info.PermissionSets)
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b IdentityCenterInfo) int { return strings.Compare(a.StartURL, b.StartURL) })
	return all
}

// AnswerSignIn does what a person does in a browser: it answers the page at
// address, which is an authorization URL, a verificationUriComplete or a user
// code, and returns the URL that the browser is sent to; "" after a device's page.
// On the console's page, of `aws login`, the answer's User is an ARN, or the name
// of an IAM user that only one account has.
func (s *Server) AnswerSignIn(address string, answer ssooidc.Answer) (next string, err error) {
	if signin.IsAuthorization(address) {
		return s.signin.Decide(address, signin.Answer(answer))
	}
	return ssooidc.Decide(s.world, address, answer)
}

func (s *Server) getIdentityCenters(w http.ResponseWriter, _ *http.Request) {
	reply(w, s.IdentityCenters())
}

func (s *Server) postAnswer(w http.ResponseWriter, r *http.Request) {
	var in struct {
		URL string `json:"url"`
		ssooidc.Answer
	}
	if !read(w, r, &in) {
		return
	}
	next, err := s.AnswerSignIn(in.URL, in.Answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, map[string]string{"next": next})
}
