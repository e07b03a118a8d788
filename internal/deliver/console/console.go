// Package console makes URLs that sign a browser in to the AWS console with
// temporary credentials.
//
// [URL] asks AWS's sign-in endpoint for a token and makes the URL, which is good for
// 15 minutes and lets whoever has it in: it is to be opened, not printed, unless
// that is asked for. The credentials travel in a request's body, never in a URL.
//
// Source: IAM User Guide, "Enable custom identity broker access to the AWS console".
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stile-aws/stile/internal/catalog"
)

// Request says where the console should open.
type Request struct {
	// Region of the console, and of the sign-in endpoint. Default: the partition's.
	Region string
	// Service is the path of a service's console ("s3", "ec2/v2"), or a whole URL of
	// the console. Default: the console's home.
	Service string
	// Duration of the console's session, 15 minutes to 12 hours. It is allowed for
	// the first role entered with a user's long-term credentials alone: AWS refuses
	// it for all others, whose console lasts as long as the credentials. Default: that.
	Duration time.Duration
	// Issuer is where the console sends a person whose session is over. Default: none.
	Issuer string
	// Endpoint replaces the sign-in endpoint's scheme and host, as of a local AWS.
	Endpoint string
}

// ErrRefused means that AWS refused the credentials. It takes those of roles and of
// federated users; a user's session (GetSessionToken) is refused like one that has
// ended.
var ErrRefused = errors.New("AWS refuses these credentials")

const (
	minDuration = 15 * time.Minute
	maxDuration = 12 * time.Hour
	maxAnswer   = 1 << 20
)

// URL makes a sign-in URL. The error says what AWS answered, without anything of
// the credentials.
func URL(ctx context.Context, client aws.HTTPClient, c aws.Credentials, req Request) (string, error) {
	text, err := signIn(ctx, client, c, req)
	if err != nil {
		return "", fmt.Errorf("signing in to the console: %w", err)
	}
	return text, nil
}

func signIn(ctx context.Context, client aws.HTTPClient, c aws.Credentials, req Request) (string, error) {
	if c.SessionToken == "" {
		return "", errors.New("a user's long-term credentials cannot sign in; enter a role first")
	}
	if req.Duration != 0 && (req.Duration < minDuration || req.Duration > maxDuration) {
		return "", fmt.Errorf("a session of %s: want %s to %s", req.Duration, minDuration, maxDuration)
	}
	if req.Region != "" && !catalog.RegionShaped(req.Region) { // it will be part of the host that gets the credentials
		return "", fmt.Errorf("%q is no Region", req.Region)
	}
	host, ok := hosts[catalog.Partition(req.Region)]
	if !ok {
		return "", fmt.Errorf("region %q is in a partition whose sign-in endpoint is not known", req.Region)
	}
	destination, err := destination(req, host.console)
	if err != nil {
		return "", err
	}
	endpoint := req.Endpoint
	if endpoint == "" {
		endpoint = "https://" + regional(req.Region) + host.signin
	}
	endpoint = strings.TrimSuffix(endpoint, "/") + "/federation"
	token, err := signinToken(ctx, client, endpoint, c, req.Duration)
	if err != nil {
		return "", err
	}
	return endpoint + "?" + url.Values{
		"Action": {"login"}, "Issuer": {req.Issuer}, "Destination": {destination}, "SigninToken": {token},
	}.Encode(), nil
}

// hosts are the partitions' sign-in endpoints and consoles. Source: AWS General
// Reference, "AWS Sign-In endpoints"; the partitions' own documentation.
var hosts = map[string]struct{ signin, console string }{
	"aws":        {"signin.aws.amazon.com", "console.aws.amazon.com"},
	"aws-cn":     {"signin.amazonaws.cn", "console.amazonaws.cn"},
	"aws-us-gov": {"signin.amazonaws-us-gov.com", "console.amazonaws-us-gov.com"},
	"aws-eusc":   {"signin.amazonaws-eusc.eu", "console.amazonaws-eusc.eu"},
}

// regional is the host's prefix for a Region. us-east-1 is where the endpoint
// without one is.
func regional(region string) string {
	if region == "" || region == "us-east-1" || catalog.Partition(region) != "aws" {
		return ""
	}
	return region + "."
}

// destination is the page to open, never outside the console: the URL would sign
// in to whatever it names.
func destination(req Request, console string) (string, error) {
	if !strings.Contains(req.Service, "://") {
		page := url.URL{Scheme: "https", Host: console, Path: "/" + strings.Trim(req.Service, "/")}
		if req.Service == "" {
			page.Path = "/console/home"
		}
		if req.Region != "" {
			page.RawQuery = url.Values{"region": {req.Region}}.Encode()
		}
		return page.String(), nil
	}
	page, err := url.Parse(req.Service)
	if err != nil {
		return "", fmt.Errorf("the page %q is no URL", req.Service)
	}
	if page.Scheme != "https" || page.User != nil || page.Host != console && !strings.HasSuffix(page.Host, "."+console) {
		return "", fmt.Errorf("the page %s is not of the console (https://%s)", page.Redacted(), console)
	}
	return req.Service, nil
}

func signinToken(ctx context.Context, client aws.HTTPClient, endpoint string, c aws.Credentials, duration time.Duration) (string, error) {
	session, err := json.Marshal(map[string]string{"sessionId": c.AccessKeyID, "sessionKey": c.SecretAccessKey, "sessionToken": c.SessionToken})
	if err != nil {
		return "", err
	}
	form := url.Values{"Action": {"getSigninToken"}, "Session": {string(session)}}
	if duration != 0 {
		form.Set("SessionDuration", strconv.Itoa(int(duration/time.Second)))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", err
	}
	var answer struct{ SigninToken string }
	if resp.StatusCode == http.StatusOK && json.Unmarshal(body, &answer) == nil && answer.SigninToken != "" {
		return answer.SigninToken, nil
	}
	if resp.StatusCode == http.StatusBadRequest && duration != 0 {
		return "", fmt.Errorf("%w: they may have expired, or come from another role, for which a duration cannot be chosen", ErrRefused)
	}
	return "", fmt.Errorf("%w (status %d): they may have expired or been revoked", ErrRefused, resp.StatusCode)
}
