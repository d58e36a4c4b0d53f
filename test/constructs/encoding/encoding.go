// Package encoding has the constructs of encoding and parsing that the plugin uses.
package encoding

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Table has all constructs by the names of their functions.
var Table = map[string]func(g int) string{
	"Numbers": Numbers, "Tokens": Tokens, "TaggedList": TaggedList, "Object": Object, "RawMessage": RawMessage, "SharedTemplate": SharedTemplate,
	"TextTemplate": TextTemplate, "HTMLTemplate": HTMLTemplate, "MissingKey": MissingKey, "Log": Log, "Base64": Base64, "Binary": Binary, "Lines": Lines,
	"Query": Query, "Regexp": Regexp, "TimeText": TimeText, "BoundedRead": BoundedRead,
}

func decode(text string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	err := d.Decode(&m)
	return m, err
}

// Numbers keeps numbers as written.
func Numbers(g int) string {
	m, err := decode(fmt.Sprintf(`{"exp":%d,"big":12345678901234567890,"list":[%d,"a",true,null]}`, g, g))
	if err != nil {
		return err.Error()
	}
	n, ok := m["exp"].(json.Number)
	if !ok || n.String() != strconv.Itoa(g) {
		return fmt.Sprintf("exp is %v", m["exp"])
	}
	if i, err := n.Int64(); err != nil || i != int64(g) {
		return "no integer"
	}
	if big, ok := m["big"].(json.Number); !ok || string(big) != "12345678901234567890" {
		return fmt.Sprintf("big is %v", m["big"])
	}
	return list(m["list"], g)
}

func list(v any, g int) string {
	l, ok := v.([]any)
	if !ok || len(l) != 4 {
		return fmt.Sprintf("the list is %v", v)
	}
	kinds := ""
	for _, e := range l {
		switch x := e.(type) {
		case json.Number:
			if x.String() != strconv.Itoa(g) {
				return "another's number"
			}
			kinds += "n"
		case string:
			kinds += "s"
		case bool:
			kinds += "b"
		case nil:
			kinds += "0"
		}
	}
	if kinds != "nsb0" {
		return "the kinds are " + kinds
	}
	return ""
}

// names lists the members of an object in the order of the text.
func names(text string) ([]string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var all []string
	depth, isName := 0, false
	for {
		t, err := d.Token()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch x := t.(type) {
		case json.Delim:
			if x == '{' || x == '[' {
				depth++
			} else {
				depth--
			}
			isName = depth == 1
		case string:
			if isName && depth == 1 {
				all = append(all, x)
				isName = false
				continue
			}
			isName = depth == 1
		default:
			isName = depth == 1
		}
	}
}

// Tokens reads an object token by token and finds repeated members.
func Tokens(g int) string {
	all, err := names(fmt.Sprintf(`{"a":%d,"b":{"x":["y"]},"a":"z"}`, g))
	if err != nil || strings.Join(all, ",") != "a,b,a" {
		return fmt.Sprintf("the names are %v, %v", all, err)
	}
	return ""
}

// A key has no unexported fields, because the interpreter would write them too.
type key struct {
	ID   string `json:"kid,omitempty"`
	Type string `json:"kty"`
	N    int    `json:"n"`
	Skip int    `json:"-"`
}

// TaggedList reads and writes a list of structs by their tags.
func TaggedList(g int) string {
	var set struct {
		Keys []key `json:"keys"`
	}
	text := fmt.Sprintf(`{"keys":[{"kid":"a","kty":"RSA","n":%d},{"kty":"EC","n":%d}]}`, g, g+1)
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return err.Error()
	}
	if len(set.Keys) != 2 || set.Keys[0].ID != "a" || set.Keys[1].Type != "EC" || set.Keys[1].N != g+1 || set.Keys[0].Skip != 0 {
		return fmt.Sprint("read ", set.Keys)
	}
	b, err := json.Marshal(set)
	if err != nil || string(b) != text {
		return "wrote " + string(b)
	}
	return ""
}

// Object writes a map in the order of its names.
func Object(g int) string {
	b, err := json.Marshal(map[string]any{"b": []string{"x"}, "a": g, "c": nil})
	if want := fmt.Sprintf(`{"a":%d,"b":["x"],"c":null}`, g); err != nil || string(b) != want {
		return "wrote " + string(b)
	}
	return ""
}

// RawMessage keeps a member without decoding it.
func RawMessage(g int) string {
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(fmt.Sprintf(`{"a":{"n":%d}}`, g)), &m); err != nil || string(m["a"]) != fmt.Sprintf(`{"n":%d}`, g) {
		return "read " + string(m["a"])
	}
	return ""
}

var (
	shared = template.Must(template.New("shared").Option("missingkey=error").Parse(`{{.claims.name}} {{range .claims.groups}}<{{.}}>{{end}}`))
	page   = htmltemplate.Must(htmltemplate.New("page").Parse(`<p title="{{.title}}">{{.text}}</p>{{if .retry}}<a href="{{.target}}">again</a>{{end}}`))
	word   = regexp.MustCompile(`^[a-z]+[0-9]*$`)
)

