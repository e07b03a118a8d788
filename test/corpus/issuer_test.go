package corpus_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/stile-aws/stile/arn"
	"github.com/stile-aws/stile/internal/localaws/store"
)

// testIssuer stands for every OIDC issuer on the internet: one key signs for all.
type testIssuer struct{ key *rsa.PrivateKey }

// issuer is made once, for keys take time.
var issuer = sync.OnceValue(func() *testIssuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("corpus_test: drawing a key: " + err.Error())
	}
	return &testIssuer{key}
})

// fetch gives the discovery document and the keys of any issuer.
func (i *testIssuer) fetch(_ context.Context, url string) ([]byte, error) {
	base, found := strings.CutSuffix(url, "/.well-known/openid-configuration")
	if found {
		return json.Marshal(map[string]string{"issuer": base, "jwks_uri": base + "/keys"})
	}
	if !strings.HasSuffix(url, "/keys") {
		return nil, fmt.Errorf("fetching %s: no such document", url)
	}
	public := jose.JSONWebKey{Key: &i.key.PublicKey, KeyID: "k", Algorithm: "RS256", Use: "sig"}
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
}

// token is a token of the issuer whose URL is https://key.
func (i *testIssuer) token(key, audience, subject string, now time.Time) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k"}}, nil)
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": "https://" + key, "aud": audience, "sub": subject, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// register makes the issuer known to an account.
func (w *world) register(account arn.AccountID, key, audience string) {
	state := w.server.World()
	state.Lock()
	defer state.Unlock()
	state.Accounts[account].IAM.OIDCProviders[key] = store.NewVersioned(time.Time{}, &store.OIDCProvider{Key: key, ClientIDs: []string{audience}})
}
