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
)

// A page is what a person is shown.
type page struct {
	failure   failure
	reference string
	target    string // where "try again" leads; empty: the request's own address is not offered
	signOut   bool   // offer the sign-out
	confirm   bool   // the sign-out has to be confirmed
	details   []any  // of the log line: names and values
}

const style = `:root{color-scheme:light dark}
body{font:1.05rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.5rem}
h1{font-size:1.5rem;line-height:1.25}
a,button{display:inline-block;font:inherit;padding:.5rem 1rem;margin:.5rem .5rem 0 0;border:1px solid;border-radius:.4rem;color:inherit;background:none;text-decoration:none;cursor:pointer}
small{opacity:.7}`

const body = `<!doctype html>
<html lang="en">
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
<p>{{.Advice}}</p>
{{if .Confirm}}<form method="post" action="{{.LogoutPath}}"><button type="submit">Sign out</button></form>{{end}}
{{if .Target}}<a href="{{.Target}}">Try again</a>{{end}}
{{if .SignOut}}<a href="{{.LogoutPath}}">Sign out</a>{{end}}
{{if .Reference}}<p><small>Reference: <code>{{.Reference}}</code></small></p>{{end}}
</main>
</body>
</html>
`

// pages writes what people see: without scripts, from a template whose values are
// escaped, under a policy that lets nothing else run.
type pages struct {
	t      *template.Template
	policy string
}

// newPages returns the built-in pages, or those of the operator's template, which
// may bring styles and pictures of its own but no scripts.
func newPages(custom string) (*pages, error) {
	text := body
	policy := builtInPolicy()
	if custom != "" {
		text = custom
		policy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:"
	}
	t, err := template.New("page").Parse(text)
	if err == nil {
		err = t.Execute(io.Discard, page{failure: internalFault}.data(""))
	}
	if err != nil {
		return nil, fmt.Errorf("errorTemplate: %w", err)
	}
	return &pages{t: t, policy: policy + "; base-uri 'none'; frame-ancestors 'none'"}, nil
}

func builtInPolicy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// data is what a template can show of p: Status, Code, Title, Advice, Reference,
// Target ("Try again" leads there), SignOut (offer LogoutPath), Confirm (ask, in a
// form that posts to LogoutPath) and Style, that of the built-in page.
func (p page) data(logoutPath string) map[string]any {
	return map[string]any{
		"Status": p.failure.status, "Code": p.failure.code, "Title": p.failure.title, "Advice": p.failure.advice, "Reference": p.reference,
		"Target": p.target, "SignOut": p.signOut, "Confirm": p.confirm, "LogoutPath": logoutPath,
		"Style": template.CSS(style),
	}
}

// write sends p. A form may lead on to the provider, and browsers check each
// redirect of it, so that form-action is set only where there is no form.
func (t *pages) write(w http.ResponseWriter, r *http.Request, logoutPath string, p page) {
	var b bytes.Buffer
	err := t.t.Execute(&b, p.data(logoutPath))
	if err != nil {
		b.Reset()
		b.WriteString(p.failure.title)
	}
	h := w.Header()
	policy := t.policy
	if !p.confirm {
		policy += "; form-action 'none'"
	} else if r.Header.Get("Sec-Fetch-Site") == "" {
		// Such a browser tells where a form comes from by Origin alone, which is
		// null when no referrer may be sent.
		h.Set("Referrer-Policy", "same-origin")
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(p.failure.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

// confirmLogout asks the person whether they want what another site asked for.
func (m *Middleware) confirmLogout(w http.ResponseWriter, r *http.Request) {
	status := http.StatusOK
	if !wantsHTML(r) {
		status = http.StatusForbidden
	}
	m.answer(w, r, page{confirm: true, failure: failure{
		status: status, code: "confirm", title: "Do you want to sign out?",
		advice: "Another site sent you here to sign out of this one.",
	}}, nil)
}

// signedOut says that the session is over.
func (m *Middleware) signedOut(w http.ResponseWriter, r *http.Request) {
	m.answer(w, r, page{target: m.postLogout(), failure: failure{
		status: http.StatusOK, code: "signed_out", title: "You are signed out",
		advice: "Your session here is over. You may still be signed in at the provider.",
	}}, nil)
}
