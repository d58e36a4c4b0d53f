package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

var errMalformed = errors.New("malformed JSON")

const (
	maxDepth = 32
	maxNodes = 20000 // tokens in a document
)

// decodeObject reads a document that is one JSON object of at most limit bytes.
// Member names keep their case and must not repeat (RFC 8725, section 2.6). Numbers
// are json.Number. Depth and the number of elements are bounded. Bytes that are not
// UTF-8 are refused. errMalformed: the document is anything else.
func decodeObject(b []byte, limit int) (map[string]any, error) {
	if len(b) > limit || !utf8.Valid(b) || !json.Valid(b) {
		return nil, errMalformed
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	w := &jsonWalk{dec: dec}
	v, err := w.value(0)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errMalformed
	}
	return m, nil
}

// A jsonWalk builds values token by token, because encoding/json silently keeps the
// last of repeated members.
type jsonWalk struct {
	dec   *json.Decoder
	nodes int
}

func (w *jsonWalk) value(depth int) (any, error) {
	t, err := w.next()
	if err != nil {
		return nil, err
	}
	d, ok := t.(json.Delim)
	switch {
	case !ok:
		return t, nil
	case depth == maxDepth:
		return nil, errMalformed
	case d == '{':
		return w.object(depth + 1)
	}
	return w.array(depth + 1)
}

func (w *jsonWalk) object(depth int) (any, error) {
	m := map[string]any{}
	for w.dec.More() {
		t, err := w.next()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errMalformed
		}
		if _, repeated := m[name]; repeated {
			return nil, errMalformed
		}
		v, err := w.value(depth)
		if err != nil {
			return nil, err
		}
		m[name] = v
	}
	_, err := w.next()
	return m, err
}

func (w *jsonWalk) array(depth int) (any, error) {
	list := []any{}
	for w.dec.More() {
		v, err := w.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := w.next()
	return list, err
}

func (w *jsonWalk) next() (any, error) {
	w.nodes++
	if w.nodes > maxNodes {
		return nil, errMalformed
	}
	t, err := w.dec.Token()
	if err != nil {
		return nil, errMalformed
	}
	return t, nil
}