// SharedTemplate executes one template in many goroutines.
func SharedTemplate(g int) string {
	var b strings.Builder
	err := shared.Execute(&b, map[string]any{"claims": map[string]any{"name": g, "groups": []any{"x", "y"}}})
	if err != nil || b.String() != fmt.Sprintf("%d <x><y>", g) {
		return fmt.Sprintf("%q, %v", b.String(), err)
	}
	return ""
}

// TextTemplate compiles a template with our own functions.
func TextTemplate(g int) string {
	t, err := template.New("t").Funcs(template.FuncMap{"twice": func(n int) int { return 2 * n }}).Parse(`{{twice .n}}`)
	if err != nil {
		return err.Error()
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"n": g}); err != nil || b.String() != strconv.Itoa(2*g) {
		return fmt.Sprintf("%q, %v", b.String(), err)
	}
	return ""
}

// HTMLTemplate escapes the values of a map.
func HTMLTemplate(g int) string {
	var b strings.Builder
	err := page.Execute(&b, map[string]any{"title": `"`, "text": fmt.Sprintf("<%d>", g), "retry": true, "target": "javascript:x"})
	want := fmt.Sprintf(`<p title="&#34;">&lt;%d&gt;</p><a href="#ZgotmplZ">again</a>`, g)
	if err != nil || b.String() != want {
		return fmt.Sprintf("%q, %v", b.String(), err)
	}
	return ""
}

// MissingKey fails for a missing key.
func MissingKey(_ int) string {
	if shared.Execute(io.Discard, map[string]any{"claims": map[string]any{"name": 1}}) == nil {
		return "no error"
	}
	return ""
}

// Log writes a line with attributes if its level is enabled.
func Log(g int) string {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelInfo})).With("plugin", "p")
	log.Debug("hidden", "n", g)
	log.Info("shown", "n", g)
	line := b.String()
	if !strings.HasSuffix(line, fmt.Sprintf("level=INFO msg=shown plugin=p n=%d\n", g)) || strings.Contains(line, "hidden") {
		return line
	}
	return ""
}

// Base64 refuses a second spelling of a value.
func Base64(g int) string {
	text := base64.RawURLEncoding.EncodeToString([]byte{byte(g), 255})
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || b[0] != byte(g) {
		return "not what was encoded"
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString("_x"); err == nil {
		return "trailing bits were taken"
	}
	return ""
}

// Binary writes and reads a header of fixed size.
func Binary(g int) string {
	b := binary.BigEndian.AppendUint64([]byte{1}, uint64(g))
	if len(b) != 9 || binary.BigEndian.Uint64(b[1:]) != uint64(g) {
		return "not what was written"
	}
	return ""
}

// Lines reads lines and a counted rest from one buffered reader.
func Lines(g int) string {
	body := strings.Repeat("x", g%50)
	r := bufio.NewReaderSize(strings.NewReader(fmt.Sprintf("$%d\r\n%s\r\n", len(body), body)), 16)
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err.Error()
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-2]))
	if err != nil || n != len(body) {
		return "a wrong length"
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(r, b); err != nil || string(b[:n]) != body {
		return "a wrong body"
	}
	return ""
}

// Query reads and writes a query.
func Query(g int) string {
	u, err := url.Parse(fmt.Sprintf("https://op.test/a?state=%d&x=%%20", g))
	if err != nil || u.Query().Get("state") != strconv.Itoa(g) || u.Query().Get("x") != " " {
		return "a wrong query"
	}
	q := url.Values{}
	q.Set("scope", "openid email")
	u.RawQuery = q.Encode()
	if u.String() != "https://op.test/a?scope=openid+email" {
		return u.String()
	}
	return ""
}

// Regexp uses one expression in many goroutines.
func Regexp(g int) string {
	if !word.MatchString("a"+strconv.Itoa(g)) || word.MatchString(strconv.Itoa(g)) {
		return "a wrong match"
	}
	return ""
}

// TimeText converts times to JSON numbers and strings and back.
func TimeText(g int) string {
	at := time.Unix(int64(g), 0).UTC()
	back, err := time.Parse(time.RFC3339, at.Format(time.RFC3339))
	if err != nil || !back.Equal(at) || back.Sub(at) != 0 || !at.Add(time.Second).After(back) {
		return "another instant"
	}
	return ""
}

// BoundedRead detects one byte more than the limit.
func BoundedRead(g int) string {
	most := int64(g % 100)
	b, err := io.ReadAll(io.LimitReader(strings.NewReader(strings.Repeat("x", 200)), most+1))
	if err != nil || int64(len(b)) != most+1 {
		return fmt.Sprintf("read %d bytes, want %d", len(b), most+1)
	}
	return ""
}
