package resilience_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/stile-aws/stile/internal/cli/login/logintest"
	"github.com/stile-aws/stile/internal/localaws/service"
)

// shopRoles are how many accounts have the role deploy, which the console's user may
// enter.
const shopRoles = 3

// shop adds the source shop, a sign-in to the console.
func shop(t *testing.T, w *logintest.World) {
	t.Helper()
	w.ConsoleOf(t, logintest.ConsoleUser)
	w.Stile(t, nil, strings.Fields("sessions add shop --console-login --region eu-west-1")...).Want(t, "")
	for i := range shopRoles {
		_, err := w.IAM(logintest.Account(i)).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("deploy"), AssumeRolePolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + string(logintest.Account(0)) + `"},"Action":"sts:AssumeRole"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Since()
}

// fiftyOfTheConsole are the user itself and its roles, 50 addresses in all.
func fiftyOfTheConsole() []string {
	var all []string
	for i := range 50 {
		address := "shop"
		if role := i % (shopRoles + 1); role > 0 {
			address = fmt.Sprintf("shop:%s/deploy", logintest.Account(role-1))
		}
		all = append(all, address)
	}
	return all
}

func TestFiftyCallersOfTheConsoleSignInOnceAndRefreshOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, w *logintest.World) {
		shop(t, w)
		addresses := fiftyOfTheConsole()
		herd := func() {
			t.Helper()
			if n := logintest.Succeeded(t, addresses, w.Herd(t, addresses)); n != shopRoles+1 {
				t.Errorf("%d identities, want %d", n, shopRoles+1)
			}
		}
		herd()
		cold := w.Since()
		delete(cold, "GetCallerIdentity") // of whom nobody knew the name yet, or the account
		if cold["CreateOAuth2Token"] != 1 || cold["AssumeRole"] != shopRoles {
			t.Errorf("cold: calls %v", cold)
		}
		herd()
		called(t, w, "warm", map[string]int{})
		w.ExpireConsole(t)
		herd()
		calls := w.Since()
		delete(calls, "GetCallerIdentity")
		if calls["CreateOAuth2Token"] != 1 || calls["AssumeRole"] != shopRoles {
			t.Errorf("with expired credentials: calls %v", calls)
		}
		if n := w.Pages(t); n != 1 {
			t.Errorf("%d pages were opened, want 1", n)
		}
	})
}

// A sign-in that has ended is tried once, and said by all.
func TestFiftyCallersOfASignInThatHasEndedAreTold(t *testing.T) {
	w := logintest.New(t)
	shop(t, w)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	path, fields := w.ConsoleToken(t)
	fields["refreshToken"] = "spent"
	w.WriteConsole(t, path, fields, time.Now().Add(-time.Minute))
	w.Since()
	for _, r := range w.Herd(t, fiftyOfTheConsole(), "STILE_NO_LOGIN=1") {
		r.Refused(t, "run stile login shop")
		if n := strings.Count(strings.TrimSpace(r.Stderr), "\n"); n != 0 {
			t.Errorf("%d lines too many: %s", n, r.Stderr)
		}
	}
	called(t, w, "a spent refresh token", map[string]int{"CreateOAuth2Token": 1})
}

// While AWS's sign-in is down, what is valid serves; when it has ended, that is said
// once, and nothing of the sign-in is lost.
func TestTheConsolesSignInIsDown(t *testing.T) {
	w := logintest.New(t)
	shop(t, w)
	w.Stile(t, nil, "login", "shop").Want(t, "")
	w.Fail(func(operation string) service.Action {
		if operation == "CreateOAuth2Token" {
			return service.Fail
		}
		return service.Proceed
	})
	path, fields := w.ConsoleToken(t)
	w.WriteConsole(t, path, fields, time.Now().Add(3*time.Minute))
	logintest.Key(t, w.Stile(t, nil, "credential-process", "shop"))
	w.WriteConsole(t, path, fields, time.Now().Add(-time.Minute))
	w.Stile(t, nil, "credential-process", "shop").Refused(t, "refreshing the sign-in to shop")
	w.Fail(nil)
	if r := w.Stile(t, nil, "credential-process", "shop"); r.Code != 0 || w.Pages(t) != 1 {
		t.Errorf("afterwards: exit %d, %s", r.Code, r.Stderr)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), fmt.Sprint(fields["refreshToken"])) {
		t.Errorf("%v, the refresh token was not replaced", err)
	}
}
