package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"image/png"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

// looked is a page of the backend in Chromium.
type looked struct{ URI, User, Cookie string }

// visit is the report of a user with Chromium.
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
	SignedOut         string
	Violations        []string
}

// TestChromium is a sign-in, two tabs and a logout in a real browser.
func TestChromium(t *testing.T) {
	r := theRig(t)
	var v visit
	r.chromium("browser.mjs", map[string]any{"site": r.url, "logout": "/oidc/callback/logout"}, &v)
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
	if v.SignedOut != "You are signed out" {
		t.Errorf("the page after the sign-out says %q", v.SignedOut)
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

// TestScreenshot takes the picture of the README, the sign-in page of the demo's
// provider. It goes to the path in SCREENSHOT.
func TestScreenshot(t *testing.T) {
	p := oidctest.New(oidctest.Options{})
	t.Cleanup(p.Close)
	picture := os.Getenv("SCREENSHOT")
	if picture == "" {
		picture = filepath.Join(t.TempDir(), "sign-in.png")
	}
	question := url.Values{
		"client_id": {"client"}, "response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"http://demo.localhost/oidc/callback"},
	}
	r := &rig{t: t, site: &site{}}
	var page struct{ Title string }
	r.chromium("screenshot.mjs", map[string]any{"page": p.Endpoint(oidctest.Authorize) + "?" + question.Encode(), "picture": picture}, &page)
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := png.DecodeConfig(f)
	if err != nil || size.Width < 900 || page.Title != "Who are you?" {
		t.Errorf("a picture of %q, %d wide: %v", page.Title, size.Width, err)
	}
}

// chromium runs a script with a browser and reads the JSON that it prints into report.
func (r *rig) chromium(script string, parameters map[string]any, report any) {
	r.t.Helper()
	executable := lookPath("chromium")
	if executable == "" {
		r.t.Fatal("no chromium on PATH: run make test, or install Debian's package chromium")
	}
	parameters["executable"], parameters["profile"], parameters["timeout"] = executable, r.t.TempDir(), 20_000
	text, err := json.Marshal(parameters)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	node := r.node(script)
	cmd := exec.CommandContext(ctx, node.Path, node.Args[1:]...)
	cmd.Dir, cmd.WaitDelay, cmd.SysProcAttr = node.Dir, 5*time.Second, group()
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.Env = append(os.Environ(), "BROWSER="+string(text))
	var out, failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failure
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("%s: %v: %s %s", script, err, failure.String(), out.String())
	}
	if err := json.Unmarshal(out.Bytes(), report); err != nil {
		r.t.Fatalf("%s printed %q: %v", script, out.String(), err)
	}
}
