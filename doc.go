// Package stile gives a service one AWS client for every account, role and
// Region it works in.
//
// A service that monitors, deploys or audits hundreds of accounts assumes a role
// of the same name in each of them; the only thing that varies is the account.
// A [Pool] is made once and shared by all goroutines:
//
//	pool, err := stile.New(ctx, stile.Config{Role: "monitoring-reader"})
//	…
//	defer pool.Close()
//	tables, err := stile.Client(ctx, pool, dynamodb.NewFromConfig, "222222222222", "", "eu-west-1")
//
// [Pool.Config] gives the aws.Config under such a client, [Pool.Self] the
// service's own. [Client] makes each client once. [Pool.Each] and [Results] run
// a function over a set of accounts, side by side.
//
// # Accounts
//
// An account is named by its twelve digits, or by a name if Config.Directory
// knows it: [Organization] asks AWS Organizations, [List] is a list of your own,
// [Declared] reads stile's declarations, [Saved] an inventory. There is no default account: an empty or
// unknown name is an error and never the service's own account.
//
// # Customers' accounts
//
// A service that works in the accounts of others gives each its external id by
// Config.SessionFor, so that nobody can have it work in somebody else's account.
// [Pool.WithSession] narrows a session to one customer, by tags or a policy:
//
//	tenant := pool.WithSession(creds.Role{Tags: map[string]string{"tenant": "acme"}})
//	tables, err := stile.Client(ctx, tenant, dynamodb.NewFromConfig, account, role, "")
//
// # Credentials
//
// There is one credential for each distinct request to STS, whatever the number
// of Regions and clients, and one STS call for it, however many callers wait. It
// is refreshed in the background, well before it expires; nobody waits unless it
// is in its last minute; when a refresh fails, the credential that is still valid
// is served. All calls to STS share a budget below AWS's quota, and once STS
// throttles, one call at a time finds out whether it still does. When a service
// no longer accepts a credential, as after the role was deleted and made again,
// another one is fetched and the request made once more; a service that refuses
// that one too, as in a Region that is not enabled, is believed to mean itself.
// Package creds has the details.
//
// # Tests
//
// Package stiletest gives a test an organization of accounts, roles and clients,
// with IAM enforced, and no network.
package stile
