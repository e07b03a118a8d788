// Package creds gets AWS credentials from STS, keeps them fresh and shares them.
//
// A [Provider] is an aws.CredentialsProvider that can be told from others by
// what it asks for: [WebIdentity] turns a service account's token into a role's
// credentials, [AssumeRole] turns credentials into those of another role,
// [From] names a provider from elsewhere. A [Cache] holds one credential for
// each distinct request, however many callers, clients and Regions use it:
//
//	cache := creds.NewCache(creds.Config{})
//	defer cache.Close()
//	hub, err := creds.NewWebIdentity(cfg, creds.TokenFile(path), creds.Role{ARN: hubARN, SessionName: "payroll-api"})
//	…
//	target, err := cache.Chain(cfg, hub, creds.Role{ARN: targetARN})
//	cfg.Credentials = target
//
// What the cache promises: a credential is refreshed in the background, well
// before it expires; callers wait only when there is none, or in its last
// minute; when a refresh fails, the credential that is still valid is served;
// one fetch at a time for each request, which no caller's cancelled context
// ends and which a caller may leave; a fetch that hangs is given up.
//
// Nothing here caches on disk, asks a person, or reads the environment and
// configuration files: the aws.Config that is handed in decides endpoint,
// Region, HTTP client and retries of the STS calls. The values of this package
// print without anything secret.
package creds
