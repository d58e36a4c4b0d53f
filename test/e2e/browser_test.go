package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// looked is a page of the backend as Chromium shows it.
type looked struct{ URI, User, Cookie string }

// visit is what the person with Chromium tells.
type visit struct {
	Error           string
	First, Second   looked
	Again           looked
	Script, StillIn int
	Question        struct {
		Status int
		Text   string
	}
	AtProvider, Afterwards string
	AsksAgain              int
	ScriptAfterwards       int
	Cookies                []struct {
		Name, SameSite, Path, Domain string
		Secure, HTTPOnly             bool
	}
	CookiesAfterwards []string
	Violations        []string
}

// TestChromium is a sign-in, two tabs and a logout in a real browser. With
// SCREENSHOT set to a path, the provider's page goes there.
func TestChromium(t *testing.T) {
	r := theRig(t)
	v := r.chromium()
	if v.Error != "" {
		t.Fatal(v.Error)
	}
	for _, tab := range []struct {
		got  looked
		want string
	}{{v.Second, "/second?tab=2"}, {v.First, "/first?tab=1"}, {v.Again, "/again"}} {
		if tab.got.URI != tab.want || tab.got.User != "alice@example.com" || tab.got.Cookie != "" {
			t.Errorf("B6 %+v, want alice at %s", tab.got, tab.want)
		}
	}
	if v.Script != 200 || v.StillIn != 200 || v.ScriptAfterwards != 401 {
		t.Errorf("scripts: %d signed in, %d after another site's link, %d signed out", v.Script, v.StillIn, v.ScriptAfterwards)
	}
	found := false
	for _, c := range v.Cookies {
		found = found || c.Name == r.cookie
		if !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-") {
			t.Errorf("F19 cookie %+v", c)
		}
	}
	if !found {
		t.Errorf("no session cookie among %+v", v.Cookies)
	}
	if v.Question.Status != 200 || !strings.Contains(v.Question.Text, "sign out") {
		t.Errorf("I1 another site's link to the logout: %+v", v.Question)
	}
	if !strings.HasPrefix(v.AtProvider, r.issuer+"/session/end") || !strings.HasPrefix(v.Afterwards, r.issuer) || v.AsksAgain != 1 {
		t.Errorf("the logout went to %s, then %s", v.AtProvider, v.Afterwards)
	}
	for _, name := range v.CookiesAfterwards {
		if name == r.cookie {
			t.Error("the session cookie is still there")
		}
	}
	if len(v.Violations) > 0 {
		t.Errorf("our pages break their own policy: %v", v.Violations)
	}
}

// chromium runs the person's script.
func (r *rig) chromium() visit {
	r.t.Helper()
	executable := lookPath("chromium")
	if executable == "" {
		r.t.Fatal("no chromium on PATH: run make test, or install Debian's package chromium")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	node := r.node("browser.mjs")
	cmd := exec.CommandContext(ctx, node.Path, node.Args[1:]...)
	cmd.Dir = node.Dir
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = group()
	cmd.Cancel = func() error { return killGroup(cmd) }
	parameters, err := json.Marshal(map[string]any{
		"executable": executable, "profile": r.t.TempDir(), "site": r.url, "logout": "/oidc/callback/logout",
		"screenshot": os.Getenv("SCREENSHOT"), "timeout": 20_000,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "BROWSER="+string(parameters))
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("chromium: %v: %s %s", err, failure.String(), out.String())
	}
	var v visit
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		r.t.Fatalf("chromium said %q: %v", out.String(), err)
	}
	return v
}
