package iamcollect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stile-aws/stile/internal/diag"
	"github.com/stile-aws/stile/internal/inventory"
)

// metadata are the members that metadata.json of resources have, each where its
// kind has it.
type metadata struct {
	ARN     string `json:"arn"`
	Name    string `json:"name"`
	ID      string `json:"id"`
	KMSKey  string `json:"kmsKey"` // of secrets and queues
	KeyID   string `json:"keyId"`  // of topics
	Key     string `json:"key"`    // of repositories
	Manager string `json:"keyManager"`
	State   string `json:"keyState"`
	VPC     string `json:"vpc"`
	Service string `json:"serviceName"`

	AuthenticationMode string   `json:"authenticationMode"`
	ClusterName        string   `json:"clusterName"`
	PrincipalARN       string   `json:"principalArn"`
	Username           string   `json:"username"`
	Type               string   `json:"type"`
	KubernetesGroups   []string `json:"kubernetesGroups"`
}

// decides lists the files of a resource that are read, or known to be about
// something else.
var decides = []string{"metadata", "policy", "endpoint-policy", "tags", "bpa", "encryption", "accesspolicies", "instance-profiles", "aliases", "grants"}

// resource reads one resource by its files.
func (a *accountReader) resource(dir string, at location, found files) error {
	var meta metadata
	ok, err := a.load(found["metadata"], &meta)
	if err != nil {
		return err
	}
	if !ok || meta.ARN == "" {
		a.find(diag.Warning, CodeInvalid, dir, "its metadata.json has no ARN, and it is not read")
		return nil
	}
	for name := range found {
		if !slices.Contains(decides, name) && strings.Contains(name, "polic") {
			a.find(diag.Info, CodeNotRead, found[name], "it is not read")
		}
	}
	text, err := a.document(cmp.Or(found["policy"], found["endpoint-policy"], dir+"/policy.json"))
	if err != nil {
		return err
	}
	tags := map[string]string{} // iam-collect writes no file for none
	if _, err := a.load(dir+"/tags.json", &tags); err != nil {
		return err
	}
	switch at.service + ":" + at.kind {
	case "secretsmanager:secret":
		a.secret(at, meta, text, tags)
	case "kms:key":
		return a.key(at, meta, text, found)
	case "ec2:vpc-endpoint":
		a.endpoint(at, meta, text)
	case "eks:cluster":
		a.cluster(at, meta)
	case "eks:access-entry":
		return a.entry(at, meta, found)
	default:
		return a.other(dir, at, meta, text, tags)
	}
	return nil
}

func (a *accountReader) listed(kind string, at location) {
	a.account.Listed[inventory.ListKey(kind, at.region)] = inventory.Exists
}

func (a *accountReader) secret(at location, meta metadata, text string, tags map[string]string) {
	s := &inventory.Secret{ARN: meta.ARN, Name: meta.Name, KMSKey: meta.KMSKey, Policy: text, Tags: tags}
	if strings.HasPrefix(s.KMSKey, "arn:") && strings.Contains(s.KMSKey, ":key/") {
		s.KeyARN = s.KMSKey
	}
	a.account.Secrets[s.ARN] = s
	a.listed(inventory.KindSecrets, at)
}

// key takes a missing policy for one that was not read: every key has one. Grants
// are not collected.
func (a *accountReader) key(at location, meta metadata, text string, found files) error {
	if text == "" {
		text = inventory.Unknown("iam-collect could not read the policy of " + meta.ARN)
		a.account.Problems = append(a.account.Problems, inventory.Problem{What: "policy of key " + meta.ARN, Why: "there is no policy.json, though every key has a policy"})
	}
	k := &inventory.Key{ARN: meta.ARN, Policy: text, AWSManaged: strings.EqualFold(meta.Manager, "AWS"), Enabled: meta.State == "" || strings.EqualFold(meta.State, "Enabled")}
	a.account.Keys[k.ARN] = k
	a.listed(inventory.KindKeys, at)
	if file := found["aliases"]; file != "" {
		_, err := a.load(file, &k.Aliases)
		return err
	}
	return nil
}

func (a *accountReader) endpoint(at location, meta metadata, text string) {
	if text == "" {
		text = inventory.Unknown("iam-collect has no policy of " + meta.ARN)
	}
	a.account.Endpoints[meta.ARN] = &inventory.Endpoint{ARN: meta.ARN, ID: meta.ID, VPC: meta.VPC, Service: meta.Service, Policy: text}
	a.listed(inventory.KindEndpoints, at)
}

func (a *accountReader) clusterNamed(at location, name string) *inventory.Cluster {
	key := at.region + "/" + name
	c := a.account.Clusters[key]
	if c == nil {
		c = &inventory.Cluster{Name: name, Region: at.region}
		a.account.Clusters[key] = c
	}
	return c
}

func (a *accountReader) cluster(at location, meta metadata) {
	c := a.clusterNamed(at, meta.Name)
	c.ARN = meta.ARN
	c.AccessEntryState = inventory.Exists
	if meta.AuthenticationMode == "CONFIG_MAP" {
		c.AccessEntryState = inventory.Absent // the cluster does not use any
	}
	a.listed(inventory.KindClusters, at)
}

func (a *accountReader) entry(at location, meta metadata, found files) error {
	e := inventory.AccessEntry{Principal: meta.PrincipalARN, Type: meta.Type, Username: meta.Username, Groups: meta.KubernetesGroups}
	if file := found["accesspolicies"]; file != "" {
		var policies []struct {
			PolicyARN   string `json:"policyArn"`
			AccessScope struct {
				Namespaces []string `json:"namespaces"`
			} `json:"accessScope"`
		}
		if _, err := a.load(file, &policies); err != nil {
			return err
		}
		for _, p := range policies {
			e.Policies = append(e.Policies, inventory.ScopedEKSPolicy{ARN: p.PolicyARN, Namespaces: p.AccessScope.Namespaces})
		}
	}
	c := a.clusterNamed(at, meta.ClusterName)
	c.AccessEntries = append(c.AccessEntries, e)
	return nil
}

// other reads a resource that has no type of its own in the inventory.
func (a *accountReader) other(dir string, at location, meta metadata, text string, tags map[string]string) error {
	kind := at.service + ":" + cmp.Or(at.kind, map[string]string{"s3": "bucket", "sqs": "queue", "sns": "topic"}[at.service], at.service)
	r := &inventory.Resource{ARN: meta.ARN, Type: kind, Policy: text, PolicyState: inventory.Absent, KMSKey: cmp.Or(meta.KMSKey, meta.KeyID, meta.Key), Tags: tags}
	if text != "" {
		r.PolicyState = inventory.Exists
	}
	if kind == "s3:bucket" {
		var rules []struct {
			By struct {
				Key string `json:"KMSMasterKeyID"`
			} `json:"ApplyServerSideEncryptionByDefault"`
		}
		if _, err := a.load(dir+"/encryption.json", &rules); err != nil {
			return err
		}
		for _, rule := range rules {
			r.KMSKey = rule.By.Key
		}
	}
	a.account.Resources[r.ARN] = r
	if at.region != "" {
		a.listed(kind, at)
	}
	return nil
}
