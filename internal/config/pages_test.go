package config

import (
	"os"
	"strings"
	"testing"
)

func TestPageTexts(t *testing.T) {
	example, err := os.ReadFile("../../examples/pages/texts-it.json")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"/it.json": string(example), "/bom.json": "\ufeff" + `{"language":"pt-BR","label.back":"Voltar"}`, "/none.json": `{"label.back":"Indietro"}`,
		"/unknown.json": `{"language":"it","label.bakc":"Indietro","x":"y"}`, "/list.json": `["x"]`, "/null.json": "null", "/number.json": `{"language":"it","label.back":1}`,
		"/empty.json": `{"language":"it","label.back":" "}`, "/user.json": `{"language":"it","label.signed_in_as":"Hai effettuato l'accesso"}`,
		"/tag.json": `{"language":"it <b>","label.back":"Indietro"}`, "/long.json": `{"language":"it","label.back":"` + strings.Repeat("x", 3000) + `"}`,
	}
	runProblems(t, []problemRow{
		{"German", o{"pageLanguage": "de"}, ""},
		{"Austrian German", o{"pageLanguage": "de-AT"}, ""},
		{"auto in another case", o{"pageLanguage": "Auto"}, ""},
		{"a language without texts", o{"pageLanguage": "it"}, "pageLanguage: there are no texts in it; en, de, fr and es are built in, and pageTexts"},
		{"no tag", o{"pageLanguage": "english, please"}, "pageLanguage: english, please is neither auto nor"},
		{"Italian", o{"pageTexts": "/it.json"}, ""},
		{"Italian for everybody", o{"pageTexts": "file:/it.json", "pageLanguage": "it-CH"}, ""},
		{"Italian where Polish is wanted", o{"pageTexts": "/it.json", "pageLanguage": "pl"}, "pageLanguage: there are no texts in pl: those of pageTexts are in it"},
		{"a byte order mark", o{"pageTexts": "/bom.json"}, ""},
		{"no language", o{"pageTexts": "/none.json"}, "pageTexts: the file does not say in which language it is"},
		{"the language of pageLanguage", o{"pageTexts": "/none.json", "pageLanguage": "it"}, ""},
		{"an unknown key", o{"pageTexts": "/unknown.json"}, "pageTexts: label.bakc is not the key of a text; did you mean label.back?"},
		{"another unknown key", o{"pageTexts": "/unknown.json"}, "pageTexts: x is not the key of a text"},
		{"a list", o{"pageTexts": "/list.json"}, "pageTexts: the file /list.json is not one JSON object of texts"},
		{"null", o{"pageTexts": "/null.json"}, "pageTexts: the file /null.json is not one JSON object"},
		{"a number", o{"pageTexts": "/number.json"}, "pageTexts: the file /number.json is not one JSON object"},
		{"an empty text", o{"pageTexts": "/empty.json"}, "pageTexts: label.back is empty"},
		{"no place for the name", o{"pageTexts": "/user.json"}, "pageTexts: label.signed_in_as must have {user}"},
		{"a tag that is none", o{"pageTexts": "/tag.json"}, "pageTexts: its language it <b> is not the tag"},
		{"a long text", o{"pageTexts": "/long.json"}, "pageTexts: label.back is longer than"},
		{"no file", o{"pageTexts": "/no.json"}, "pageTexts: the file /no.json does not exist"},
	}, environment(map[string]string{}, files))
}
