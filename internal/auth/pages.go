package auth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/texts"
)

// A page has the content of a response to a user.
type page struct {
	failure   failure
	reference string
	target    string              // of the link; empty: there is none
	label     string              // key of the text of the link to target; empty: "try again"
	user      string              // of the refused session; empty: unknown
	another   string              // the start of a sign-in with another account; empty: no link
	back      string              // the target of "back"; empty: no link
	confirm   bool                // the sign-out has to be confirmed
	window    bool                // target opens in a new window, and any site may frame the page
	onward    bool                // the browser opens target by itself, at once
	again     string              // the target of "try again", in addition to target; empty: no link
	choose    string              // the address of the page on which users choose a provider; empty: no link
	choices   []map[string]string // Label and Target of each provider on that page
	details   []any               // of the log line: names and values
	reload    int                 // seconds until the browser repeats the request by itself; zero: it does not
}

const style = `:root{color-scheme:light dark;--ink:#1c2333;--soft:#596275;--card:#fff;--ground:#eef1f6;--line:#dde2ea;--edge:#7a8496;--accent:#3b5bdb;--on:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf4;--soft:#a5aebd;--card:#1b2130;--ground:#10141d;--line:#2c3445;--edge:#7b879c;--accent:#8da2fb;--on:#10141d}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem 1rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:2rem;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.6rem;line-height:1.25;text-wrap:balance}
p{margin:.75rem 0}
bdi{font-weight:600}
div{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:1.5rem}
form{margin:0}
a,button{display:inline-block;min-height:2.75rem;padding:.6rem 1.1rem;border:1px solid var(--edge);border-radius:.75rem;font:inherit;line-height:1.5;color:var(--ink);background:none;text-align:center;text-decoration:none;cursor:pointer}
div>:first-child:is(a),form button{border-color:var(--accent);background:var(--accent);color:var(--on)}
a:hover,button:hover{border-color:var(--ink)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
small{color:var(--soft)}
p:last-child{margin-bottom:0}
@media (max-width:30rem){main{padding:1.5rem}div>*,button{width:100%}}`

const body = `<!doctype html>
<html lang="{{.Language}}"{{if .RightToLeft}} dir="rtl"{{end}}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{if .User}}<p>{{.BeforeUser}}<bdi>{{.User}}</bdi>{{.AfterUser}}</p>
{{end}}<p>{{.Advice}}{{if .Reload}} {{.ReloadText}}{{end}}</p>
{{if or .Confirm .Target .AnotherAccount .Again .Back .Choices .Choose}}<div>
{{if .Confirm}}<form method="post" action="{{.LogoutPath}}"><button type="submit">{{.SignOutText}}</button></form>
{{end}}{{if .Target}}<a href="{{.Target}}"{{if .NewWindow}} target="_blank" rel="noopener"{{end}}>{{.TargetText}}</a>
{{end}}{{if .Again}}<a href="{{.Again}}">{{.AgainText}}</a>
{{end}}{{if .AnotherAccount}}<a href="{{.AnotherAccount}}">{{.AnotherAccountText}}</a>
{{end}}{{range .Choices}}<a href="{{.Target}}">{{.Label}}</a>
{{end}}{{if .Choose}}<a href="{{.Choose}}">{{.ChooseText}}</a>
{{end}}{{if .Back}}<a href="{{.Back}}">{{.BackText}}</a>
{{end}}</div>
{{end}}{{if .Reference}}<p><small>{{.ReferenceText}} <code>{{.Reference}}</code></small></p>
{{end}}</main>
</body>
</html>
`

// pages writes the pages that users see. They have no scripts, and their template
// escapes each value. Their policy permits nothing else to run.
type pages struct {
	t      *template.Template
	policy string
	book   *texts.Book
}

// newPages returns the built-in pages, or those of the operator's template. A template
// may have its own styles and pictures but no scripts.
func newPages(custom string, language texts.Options) (*pages, error) {
	text := body
	policy := builtInPolicy()
	if custom != "" {
		text = custom
		policy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"
	}
	book, err := texts.New(language)
	if err != nil {
		return nil, fmt.Errorf("pageLanguage: %w", err)
	}
	t, err := template.New("page").Parse(text)
	if err == nil {
		err = tryTemplate(t, book.For(""))
	}
	if err != nil {
		return nil, fmt.Errorf("errorTemplate: %w", err)
	}
	return &pages{t: t, policy: policy + "; base-uri 'none'", book: book}, nil
}

