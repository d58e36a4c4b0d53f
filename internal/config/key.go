package config

import (
	"fmt"
	"math"
	"strings"
)

const (
	minKey  = 32
	maxKeys = 16
)

// keys reads sessionEncryptionKey, a text or a list of texts, and refuses what
// somebody could guess.
func (r *reader) keys(raw any, issuer string) [][]byte {
	const option = "sessionEncryptionKey"
	texts, ok := keyTexts(raw)
	switch {
	case !ok:
		r.problem(option, "must be a text or a list of texts")
		return nil
	case len(texts) == 0:
		r.problem(option, "is required: 32 random bytes or more, such as openssl rand -base64 32 prints")
		return nil
	case len(texts) > maxKeys:
		r.problem(option, fmt.Sprintf("has more than %d elements", maxKeys))
		return nil
	}
	var out [][]byte
	seen := map[string]bool{}
	for i, text := range texts {
		name := option
		if len(texts) > 1 {
			name = fmt.Sprintf("%s[%d]", option, i)
		}
		if text == "" {
			r.problem(name, "is empty")
			continue
		}
		key := r.secret(name, text)
		if key == "" {
			continue
		}
		if fault := keyFault(key); fault != "" {
			r.problem(name, fault+"; openssl rand -base64 32 prints a good one")
			continue
		}
		if seen[key] {
			r.problem(name, "is in the list twice")
			continue
		}
		if key == publishedKey && issuer != publishedIssuer {
			r.problem(name, "is the example of the plugin's manifest, which everybody knows; openssl rand -base64 32 prints a good one")
			continue
		}
		seen[key] = true
		out = append(out, []byte(key))
	}
	return out
}

// publishedKey is the key of testData in .traefik.yml, which the catalogue needs to
// be valid: for the provider that testData names, and for no other.
const (
	publishedKey    = "birCadC14b7InolTxkd9srtMelAxGLhI"
	publishedIssuer = "https://id.example.com/realms/main"
)

// keyTexts returns the texts of an option that is a text or a list of texts.
func keyTexts(raw any) ([]string, bool) {
	if raw == nil || raw == "" {
		return nil, true
	}
	if text, ok := raw.(string); ok {
		return []string{text}, true
	}
	if texts, ok := raw.([]string); ok {
		return texts, true
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, element := range list {
		text, ok := element.(string)
		if !ok {
			return nil, false
		}
		out = append(out, text)
	}
	return out, true
}

// placeholderWords are what keys in documents and of the moment are made of, the
// longer before those that are part of them, without what separates words.
const placeholderWords = `notforproduction characters passphrase encryption placeholder replacethis changethis insecure production
	password donotuse signature qwertyuiop asdfghjkl zxcvbnm potato minimum example session default replace changeme qwerty letmein cookie secret please random
	string signing should change least super bytes chars value token thisis must your here test long with this mine auth oidc
	that dont have char byte very hmac use the and for not key dev own min are 256 128 64 32 my is at an me be do to of in it or a`

// keyWordsLeft is how many characters a key must have beside placeholder words.
const keyWordsLeft = 10

// isPlaceholder reports whether key is a phrase to be replaced, with little or
// nothing of its own. A key that merely begins with such words is none.
func isPlaceholder(key string) bool {
	plain := strings.NewReplacer("-", "", "_", "", " ", "", ".", "", "!", "").Replace(strings.ToLower(key))
	if len(plain) > maxStudied {
		return false
	}
	for _, word := range strings.Fields(placeholderWords) {
		plain = strings.ReplaceAll(plain, word, " ")
	}
	return len(strings.ReplaceAll(plain, " ", "")) < keyWordsLeft
}

// keyFault says why a key is too easy to guess, without showing it.
func keyFault(key string) string {
	if len(key) < minKey {
		return fmt.Sprintf("must have %d bytes or more", minKey)
	}
	switch {
	case isRepeated(key):
		return "repeats itself"
	case isSequence(key):
		return "is mostly a sequence of neighbouring characters"
	case isPlaceholder(key):
		return "has words of a well-known example in it, and little else"
	case bitsPerByte(key) < minBitsPerByte:
		return "has too few different characters"
	}
	return ""
}

// isRepeated reports whether key is one block over and over.
func isRepeated(key string) bool {
	for period := 1; period <= len(key)/2 && period <= 64; period++ {
		if strings.HasPrefix(key, key[period:]) {
			return true
		}
	}
	return false
}

// maxStudied bounds how much of a key the slow checks look at.
const maxStudied = 128

// isSequence reports whether nearly all characters follow from those before them, as
// in abcdef, 987654 or aaaabbbb.
func isSequence(key string) bool {
	n := len(key)
	if n > maxStudied {
		n = maxStudied
	}
	follow := 0
	for i := 1; i < n; i++ {
		step := int(key[i]) - int(key[i-1])
		if step >= -1 && step <= 1 {
			follow++
		}
	}
	return follow*10 > (n-1)*8
}

// minBitsPerByte lets random keys of 32 decimal digits pass, which have 3.1.
const minBitsPerByte = 2.5

// bitsPerByte is the Shannon entropy of the bytes of key.
func bitsPerByte(key string) float64 {
	n := len(key)
	if n > maxStudied {
		n = maxStudied
	}
	counts := map[byte]int{}
	for i := 0; i < n; i++ {
		counts[key[i]]++
	}
	bits := 0.0
	for _, count := range counts {
		p := float64(count) / float64(n)
		bits -= p * math.Log2(p)
	}
	return bits
}
