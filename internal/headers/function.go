package headers

import (
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"text/template"

	"github.com/traefikoidc/traefikoidc/internal/oidc"
)

var errMissing = errors.New("headers: a value is missing, or a header cannot hold it")

// allowedFunctions are those that a template may name: comparisons and the like of
// text/template, and ours.
//
//	claim $ "a.b"   the claim of that name or path
//	get m "name"    the member of an object, or nothing
//	default "x" v   v, or "x" where v is nothing or empty
//	join "," list   a list as text, its elements encoded
//	lower s, upper s, urlquery s
var allowedFunctions = map[string]bool{
	"and": true, "or": true, "not": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
	"index": true, "len": true,
	"claim": true, "get": true, "default": true, "join": true, "lower": true, "upper": true, "urlquery": true,
}

func claim(data map[string]any, path string) any {
	claims, _ := data["Claims"].(map[string]any)
	v, _ := oidc.Claims(claims).Lookup(path)
	return v
}

func get(m any, name string) any {
	object, _ := m.(map[string]any)
	return object[name]
}

func orDefault(otherwise, v any) any {
	if text, isText := v.(string); v == nil || isText && text == "" {
		return otherwise
	}
	return v
}

func join(separator string, v any) (string, error) {
	elements, err := textsOf(v)
	if err != nil {
		return "", err
	}
	for i, e := range elements {
		elements[i] = encode(e, "%"+separator)
	}
	return strings.Join(elements, separator), nil
}

func toLower(v any) (string, error) {
	s, err := textOf(v)
	return strings.ToLower(s), err
}

func toUpper(v any) (string, error) {
	s, err := textOf(v)
	return strings.ToUpper(s), err
}

func queryEscape(v any) (string, error) {
	s, err := textOf(v)
	return url.QueryEscape(s), err
}

// elements returns the values of a range: the elements of a list, a single value as a
// list of one, or the members of an object. A missing value is an empty list. A number
// is refused, because text/template would count up to it.
func elements(v any) (any, error) {
	if v == nil {
		return []any{}, nil
	}
	if _, isList := v.([]any); isList {
		return v, nil
	}
	if _, isObject := v.(map[string]any); isObject {
		return v, nil
	}
	if _, isText := v.(string); isText {
		return []any{v}, nil
	}
	return nil, errMissing
}

// encodeValue encodes a value of the claims for a header, as the standard headers
// encode text and lists.
func encodeValue(v any) (string, error) {
	if _, isList := v.([]any); isList {
		list, err := textsOf(v)
		return encodeList(list), err
	}
	s, err := textOf(v)
	return encodeText(s), err
}

// encodeElement is encodeValue within a range. There the operator writes the separators
// of the elements, so the usual separators are encoded too.
func encodeElement(v any) (string, error) {
	s, err := textOf(v)
	return encode(s, "%,;|"), err
}

// verbatimValue returns a token for a header as it is, or an error.
func verbatimValue(v any) (string, error) {
	s, ok := v.(string)
	if !ok || s == "" || !printable(s) {
		return "", errMissing
	}
	return s, nil
}

// functions returns the functions of templates in addition to the built-in ones. The
// guard adds encode, encodeElement or verbatim to every value of the output, and
// elements to every range.
func functions() template.FuncMap {
	return template.FuncMap{
		"claim": claim, "get": get, "default": orDefault, "join": join,
		"lower": toLower, "upper": toUpper, "urlquery": queryEscape,
		"elements": elements, "encode": encodeValue, "encodeElement": encodeElement, "verbatim": verbatimValue,
	}
}

// textsOf returns the texts of a list, or of a single value.
func textsOf(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var texts []string
	for _, e := range list {
		s, err := textOf(e)
		if err != nil {
			return nil, err
		}
		if s != "" {
			texts = append(texts, s)
		}
	}
	return texts, nil
}

// textOf returns the text of a single value. A missing value, an object and a list have
// none.
func textOf(v any) (string, error) {
	switch t := v.(type) {
	case string:
		return t, nil
	case bool:
		return strconv.FormatBool(t), nil
	case int64:
		return strconv.FormatInt(t, 10), nil
	case int:
		return strconv.Itoa(t), nil
	}
	return "", errMissing
}

// plain returns the data for templates: maps, lists, texts, whole numbers and booleans.
// None of these types has methods.
func (d Data) plain() map[string]any {
	data := map[string]any{"Claims": plainMap(d.Claims)}
	if d.AccessToken != "" {
		data["AccessToken"] = d.AccessToken
	}
	if d.IDToken != "" {
		data["IDToken"] = d.IDToken
		data["IdToken"] = d.IDToken
	}
	if d.RefreshToken != "" {
		data["RefreshToken"] = d.RefreshToken
	}
	return data
}

func plainMap(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = plainValue(v)
	}
	return out
}

// plainValue copies a decoded JSON value. A number that is not whole, or too large,
// keeps its digits.
func plainValue(v any) any {
	if list, ok := v.([]any); ok {
		plain := make([]any, 0, len(list))
		for _, e := range list {
			plain = append(plain, plainValue(e))
		}
		return plain
	}
	if texts, ok := v.([]string); ok {
		plain := make([]any, 0, len(texts))
		for _, e := range texts {
			plain = append(plain, e)
		}
		return plain
	}
	if object, ok := v.(map[string]any); ok {
		return plainMap(object)
	}
	switch t := v.(type) {
	case string, bool:
		return t
	case json.Number:
		if i, err := strconv.ParseInt(string(t), 10, 64); err == nil {
			return i
		}
		return string(t)
	}
	return nil
}
