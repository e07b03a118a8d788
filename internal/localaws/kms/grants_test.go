package kms_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/stile-aws/stile/internal/localaws/kms"
	"github.com/stile-aws/stile/internal/localaws/worldtest"
)

func subset(pairs ...string) *types.GrantConstraints {
	return &types.GrantConstraints{EncryptionContextSubset: pairsOf(pairs)}
}

func equals(pairs ...string) *types.GrantConstraints {
	return &types.GrantConstraints{EncryptionContextEquals: pairsOf(pairs)}
}

func pairsOf(pairs []string) map[string]string {
	context := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		context[pairs[i]] = pairs[i+1]
	}
	return context
}

// Who may create grants by a grant alone may not create one that gives more
// than it was given (KMS developer guide, "Granting CreateGrant permission").
func TestAGrantsGranteeCreatesOnlyNarrowerGrants(t *testing.T) {
	const create, decrypt, encrypt = types.GrantOperationCreateGrant, types.GrantOperationDecrypt, types.GrantOperationEncrypt
	for name, test := range map[string]struct {
		parent     *types.GrantConstraints
		operations []types.GrantOperation
		child      *types.GrantConstraints
		denied     bool
	}{
		"the same operations":                  {operations: []types.GrantOperation{create, decrypt}},
		"some of the operations":               {operations: []types.GrantOperation{decrypt}},
		"a constraint of its own":              {operations: []types.GrantOperation{decrypt}, child: subset("team", "blue")},
		"an operation the parent lacks":        {operations: []types.GrantOperation{decrypt, encrypt}, denied: true},
		"no constraint under a constrained":    {parent: subset("team", "blue"), operations: []types.GrantOperation{decrypt}, denied: true},
		"the same subset":                      {parent: subset("team", "blue"), operations: []types.GrantOperation{decrypt}, child: subset("team", "blue")},
		"a larger subset":                      {parent: subset("team", "blue"), operations: []types.GrantOperation{decrypt}, child: subset("team", "blue", "app", "x")},
		"a smaller subset":                     {parent: subset("team", "blue", "app", "x"), operations: []types.GrantOperation{decrypt}, child: subset("team", "blue"), denied: true},
		"another value":                        {parent: subset("team", "blue"), operations: []types.GrantOperation{decrypt}, child: subset("team", "red"), denied: true},
		"equality with what holds the subset":  {parent: subset("team", "blue"), operations: []types.GrantOperation{decrypt}, child: equals("team", "blue", "app", "x")},
		"equality with what lacks the subset":  {parent: subset("team", "blue"), operations: []types.GrantOperation{decrypt}, child: equals("app", "x"), denied: true},
		"the same equality":                    {parent: equals("team", "blue"), operations: []types.GrantOperation{decrypt}, child: equals("team", "blue")},
		"a subset under an equality":           {parent: equals("team", "blue"), operations: []types.GrantOperation{decrypt}, child: subset("team", "blue"), denied: true},
		"equality with more under an equality": {parent: equals("team", "blue"), operations: []types.GrantOperation{decrypt}, child: equals("team", "blue", "app", "x"), denied: true},
		"equality with nothing, nothing asked": {parent: equals(), operations: []types.GrantOperation{decrypt}, denied: true},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, admin := world(t)
			key := newKey(t, admin, "")
			grantee := client(cloud.User(worldtest.A, "grantee", ""))
			cloud.User(worldtest.A, "grandchild", "")
			_, err := admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
				KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.A, "grantee")),
				Operations: []types.GrantOperation{create, decrypt}, Constraints: test.parent,
			})
			if err != nil {
				t.Fatal(err)
			}
			in := &awskms.CreateGrantInput{
				KeyId: key.Arn, GranteePrincipal: aws.String(user(worldtest.A, "grandchild")), Operations: test.operations, Constraints: test.child,
			}
			_, err = grantee.CreateGrant(t.Context(), in)
			switch {
			case test.denied:
				worldtest.WantError(t, err, "AccessDeniedException", "kms:CreateGrant")
			case err != nil:
				t.Error(err)
			}
			// Whom a policy allows is not bound by the grant.
			both := client(cloud.User(worldtest.A, "grantee", allow(`["kms:CreateGrant"]`, *key.Arn)))
			if _, err := both.CreateGrant(t.Context(), in); err != nil {
				t.Errorf("with a policy that allows it: %v", err)
			}
		})
	}
}

// Two grants to one grantee are not added up.
func TestAChildGrantNeedsOneParentThatAllowsIt(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	grantee := client(cloud.User(worldtest.A, "grantee", ""))
	for _, operations := range [][]types.GrantOperation{
		{types.GrantOperationCreateGrant, types.GrantOperationDecrypt}, {types.GrantOperationEncrypt},
	} {
		_, err := admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.A, "grantee")), Operations: operations,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := grantee.CreateGrant(t.Context(), &awskms.CreateGrantInput{
		KeyId: key.Arn, GranteePrincipal: aws.String(user(worldtest.A, "grantee")), Operations: []types.GrantOperation{types.GrantOperationEncrypt},
	})
	worldtest.WantError(t, err, "AccessDeniedException", "kms:CreateGrant")
}

// RetireGrant in a grant is for that grant, and constraints are not for
// operations without an encryption context.
func TestAGranteeRetiresItsOwnGrantOnly(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	grantee := client(cloud.User(worldtest.A, "grantee", ""))
	cloud.User(worldtest.A, "other", "")
	grant := func(to string) string {
		out, err := admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.A, to)), Constraints: subset("team", "blue"),
			Operations: []types.GrantOperation{types.GrantOperationDescribeKey, types.GrantOperationRetireGrant, types.GrantOperationDecrypt},
		})
		if err != nil {
			t.Fatal(err)
		}
		return *out.GrantId
	}
	own, other := grant("grantee"), grant("other")
	if _, err := grantee.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: key.Arn}); err != nil {
		t.Error(err)
	}
	_, err := grantee.RetireGrant(t.Context(), &awskms.RetireGrantInput{KeyId: key.Arn, GrantId: &other})
	worldtest.WantError(t, err, "AccessDeniedException", "kms:RetireGrant")
	if _, err := grantee.RetireGrant(t.Context(), &awskms.RetireGrantInput{KeyId: key.Arn, GrantId: &own}); err != nil {
		t.Error(err)
	}
}

// A constraint to have no encryption context at all is still one after a restart.
func TestAnEmptyConstraintSurvivesTheStateFile(t *testing.T) {
	cloud, admin := world(t)
	key := newKey(t, admin, "")
	cfg := cloud.User(worldtest.A, "grantee", "")
	_, err := admin.CreateGrant(t.Context(), &awskms.CreateGrantInput{
		KeyId: key.KeyId, GranteePrincipal: aws.String(user(worldtest.A, "grantee")), Constraints: equals(),
		Operations: []types.GrantOperation{types.GrantOperationEncrypt},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.BaseEndpoint = &cloud.Reload(t, kms.New()).URL
	grantee := client(cfg)
	if _, err := grantee.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("x")}); err != nil {
		t.Error(err)
	}
	_, err = grantee.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("x"), EncryptionContext: map[string]string{"a": "b"}})
	worldtest.WantError(t, err, "AccessDeniedException", "")
}