// tryTemplate executes t for a page with the fewest fields and for one with all. A
// field that no page has, such as a misspelt one, is an error.
func tryTemplate(t *template.Template, l *texts.Language) error {
	t.Option("missingkey=error")
	err := t.Execute(io.Discard, page{failure: internalFault}.data("", l))
	if err == nil {
		all := page{failure: internalFault, reference: "x", user: "x", target: "/", again: "/", another: "/", back: "/", choose: "/", choices: []map[string]string{{"Label": "x", "Target": "/"}}, confirm: true, window: true, reload: 1}
		err = t.Execute(io.Discard, all.data("/", l))
	}
	t.Option("missingkey=default")
	return err
}

func builtInPolicy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// data returns the fields of p for a template. docs/configuration.md lists them.
func (p page) data(logoutPath string, l *texts.Language) map[string]any {
	label := p.label
	if label == "" {
		label = "label.try_again"
	}
	before, after, _ := strings.Cut(l.Text("label.signed_in_as"), texts.User)
	return map[string]any{
		"Status": p.failure.status, "Code": p.failure.code, "Reference": p.reference, "ReferenceText": l.Text("label.reference"),
		"Title": l.Text(p.failure.text() + ".title"), "Advice": l.Text(p.failure.text() + ".advice"),
		"Language": l.Tag, "RightToLeft": l.RightToLeft,
		"User": p.user, "BeforeUser": before, "AfterUser": after,
		"Target": p.target, "TargetText": l.Text(label), "NewWindow": p.window,
		"Again": p.again, "AgainText": l.Text("label.try_again"),
		"AnotherAccount": p.another, "AnotherAccountText": l.Text("label.another_account"),
		"Choices": p.choices, "Choose": p.choose, "ChooseText": l.Text("label.another_provider"),
		"Back": p.back, "BackText": l.Text("label.back"),
		"SignOut": p.another != "", "Confirm": p.confirm, "LogoutPath": logoutPath, "SignOutText": l.Text("label.sign_out"),
		"Reload": p.reload, "ReloadText": l.Text("label.by_itself"),
		"Style": template.CSS(style),
	}
}

// write sends p. A form may lead on to the provider, and browsers check each redirect
// of it. So form-action is set only where there is no form.
func (t *pages) write(w http.ResponseWriter, r *http.Request, logoutPath string, p page) {
	language := t.book.For(r.Header.Get("Accept-Language"))
	var b bytes.Buffer
	err := t.t.Execute(&b, p.data(logoutPath, language))
	if err != nil {
		b.Reset()
		b.WriteString(template.HTMLEscapeString(language.Text(p.failure.text() + ".title")))
	}
	h := w.Header()
	policy := t.policy + "; frame-ancestors 'none'"
	if p.window {
		policy = t.policy + "; frame-ancestors *"
		h.Del("X-Frame-Options")
	}
	if !p.confirm {
		policy += "; form-action 'none'"
	} else if r.Header.Get("Sec-Fetch-Site") == "" {
		// Such a browser reports the source of a form only by Origin, which is null
		// when no referrer may be sent.
		h.Set("Referrer-Policy", "same-origin")
	}
	if p.reload > 0 {
		h.Set("Refresh", strconv.Itoa(p.reload))
	}
	if p.onward {
		h.Set("Refresh", "0; url="+p.target)
	}
	if t.book.FollowsBrowser() {
		h.Add("Vary", "Accept-Language")
	}
	h.Set("Content-Language", language.Tag)
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(p.failure.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

// confirmLogout responds with a page on which the user confirms a sign-out that another
// site requested.
func (m *Middleware) confirmLogout(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	if !wantsHTML(r) {
		status = http.StatusForbidden
	}
	m.answer(w, r, page{confirm: true, target: "/", label: "label.stay_signed_in", failure: failure{status, "confirm", false}}, nil)
}

// signedOut responds that the session ended.
func (m *Middleware) signedOut(w http.ResponseWriter, r *http.Request, g goodbye) {
	f := failure{http.StatusOK, "signed_out", false}
	if g.there {
		f.code = "signed_out_there"
	}
	m.answer(w, r, page{target: g.target, label: "label.sign_in_again", failure: f}, nil)
}
