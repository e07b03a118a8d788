package observe

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/inventory"
)

// summary is what --json prints.
type summary struct {
	Complete     bool             `json:"complete"` // everything asked for was read
	Organization organization     `json:"organization"`
	Accounts     []accountSummary `json:"accounts"`
	Left         []left           `json:"left,omitempty"` // accounts of the organization that cannot be entered
	Calls        int64            `json:"calls"`
	Seconds      float64          `json:"seconds"`
	Inventory    string           `json:"inventory,omitempty"` // file
}

type organization struct {
	State    inventory.Lookup `json:"state"`
	ID       string           `json:"id,omitempty"`
	Accounts int              `json:"accounts"`
	Units    int              `json:"organizationalUnits"`
	SCPs     int              `json:"serviceControlPolicies"`
	RCPs     int              `json:"resourceControlPolicies"`
	RCPState inventory.Lookup `json:"resourceControlPolicyState"`
	RCPWhy   string           `json:"resourceControlPolicyWhy,omitempty"`
}

type accountSummary struct {
	ID        arn.AccountID       `json:"id"`
	Name      string              `json:"name,omitempty"`
	Roles     int                 `json:"roles"`
	Users     int                 `json:"users"`
	Policies  int                 `json:"policies"`  // managed and inline
	Resources map[string]int      `json:"resources"` // by kind
	Problems  []inventory.Problem `json:"problems,omitempty"`
	// NotEnabled are Regions that are not enabled, NotServed kinds that the
	// endpoint does not have.
	NotEnabled []string `json:"regionsNotEnabled,omitempty"`
	NotServed  []string `json:"kindsNotServed,omitempty"`
}

// left is an account that was left out.
type left struct {
	ID    arn.AccountID `json:"id"`
	Name  string        `json:"name"`
	State string        `json:"state"`
}

func summarize(inv *inventory.Inventory, t *target) *summary {
	s := &summary{Complete: true, Accounts: []accountSummary{}, Organization: organization{State: inv.OrgState}}
	if org := inv.Organization; org != nil {
		s.Organization.ID, s.Organization.SCPs, s.Organization.RCPs = org.ID, len(org.Policies), len(org.RCPs)
		s.Organization.RCPState, s.Organization.RCPWhy = org.RCPState, org.RCPWhy
		s.Organization.count(org.Root)
		s.Complete = org.RCPState != inventory.Unread
	}
	if inv.OrgState == inventory.Unread {
		s.Complete = false
	}
	for _, id := range slices.Sorted(maps.Keys(t.request.Accounts)) {
		a := summarizeAccount(inv.Accounts[id], t.names[id])
		s.Complete = s.Complete && len(a.Problems) == 0
		s.Accounts = append(s.Accounts, a)
	}
	for _, m := range t.left {
		s.Left = append(s.Left, left{ID: m.ID, Name: m.Name, State: m.State})
	}
	return s
}

func (o *organization) count(n *inventory.Node) {
	if n == nil {
		return
	}
	switch {
	case arn.AccountID(n.ID).Valid():
		o.Accounts++
	case strings.HasPrefix(n.ID, "ou-"):
		o.Units++
	}
	for _, below := range n.Children {
		o.count(below)
	}
}

func summarizeAccount(a *inventory.Account, name string) accountSummary {
	out := accountSummary{ID: a.ID, Name: cmp.Or(a.Name, name), Roles: len(a.Roles), Users: len(a.Users), Policies: len(a.Managed), Resources: map[string]int{}, Problems: a.Problems}
	for _, r := range a.Roles {
		out.Policies += len(r.Inline)
	}
	for _, u := range a.Users {
		out.Policies += len(u.Inline)
	}
	if a.Member.State == inventory.Unread && !a.Failed(inventory.AllOfIt) {
		out.Problems = append(slices.Clone(out.Problems), inventory.Problem{What: "which organization it is in", Why: a.Member.Why})
	}
	out.resources(a)
	enabled := map[string]inventory.Lookup{}
	for key, state := range a.Listed {
		region, kind, regional := strings.Cut(key, " ")
		if !regional {
			region, kind = "", key
		}
		switch {
		case state == inventory.NotAsked && !slices.Contains(out.NotServed, kind):
			out.NotServed = append(out.NotServed, kind)
		case state == inventory.Absent:
			enabled[region] = state
		}
	}
	out.NotEnabled = slices.Sorted(maps.Keys(enabled))
	slices.Sort(out.NotServed)
	return out
}

