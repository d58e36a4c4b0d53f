package main

import (
	"fmt"
	"html/template"
	"net/http"
	"sort"
	"strings"
)

// A received is a request as the backend received it.
type received struct {
	Path    string
	User    string   // X-Forwarded-User; empty: there is none
	Name    string   // of the signed-in user; empty: there is none
	About   []header // headers about the user
	Headers []header // all other headers
}

type header struct{ Name, Value string }

// newBackend makes a handler with the home page at /. Other paths show the received
// request: as a page for browsers, as text for other clients.
func newBackend() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", show)
	return mux
}

func show(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	seen := receive(r)
	switch {
	case !strings.Contains(r.Header.Get("Accept"), "text/html"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "The backend received %s %s\n", r.Method, r.URL.Path)
		for _, h := range append(seen.About, seen.Headers...) {
			fmt.Fprintf(w, "%s: %s\n", h.Name, h.Value)
		}
	case r.URL.Path == "/":
		_ = homePage.Execute(w, seen)
	default:
		_ = seenPage.Execute(w, seen)
	}
}

func receive(r *http.Request) received {
	seen := received{Path: r.URL.Path, User: r.Header.Get("X-Forwarded-User"), Name: r.Header.Get("X-Demo-Name")}
	for name, values := range r.Header {
		h := header{name, strings.Join(values, ", ")}
		if isAboutUser(name) {
			seen.About = append(seen.About, h)
		} else {
			seen.Headers = append(seen.Headers, h)
		}
	}
	sortByName(seen.About)
	sortByName(seen.Headers)
	return seen
}

// isAboutUser reports whether the sign-in sets a header.
func isAboutUser(name string) bool {
	return name == "X-Forwarded-User" || strings.HasPrefix(name, "X-User-") ||
		strings.HasPrefix(name, "X-Auth-Request-") || strings.HasPrefix(name, "X-Demo-")
}

func sortByName(hs []header) {
	sort.Slice(hs, func(i, j int) bool { return hs[i].Name < hs[j].Name })
}

var (
	homePage = template.Must(template.New("home").Parse(pageTop + homeBody))
	seenPage = template.Must(template.New("seen").Parse(pageTop + seenBody))
)

const pageTop = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>traefikoidc demo</title>
<style>
:root { color-scheme: light dark; --ink: #1c2333; --soft: #596275; --card: #fff; --ground: #eef1f6; --line: #dde2ea; --accent: #3b5bdb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf4; --soft: #a5aebd; --card: #1b2130; --ground: #10141d; --line: #2c3445; --accent: #8da2fb; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 2rem; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; } h2 { margin: 1.75rem 0 .25rem; font-size: 1rem; }
p { margin: .25rem 0 1rem; color: var(--soft); }
a { color: var(--accent); }
a.site { display: block; margin-top: .6rem; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: .75rem; text-decoration: none; color: inherit; }
a.site:hover, a.site:focus-visible { border-color: var(--accent); }
a.site b { color: var(--accent); } a.site span { display: block; font-size: .9rem; color: var(--soft); }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
td { padding: .35rem .5rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td:first-child { width: 40%; font-family: ui-monospace, monospace; }
@media (max-width: 40rem) {
  main { padding: 1.25rem; }
  td { display: block; width: auto; padding: .1rem 0 .5rem; }
  td:first-child { width: auto; padding: .5rem 0 0; border-bottom: 0; font-size: .85rem; color: var(--soft); overflow-wrap: normal; }
}
nav { margin-top: 1.5rem; display: flex; gap: 1.25rem; flex-wrap: wrap; }
</style>
</head>
<body>
<main>
`

const homeBody = `<h1>traefikoidc demo</h1>
<p>This page is public. Traefik with the plugin serves it from a backend without any sign-in code.</p>
<a class="site" href="/team"><b>Team</b><span>For every user who signs in.</span></a>
<a class="site" href="/admin"><b>Administration</b><span>For the group &ldquo;admins&rdquo; only: Alice is in it, Bob is not.</span></a>
<a class="site" href="/team/public"><b>Team, public part</b><span>A public path of the protected site: no sign-in, and no headers about the user for the backend.</span></a>
<a class="site" href="/team/logout"><b>Sign out</b><span>At this site and at the provider.</span></a>
</main>
</body>
</html>
`

const seenBody = `<h1>{{if .User}}{{.User}}{{else if .Name}}{{.Name}}{{else}}No user{{end}}</h1>
<p>The backend received a request for {{.Path}}. It can trust the headers about the user, because Traefik removes all headers of these names that a client sends.</p>
{{if and .Name (not .User)}}<p>There is no X-Forwarded-User: according to the provider, the e-mail address of {{.Name}} is not verified (email_verified is false),
so the address may belong to another user. The option emailVerified is deny by default, so the backend does not get the address.</p>
{{end}}<h2>Headers about the user</h2>
<table>{{range .About}}<tr><td>{{.Name}}</td><td>{{.Value}}</td></tr>{{else}}<tr><td>none</td><td></td></tr>{{end}}</table>
<h2>Other headers</h2>
<table>{{range .Headers}}<tr><td>{{.Name}}</td><td>{{.Value}}</td></tr>{{end}}</table>
<nav><a href="/">Start</a><a href="/team">Team</a><a href="/admin">Administration</a><a href="/team/logout">Sign out</a></nav>
</main>
</body>
</html>
`
