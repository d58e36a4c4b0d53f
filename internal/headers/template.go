package headers

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"text/template"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

// A Template is a header whose value is computed from a session.
//
// Value is text with Go templates over .Claims, .AccessToken, .IDToken (or .IdToken)
// and .RefreshToken. It may also have ${claims.path}, ${accessToken}, ${idToken} and
// ${refreshToken}, in which no braces need escaping. Some configuration files need {{{{
// }}}}, which is the same as {{ }}.
//
// The functions are those of the package's function table. There is no way to call a
// method, to define or include templates, or to nest loops.
type Template struct {
	Name, Value string
}

// Data has the values of templates. Empty tokens are missing.
type Data struct {
	Claims                             oidc.Claims
	AccessToken, IDToken, RefreshToken string
}

// Templates are compiled templates. They are safe for concurrent use.
type Templates struct {
	list   []compiled
	names  map[string]bool // by spelling
	claims []string
}

type compiled struct {
	name string
	text *template.Template
}

// maxTemplate bounds the text of a template, in bytes.
const maxTemplate = 4 << 10

// Compile compiles templates. All problems come in one error that names the
// headers.
func Compile(ts []Template) (*Templates, error) {
	out := &Templates{names: map[string]bool{}}
	seen := map[string]bool{}
	var problems []string
	for _, t := range ts {
		c, claims, err := compile(t)
		if err == nil && out.names[spelling(t.Name)] {
			err = errors.New("is set twice")
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("header %.100q %s", t.Name, err.Error()))
			continue
		}
		out.list = append(out.list, c)
		out.names[spelling(t.Name)] = true
		for _, claim := range claims {
			if !seen[claim] {
				seen[claim] = true
				out.claims = append(out.claims, claim)
			}
		}
	}
	if problems != nil {
		return nil, errors.New("headers: " + strings.Join(problems, "; "))
	}
	return out, nil
}

// CheckTemplate returns the problems of a template.
func CheckTemplate(t Template) error {
	_, err := Compile([]Template{t})
	return err
}

func compile(t Template) (compiled, []string, error) {
	if err := checkName(t.Name); err != nil {
		return compiled{}, nil, err
	}
	if len(t.Value) > maxTemplate {
		return compiled{}, nil, errors.New("has a value that is too long")
	}
	text, err := expand(strings.TrimSpace(t.Value))
	if err != nil {
		return compiled{}, nil, err
	}
	parsed, err := template.New("value").Option("missingkey=zero").Funcs(functions()).Parse(text)
	if err != nil {
		return compiled{}, nil, fmt.Errorf("has a value that is not a template: %s", strings.TrimPrefix(err.Error(), "template: value:"))
	}
	if text == "" || parsed.Tree == nil || len(parsed.Templates()) > 1 {
		return compiled{}, nil, errors.New("has a value that is empty or defines templates")
	}
	g := &guard{}
	if err := g.list(parsed.Tree.Root, scope{}); err != nil {
		return compiled{}, nil, fmt.Errorf("has a value that %s", err.Error())
	}
	return compiled{name: http.CanonicalHeaderKey(t.Name), text: parsed}, g.claims, nil
}

// reference is the form without the braces of templates.
var reference = regexp.MustCompile(`\$\{([^{}"\\` + "`" + `]*)\}`)

// expand converts the other forms into templates.
func expand(value string) (string, error) {
	if strings.Contains(value, "{{{{") {
		value = strings.ReplaceAll(strings.ReplaceAll(value, "{{{{", "{{"), "}}}}", "}}")
	}
	out, at := "", 0
	for _, m := range reference.FindAllStringSubmatchIndex(value, -1) {
		action := ""
		name := value[m[2]:m[3]]
		root, path, _ := strings.Cut(name, ".")
		switch {
		case strings.EqualFold(root, "claims") && path != "":
			action = `{{claim $ "` + path + `"}}`
		case strings.EqualFold(name, "accessToken"):
			action = "{{$.AccessToken}}"
		case strings.EqualFold(name, "idToken"):
			action = "{{$.IDToken}}"
		case strings.EqualFold(name, "refreshToken"):
			action = "{{$.RefreshToken}}"
		default:
			return "", fmt.Errorf("has a value with ${%.50s}: known are ${claims.name}, ${accessToken}, ${idToken}, ${refreshToken}", name)
		}
		out += value[at:m[0]] + action
		at = m[1]
	}
	out += value[at:]
	if m := unresolved.FindString(actions.ReplaceAllString(out, "")); m != "" {
		return "", fmt.Errorf("has a value with %q, which would reach the backend as it is: write ${claims.name}, ${accessToken}, ${idToken} or ${refreshToken}", m)
	}
	return out, nil
}

// unresolved matches a reference in an unknown form.
var unresolved = regexp.MustCompile(`(?i)\$\{|[$%{(<\[]\.?(claims\.|accessToken|idToken|refreshToken)|^\.?(claims\.\S+|accessToken|idToken|refreshToken)$`)

// actions are the parts of a template that are not text.
var actions = regexp.MustCompile(`(?s)\{\{.*?(\}\}|$)`)

// Names returns the names of the headers, for a Cleaner.
func (t *Templates) Names() []string {
	var names []string
	for _, c := range t.list {
		names = append(names, c.name)
	}
	return names
}

// Claims returns the names and paths of the claims that the templates read, as far as
// they are constant.
func (t *Templates) Claims() []string {
	return t.claims
}

// render returns the headers of a session. It leaves out a header without any text, and
// one with a value that is missing, of the wrong type, or a token that a header cannot
// hold. A value longer than 8 KiB ends soon after that; Build drops it.
func (t *Templates) render(d Data) []Header {
	if len(t.list) == 0 {
		return nil
	}
	data := d.plain()
	var set []Header
	for _, c := range t.list {
		out := &output{}
		err := c.text.Execute(out, data)
		if value := strings.TrimSpace(out.text.String()); value != "" && (err == nil || out.full) {
			set = append(set, Header{Name: c.name, Value: value})
		}
	}
	return set
}

// output collects a value until it is too long.
type output struct {
	text strings.Builder
	full bool
}

var errFull = errors.New("headers: value too long")

func (o *output) Write(p []byte) (int, error) {
	if o.full {
		return 0, errFull
	}
	n, _ := o.text.Write(p)
	if o.text.Len() > maxValue {
		o.full = true
		return n, errFull
	}
	return n, nil
}
