package config

import (
	"encoding/json"
	"sort"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
	"github.com/traefikoidc/traefikoidc/internal/texts"
)

// pages reads the options of the pages that users see.
func (r *reader) pages(c *Config) Pages {
	const option = "errorTemplate"
	language := r.language(c)
	p := Pages{Texts: texts.Options{Language: language}}
	p.Texts.Custom, p.Texts.CustomTag = r.pageTexts(c, language)
	if language != texts.Auto && texts.IsTag(language) && !texts.BuiltIn(language) && c.PageTexts == "" {
		r.problem("pageLanguage", "there are no texts in "+language+"; en, de, fr and es are built in, and pageTexts names the file of any other")
	}
	path := r.text(option, c.ErrorTemplate)
	if path == "" {
		return p
	}
	before := len(r.problems)
	p.Template = r.file(option, strings.TrimPrefix(path, "file:"), maxFile)
	if len(r.problems) == before && strings.TrimSpace(p.Template) == "" {
		r.problem(option, "the file is empty")
	}
	return p
}

// language reads pageLanguage.
func (r *reader) language(c *Config) string {
	s := r.textOr("pageLanguage", c.PageLanguage, texts.Auto)
	if strings.EqualFold(s, texts.Auto) {
		return texts.Auto
	}
	if !texts.IsTag(s) {
		r.problem("pageLanguage", brief(s)+" is neither auto nor the tag of a language such as de or pt-BR")
	}
	return s
}

// languageKey is the key of the language in the file of pageTexts.
const languageKey = "language"

// pageTexts reads the file of texts that pageTexts names. Their language is the one in
// the file, or else pageLanguage.
func (r *reader) pageTexts(c *Config, language string) (map[string]string, string) {
	const option = "pageTexts"
	path := r.text(option, c.PageTexts)
	if path == "" {
		return nil, ""
	}
	before := len(r.problems)
	content := r.file(option, strings.TrimPrefix(path, "file:"), maxFile)
	if len(r.problems) > before {
		return nil, ""
	}
	var said map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(content, "\ufeff")), &said); err != nil || said == nil {
		r.problem(option, "the file "+brief(path)+" is not one JSON object of texts")
		return nil, ""
	}
	tag := said[languageKey]
	delete(said, languageKey)
	r.checkTexts(said)
	switch {
	case tag == "" && language == texts.Auto:
		r.problem(option, `the file does not say in which language it is; write "language": "it" into it, or set pageLanguage`)
	case tag == "":
		tag = language
	case !texts.IsTag(tag):
		r.problem(option, "its language "+brief(tag)+" is not the tag of a language such as it or pt-BR")
	case language == texts.Auto || texts.Same(language, tag):
	case texts.BuiltIn(language):
		r.warn(option, "has no effect: its texts are in "+tag+", and pageLanguage is "+language)
	default:
		r.problem("pageLanguage", "there are no texts in "+brief(language)+": those of pageTexts are in "+tag)
	}
	return said, tag
}

// maxFaults bounds how many faults of a file of texts are named.
const maxFaults = 20

// checkTexts checks the texts of a file.
func (r *reader) checkTexts(said map[string]string) {
	const option = "pageTexts"
	if len(said) > maxList {
		r.problem(option, "has too many texts")
		return
	}
	keys := make([]string, 0, len(said))
	for key := range said {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	before := len(r.problems)
	for _, key := range keys {
		fault := texts.Fault(key, said[key])
		if fault == "" || len(r.problems)-before >= maxFaults {
			continue
		}
		if near := spelling.Nearest(key, texts.Keys()); near != "" && near != key {
			fault += "; did you mean " + near + "?"
		}
		r.problem(option, brief(key)+" "+fault)
	}
}
