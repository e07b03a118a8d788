package creds

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
)

// Container gets credentials from a container credentials endpoint: that of ECS
// or of the EKS Pod Identity agent. Make one with [NewContainer] or
// [ContainerFromEnvironment].
type Container struct {
	url      string
	provider *endpointcreds.Provider
}

// ContainerConfig says where a container credentials endpoint is. Source: SDKs
// and Tools Reference Guide, "Container credential provider".
type ContainerConfig struct {
	URL string // the full URL
	// Authorization is the header's value; with AuthorizationFile it is read from
	// the file again for each fetch. At most one of them.
	Authorization, AuthorizationFile string
	HTTPClient                       aws.HTTPClient // default: the SDK's
}

// ErrNoContainer means that the environment names no container credentials endpoint.
var ErrNoContainer = errors.New("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set")

// ContainerFromEnvironment uses the endpoint that ECS or EKS put into the
// environment of the container.
func ContainerFromEnvironment() (*Container, error) {
	cfg := ContainerConfig{
		URL:               os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		Authorization:     os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
		AuthorizationFile: os.Getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
	}
	if path := os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); path != "" { // which wins
		cfg.URL = "http://169.254.170.2" + path
	}
	if cfg.URL == "" {
		return nil, ErrNoContainer
	}
	if cfg.AuthorizationFile != "" { // which wins, too
		cfg.Authorization = ""
	}
	return NewContainer(cfg)
}

// NewContainer makes a Provider of a container credentials endpoint. The URL must
// be https, or http on this host or one of the addresses of ECS and EKS.
func NewContainer(cfg ContainerConfig) (*Container, error) {
	if err := checkContainerURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("preparing container credentials: %w", err)
	}
	if cfg.Authorization != "" && cfg.AuthorizationFile != "" {
		return nil, errors.New("preparing container credentials: both an authorization token and a file with one")
	}
	return &Container{url: cfg.URL, provider: endpointcreds.New(cfg.URL, func(o *endpointcreds.Options) {
		o.AuthorizationToken = cfg.Authorization
		if cfg.HTTPClient != nil {
			o.HTTPClient = cfg.HTTPClient
		}
		if cfg.AuthorizationFile != "" {
			o.AuthorizationTokenProvider = authorizationFile(cfg.AuthorizationFile)
		}
	})}, nil
}

// authorizationFile is the path of a file with the Authorization header's value.
type authorizationFile string

func (f authorizationFile) GetToken() (string, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return "", fmt.Errorf("reading authorization token: %w", err)
	}
	token := strings.TrimRight(string(text), "\r\n")
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("reading authorization token: %s does not hold one line", string(f))
	}
	return token, nil
}

// Retrieve asks the endpoint.
func (c *Container) Retrieve(ctx context.Context) (aws.Credentials, error) {
	out, err := c.provider.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("%s: %w", c, err)
	}
	return out, nil
}

// Key implements [Provider].
func (c *Container) Key() string { return digest("Container", c.url) }

// String names the endpoint.
func (c *Container) String() string { return "container credentials of " + c.url }

// Format prints as String, whatever the verb.
func (c *Container) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }

// checkContainerURL holds the rule of the SDKs: credentials travel without
// encryption only where nobody else can listen. Source: SDKs and Tools Reference
// Guide, "Container credential provider", AWS_CONTAINER_CREDENTIALS_FULL_URI.
func checkContainerURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is not a URL", text)
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if u.Hostname() == "localhost" {
			return nil
		}
		addr, err := netip.ParseAddr(u.Hostname())
		if err == nil && (addr.IsLoopback() || containerHosts[addr.String()]) {
			return nil
		}
		return fmt.Errorf("%s: http is for this host and the addresses of ECS and EKS only", u.Redacted())
	}
	return fmt.Errorf("%s: want http or https", u.Redacted())
}

// containerHosts are where ECS and the EKS Pod Identity agent listen.
var containerHosts = map[string]bool{"169.254.170.2": true, "169.254.170.23": true, "fd00:ec2::23": true}
