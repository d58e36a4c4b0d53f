package oidctest

import (
	"html/template"
	"net/http"
	"net/url"
)

type pageData struct {
	Title  string
	Text   string
	Users  []User
	Button string
	Query  url.Values // sent again as hidden fields
	Frames []string   // URLs of other sites, opened in hidden frames
	Target string     // URL to which a page with frames redirects; empty: none
}

func page(w http.ResponseWriter, status int, d pageData) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src *; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = template.Must(template.New("page").Parse(pageHTML)).Execute(w, d)
}

func encodeQuery(s string) string { return url.QueryEscape(s) }

const pageHTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
{{if .Target}}<meta http-equiv="refresh" content="2;url={{.Target}}">
{{end}}<style>
:root { color-scheme: light dark; --ink: #1c2333; --soft: #667085; --card: #fff; --ground: #eef1f6; --line: #dde2ea; --accent: #3b5bdb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf4; --soft: #98a2b3; --card: #1b2130; --ground: #10141d; --line: #2c3445; --accent: #8da2fb; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; padding: 2rem; box-shadow: 0 10px 30px rgba(0,0,0,.06); }
.brand { font-size: .8rem; letter-spacing: .08em; text-transform: uppercase; color: var(--soft); }
h1 { margin: .25rem 0 0; font-size: 1.6rem; }
p { margin: .25rem 0 1.25rem; color: var(--soft); }
button { width: 100%; display: grid; grid-template-columns: 2.75rem 1fr; gap: 0 .9rem; align-items: center; text-align: left; margin-top: .6rem; padding: .8rem; font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: .75rem; cursor: pointer; }
button:hover, button:focus-visible { border-color: var(--accent); outline: 2px solid var(--accent); outline-offset: -1px; }
button.plain { display: block; text-align: center; background: var(--accent); color: var(--card); }
.avatar { grid-row: span 2; width: 2.75rem; height: 2.75rem; border-radius: 50%; display: grid; place-items: center; background: var(--accent); color: var(--card); font-weight: 600; }
.name { font-weight: 600; } .note { font-size: .85rem; color: var(--soft); }
footer { margin-top: 1.5rem; font-size: .8rem; color: var(--soft); }
</style>
</head>
<body>
<main>
<div class="brand">Demo provider</div>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{if or .Users .Button}}<form method="get">
{{range $name, $values := .Query}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}{{range .Users}}<button name="user" value="{{.Sub}}">
<span class="avatar">{{with .Name}}{{slice . 0 1}}{{end}}</span><span class="name">{{.Name}}</span><span class="note">{{.Email}} &middot; {{.Note}}<br>
{{if .Groups}}Groups: {{range $i, $group := .Groups}}{{if $i}}, {{end}}{{$group}}{{end}}{{else}}No groups{{end}}</span>
</button>
{{end}}{{with .Button}}<button class="plain" name="confirm" value="yes">{{.}}</button>{{end}}
</form>{{end}}
{{if .Target}}<p><a href="{{.Target}}">Continue</a></p>
{{end}}{{range .Frames}}<iframe src="{{.}}" hidden></iframe>
{{end}}<footer>There are no passwords: anyone who can open this page can sign in as any of these users.</footer>
</main>
</body>
</html>
`
