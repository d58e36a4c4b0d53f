package config

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

const (
	minKey  = 32
	maxKeys = 16
)

// keys reads sessionEncryptionKey, a text or a list of texts, and refuses keys that an
// attacker could guess.
func (r *reader) keys(raw any) [][]byte {
	const option = "sessionEncryptionKey"
	texts, ok := keyTexts(raw)
	if text, isText := raw.(string); isText && r.oneKey(option, text) {
		return nil
	}
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
		seen[key] = true
		out = append(out, []byte(key))
	}
	return out
}

// oneKey detects a list in a text, which would be one key, and reports whether it
// refused it. Keys hardly ever have commas.
func (r *reader) oneKey(option, text string) bool {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && strings.Contains(text, ",") {
		r.problem(option, "is a text with a list in brackets: write a list in a file, or number the elements of a label: sessionEncryptionKey[0], sessionEncryptionKey[1]")
		return true
	}
	if before, after, found := strings.Cut(text, ","); found && len(before) >= minKey && len(after) >= minKey {
		r.warn(option, "is one key with a comma in it, as a text is never split here: write several keys as a list, in labels as sessionEncryptionKey[0] and sessionEncryptionKey[1]")
	}
	return false
}

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

// placeholderWords are the words of keys in documents and of improvised keys, without
// separators. A longer word comes before its parts.
const placeholderWords = `notforproduction characters passphrase encryption encrypting placeholder replacethis changethis character insecure production
	password donotuse signature qwertyuiop asdfghjkl zxcvbnm potato minimum example session encrypt default replace changeme qwerty letmein cookies cookie secret please secure random
	strong string signing should change least super bytes chars using value token thisis needs which must your here test long with this mine auth oidc keep kept safe only used prod some
	that dont have char byte very hmac bits use the and for not key dev own min bit hex are 256 128 64 32 my is at an me be do to of in it or a`

// keyWordsLeft is how many characters a key must have beside placeholder words.
const keyWordsLeft = 10

// isPlaceholder reports whether key is a phrase to be replaced, with little or no other
// text. A key that only begins with such words is none.
func isPlaceholder(key string) bool {
	lower := strings.ToLower(key)
	plain := separators.Replace(lower)
	if len(plain) > maxStudied {
		return false
	}
	return len(withoutWords.Replace(plain)) < keyWordsLeft || isPhrase(lower)
}

// isPhrase reports whether key is words with separators between them. At least three of
// them, and half of all, are placeholder words, and the others are words, too.
func isPhrase(key string) bool {
	known := 0
	parts := phraseBreaks.Split(strings.Trim(key, "-_ .!"), -1)
	for _, part := range parts {
		switch {
		case isWord[part]:
			known++
		case len(part) > 12 || !only(part, "abcdefghijklmnopqrstuvwxyz"):
			return false
		}
	}
	return known >= 3 && known*2 >= len(parts)
}

var (
	phraseBreaks = regexp.MustCompile(`[-_ .!]+`)
	isWord       = wordSet(placeholderWords)
	withoutWords = wordRemover(placeholderWords)
)

func wordSet(words string) map[string]bool {
	out := map[string]bool{}
	for _, word := range strings.Fields(words) {
		out[word] = true
	}
	return out
}

// wordRemover removes words from a text, at each place the first that fits.
func wordRemover(words string) *strings.Replacer {
	var pairs []string
	for _, word := range strings.Fields(words) {
		pairs = append(pairs, word, "")
	}
	return strings.NewReplacer(pairs...)
}

// keyFault returns the reason that a key is easy to guess, without showing it.
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
	if text := decoded(key); text != "" && (isRepeated(text) || isSequence(text) || isPlaceholder(text)) {
		return "hides a text that is easy to guess"
	}
	return ""
}

// isRepeated reports whether key is repetitions of one block.
func isRepeated(key string) bool {
	for period := 1; period <= len(key)/2 && period <= 64; period++ {
		if strings.HasPrefix(key, key[period:]) {
			return true
		}
	}
	return false
}

// maxStudied bounds the part of a key that the slow checks read.
const maxStudied = 128

// isSequence reports whether nearly all characters repeat those before them or follow
// them, as in abcdef or 987654.
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

// minBitsPerByte admits random keys of 32 decimal digits, which have 3.1.
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
