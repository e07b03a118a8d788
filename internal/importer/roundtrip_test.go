package importer_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/importer"
	"github.com/stile-aws/stile/internal/inventory"
	"github.com/stile-aws/stile/internal/inventory/inventorytest"
)

// These write inventories in others' forms, as far as those have a place for
// what is in them, and expect to read them back.

type object = map[string]any

// details writes an account as GetAccountAuthorizationDetails does, with
// documents URL-encoded or as objects.
func details(t *rapid.T, a *inventory.Account, encoded bool) object {
	document := func(text string) any {
		if encoded {
			return url.QueryEscape(text) // AWS encodes by RFC 3986: %20 for a space, as documents have none
		}
		return json.RawMessage(text)
	}
	inline := func(m map[string]string) []any {
		var out []any
		for _, name := range slices.Sorted(maps.Keys(m)) {
			out = append(out, object{"PolicyName": name, "PolicyDocument": document(m[name])})
		}
		return out
	}
	attached := func(list []string) []any {
		var out []any
		for _, ref := range list {
			out = append(out, object{"PolicyArn": ref})
		}
		return out
	}
	tags := func(m map[string]string) []any {
		var out []any
		for _, key := range slices.Sorted(maps.Keys(m)) {
			out = append(out, object{"Key": key, "Value": m[key]})
		}
		return out
	}
	page := object{"IsTruncated": false}
	var roles, users, groups, policies []any
	for _, r := range a.Roles {
		one := object{
			"Arn": r.ARN, "RoleName": r.Name, "RoleId": r.ID, "Path": r.Path, "AssumeRolePolicyDocument": document(r.Trust), "RolePolicyList": inline(r.Inline),
			"AttachedManagedPolicies": attached(r.Attached), "Tags": tags(r.Tags), "MaxSessionDuration": r.MaxSession, "PermissionsBoundary": object{"PermissionsBoundaryArn": r.Boundary},
		}
		if r.LastUsed != nil {
			one["RoleLastUsed"] = object{"LastUsedDate": r.LastUsed.At, "Region": r.LastUsed.Region}
		}
		roles = append(roles, one)
	}
	all := map[string]inventory.Group{}
	for _, u := range a.Users {
		var names []string
		for _, g := range u.Groups {
			names = append(names, g.Name)
			all[g.Name] = g
		}
		users = append(users, object{
			"Arn": u.ARN, "UserName": u.Name, "UserId": u.ID, "Path": u.Path, "UserPolicyList": inline(u.Inline), "GroupList": names,
			"AttachedManagedPolicies": attached(u.Attached), "Tags": tags(u.Tags), "PermissionsBoundary": object{"PermissionsBoundaryArn": u.Boundary},
		})
	}
	for _, g := range all {
		groups = append(groups, object{"Arn": "arn:aws:iam::" + string(a.ID) + ":group/" + g.Name, "GroupName": g.Name, "GroupPolicyList": inline(g.Inline), "AttachedManagedPolicies": attached(g.Attached)})
	}
	for _, m := range a.Managed {
		policies = append(policies, object{"Arn": m.ARN, "PolicyVersionList": []any{
			object{"VersionId": "v1", "IsDefaultVersion": false, "Document": document("{}")}, object{"VersionId": "v2", "IsDefaultVersion": true, "Document": document(m.Document)},
		}})
	}
	page["RoleDetailList"], page["UserDetailList"], page["GroupDetailList"], page["Policies"] = roles, users, groups, policies
	return page
}

// ofIAM is the account with what the details tell.
func ofIAM(a *inventory.Account) *inventory.Account {
	return &inventory.Account{ID: a.ID, Complete: true, Roles: a.Roles, Users: a.Users, Managed: a.Managed}
}

func drawOrganization(t *rapid.T) *inventory.Inventory {
	return inventorytest.Organization(inventorytest.Size{
		Seed: rapid.Uint64().Draw(t, "seed"), Accounts: rapid.IntRange(1, 4).Draw(t, "accounts"), Roles: rapid.IntRange(1, 12).Draw(t, "roles"),
	})
}

func TestDetailsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world := drawOrganization(t)
		for id, a := range world.Accounts {
			text, err := json.Marshal(details(t, a, rapid.Bool().Draw(t, "encoded")))
			if err != nil {
				t.Fatal(err)
			}
			got, findings, err := importer.Details("details", text, importer.Options{})
			if err != nil || len(findings) > 0 {
				t.Fatal(err, findings)
			}
			want := &inventory.Inventory{Accounts: map[arn.AccountID]*inventory.Account{id: ofIAM(a)}}
			if changes := inventory.Diff(want, got); len(changes) > 0 {
				t.Errorf("%v", changes)
			}
		}
	})
}

// collected writes an inventory in iam-collect's layout.
func collected(t *rapid.T, inv *inventory.Inventory) fstest.MapFS {
	out := fstest.MapFS{}
	put := func(name string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if s := string(text); s != "null" && s != "{}" && s != "[]" { // the tool writes no empty files
			out["aws/aws/"+strings.ToLower(name)+".json"] = &fstest.MapFile{Data: text}
		}
	}
	document := func(text string) any {
		if text == "" {
			return nil
		}
		return json.RawMessage(text)
	}
	collectOrganization(put, document, inv.Organization)
	for id, a := range inv.Accounts {
		at := "accounts/" + string(id) + "/"
		put(at+"organization", object{"organizationId": a.Member.Organization})
		holder := func(dir, ref, name, id, path, boundary string, inline map[string]string, attached []string, tags map[string]string) {
			put(dir+"/metadata", object{"arn": ref, "name": name, "id": id, "path": path, "permissionBoundary": boundary})
			var list []any
			for name, text := range inline {
				list = append(list, object{"PolicyName": name, "PolicyDocument": document(text)})
			}
			put(dir+"/inline-policies", list)
			put(dir+"/managed-policies", attached)
			put(dir+"/tags", tags)
		}
		for _, r := range a.Roles {
			dir := at + "iam/role/" + url.QueryEscape(strings.TrimPrefix(r.Path, "/")+r.Name)
			holder(dir, r.ARN, r.Name, r.ID, r.Path, r.Boundary, r.Inline, r.Attached, r.Tags)
			put(dir+"/trust-policy", document(r.Trust))
		}
		for _, u := range a.Users {
			holder(at+"iam/user/"+u.Name, u.ARN, u.Name, u.ID, u.Path, u.Boundary, u.Inline, u.Attached, u.Tags)
			var groups []string
			for _, g := range u.Groups {
				ref := "arn:aws:iam::" + string(id) + ":group/" + g.Name
				groups = append(groups, ref)
				holder(at+"iam/group/"+g.Name, ref, g.Name, "", "/", "", g.Inline, g.Attached, nil)
			}
			put(at+"iam/user/"+u.Name+"/groups", groups)
		}
		for ref, m := range a.Managed {
			dir := at + "iam/policy/" + url.QueryEscape(ref[strings.Index(ref, ":policy/")+8:])
			if strings.Contains(ref, "::aws:") {
				dir = at + "iam/aws/policy/" + url.QueryEscape(ref[strings.Index(ref, ":policy/")+8:])
			}
			put(dir+"/metadata", object{"arn": ref})
			put(dir+"/current-policy", document(m.Document))
		}
		for _, p := range a.Providers {
			put(at+"iam/oidc-provider/"+url.QueryEscape(p.URL)+"/metadata", object{"arn": p.ARN, "url": p.URL, "audiences": p.ClientIDs})
		}
		for _, p := range a.SAML {
			put(at+"iam/saml-provider/"+p.Name+"/metadata", object{"arn": p.ARN})
		}
		for _, s := range a.Secrets {
			dir := at + "secretsmanager/" + inventorytest.HomeRegion + "/secret/" + url.QueryEscape(s.ARN[strings.Index(s.ARN, ":secret:")+8:])
			put(dir+"/metadata", object{"arn": s.ARN, "name": s.Name, "kmsKey": s.KMSKey})
			put(dir+"/policy", document(s.Policy))
			put(dir+"/tags", s.Tags)
		}
		for _, k := range a.Keys {
			dir := at + "kms/" + inventorytest.HomeRegion + "/key/" + k.ARN[strings.LastIndex(k.ARN, "/")+1:]
			put(dir+"/metadata", object{"arn": k.ARN})
			put(dir+"/policy", document(k.Policy))
		}
		for _, e := range a.Endpoints {
			dir := at + "ec2/" + inventorytest.HomeRegion + "/vpc-endpoint/" + e.ID
			put(dir+"/metadata", object{"arn": e.ARN, "id": e.ID, "vpc": e.VPC, "serviceName": e.Service})
			put(dir+"/policy", document(e.Policy))
		}
		for _, r := range a.Resources {
			service, kind, _ := strings.Cut(r.Type, ":")
			dir := at + service + "/"
			if kind != "bucket" {
				dir += inventorytest.HomeRegion + "/"
			}
			if kind != "bucket" && kind != "queue" && kind != "topic" {
				dir += kind + "/"
			}
			dir += url.QueryEscape(r.ARN[strings.LastIndexAny(r.ARN, ":/")+1:])
			put(dir+"/metadata", object{"arn": r.ARN})
			put(dir+"/policy", document(r.Policy))
			put(dir+"/tags", r.Tags)
			if r.KMSKey != "" {
				put(dir+"/encryption", []any{object{"ApplyServerSideEncryptionByDefault": object{"KMSMasterKeyID": r.KMSKey}}})
			}
		}
	}
	return out
}