// resources counts what was found by kind.
func (s *accountSummary) resources(a *inventory.Account) {
	for kind, n := range map[string]int{
		inventory.KindProviders: len(a.Providers), inventory.KindSAML: len(a.SAML), inventory.KindSecrets: len(a.Secrets), inventory.KindKeys: len(a.Keys),
		inventory.KindClusters: len(a.Clusters), inventory.KindEndpoints: len(a.Endpoints),
	} {
		if n > 0 {
			s.Resources[kind] = n
		}
	}
	for _, r := range a.Resources {
		s.Resources[r.Type]++
	}
}

// tell prints the summary: to standard output, or beside an inventory there to
// standard error.
func (o *options) tell(s *summary) error {
	if o.out != "-" {
		s.Inventory = o.out
	}
	if o.json {
		return o.streams.JSON(s)
	}
	w := o.streams.Out
	if o.out == "-" {
		w = o.streams.Err
	}
	return s.text(w)
}

// toldProblems is how many problems of an account the text has.
const toldProblems = 10

func (s *summary) text(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ACCOUNT\tID\tROLES\tUSERS\tPOLICIES\tRESOURCES\tPROBLEMS")
	for _, a := range s.Accounts {
		resources := 0
		for _, n := range a.Resources {
			resources += n
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\n", cmp.Or(a.Name, "-"), a.ID, a.Roles, a.Users, a.Policies, resources, len(a.Problems))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	s.Organization.text(w)
	s.notes(w)
	for _, a := range s.Accounts {
		for i, p := range a.Problems {
			if i == toldProblems {
				fmt.Fprintf(w, "PROBLEM  %s: %d more; --json and the inventory have them\n", cmp.Or(a.Name, string(a.ID)), len(a.Problems)-i)
				break
			}
			fmt.Fprintf(w, "PROBLEM  %s: %s: %s\n", cmp.Or(a.Name, string(a.ID)), p.What, p.Why)
		}
	}
	verdict := "everything was read"
	if !s.Complete {
		verdict = "not everything could be read: answers that depend on it will be unknown"
	}
	_, err := fmt.Fprintf(w, "%d calls in %.1f s: %s\n", s.Calls, s.Seconds, verdict)
	return err
}

func (o *organization) text(w io.Writer) {
	switch o.State {
	case inventory.Exists:
		rcps := fmt.Sprintf("%d resource control policies", o.RCPs)
		switch o.RCPState {
		case inventory.Absent:
			rcps = "resource control policies not enabled"
		case inventory.Unread:
			rcps = "resource control policies could not be read: " + o.RCPWhy
		}
		fmt.Fprintf(w, "organization %s: %d accounts, %d OUs, %d service control policies, %s\n", o.ID, o.Accounts, o.Units, o.SCPs, rcps)
	case inventory.Absent:
		fmt.Fprintln(w, "organization: none")
	case inventory.Unread, inventory.NotAsked:
		fmt.Fprintln(w, "organization: could not be read")
	}
}

// notes tells what is no failure and yet not there: what is the same in every
// account is told once.
func (s *summary) notes(w io.Writer) {
	for _, m := range s.Left {
		fmt.Fprintf(w, "left out: %s (%s) is %s\n", m.Name, m.ID, m.State)
	}
	same := func(what string, of func(accountSummary) []string) {
		accounts := map[string][]string{}
		for _, a := range s.Accounts {
			if list := strings.Join(of(a), ", "); list != "" {
				accounts[list] = append(accounts[list], cmp.Or(a.Name, string(a.ID)))
			}
		}
		for _, list := range slices.Sorted(maps.Keys(accounts)) {
			in := accounts[list]
			where := "in " + strings.Join(in, ", ")
			if len(in) == len(s.Accounts) {
				where = "in every account"
			}
			fmt.Fprintf(w, "%s %s: %s\n", what, where, list)
		}
	}
	same("Regions not enabled", func(a accountSummary) []string { return a.NotEnabled })
	same("not served by this endpoint", func(a accountSummary) []string { return a.NotServed })
}