func collectOrganization(put func(string, any), document func(string) any, org *inventory.Organization) {
	at := "organizations/" + org.ID + "/"
	put(at+"metadata", object{
		"id": org.ID, "rootOu": org.Root.ID, "rootAccountId": org.ManagementAccount, "features": object{"SERVICE_CONTROL_POLICY": true, "RESOURCE_CONTROL_POLICY": true},
	})
	refs := func(ids []string, from map[string]*inventory.OrgPolicy) []string {
		var out []string
		for _, id := range ids {
			out = append(out, from[id].ARN)
		}
		return out
	}
	accounts, units := object{}, object{}
	var below func(n *inventory.Node) object
	below = func(n *inventory.Node) object {
		children, leaves := object{}, []string{}
		units[n.ID] = object{"scps": refs(n.SCPs, org.Policies), "rcps": refs(n.RCPs, org.RCPs)}
		put(at+"ous/"+n.ID+"/metadata", object{"name": n.Name})
		for _, c := range n.Children {
			if strings.HasPrefix(c.ID, "ou-") {
				children[c.ID] = below(c)
				continue
			}
			leaves = append(leaves, "arn:aws:organizations::1:account/"+org.ID+"/"+c.ID)
			accounts[c.ID] = object{"scps": refs(c.SCPs, org.Policies), "rcps": refs(c.RCPs, org.RCPs)}
		}
		return object{"children": children, "accounts": leaves}
	}
	put(at+"structure", object{org.Root.ID: below(org.Root)})
	put(at+"accounts", accounts)
	put(at+"ous", units)
	for kind, policies := range map[string]map[string]*inventory.OrgPolicy{"scps": org.Policies, "rcps": org.RCPs} {
		for id, p := range policies {
			put(at+kind+"/"+id+"/metadata", object{"arn": p.ARN, "name": p.Name})
			put(at+kind+"/"+id+"/policy", document(p.Document))
		}
	}
}

// collectable takes out what the layout has no place for.
func collectable(inv *inventory.Inventory) {
	var unnamed func(n *inventory.Node)
	unnamed = func(n *inventory.Node) {
		if !strings.HasPrefix(n.ID, "ou-") && !strings.HasPrefix(n.ID, "r-") {
			n.Name = ""
		}
		for _, c := range n.Children {
			unnamed(c)
		}
	}
	unnamed(inv.Organization.Root)
	for _, a := range inv.Accounts {
		a.Name, a.Quotas, a.Clusters, a.Listed = "", inventory.Quotas{}, nil, nil
		for _, r := range a.Roles {
			r.MaxSession = 0
		}
		for _, k := range a.Keys {
			k.Grants, k.GrantState, k.Aliases = nil, inventory.NotAsked, nil
		}
	}
}

func TestCollectedDirectoriesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world := drawOrganization(t)
		fsys := collected(t, world)
		collectable(world)
		got, findings, err := importer.Collected(fsys)
		if err != nil || len(findings) > 0 {
			t.Fatal(err, findings)
		}
		for _, a := range got.Accounts {
			a.Listed = nil
		}
		if changes := inventory.Diff(world, got); len(changes) > 0 {
			t.Errorf("%v", changes[0])
		}
	})
}
