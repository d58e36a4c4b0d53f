package config

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/traefikoidc/traefikoidc/internal/oidctest"
)

var otherKey = oidctest.NewSecret()

func TestKeys(t *testing.T) {
	env := environment(map[string]string{"KEY": goodKey, "EMPTY": ""}, map[string]string{"/key": goodKey + "\n", "/long": strings.Repeat(goodKey, 4000)})
	rows := []struct {
		name string
		key  any
		want string
	}{
		{"F13 absent", nil, "sessionEncryptionKey: is required"},
		{"F13 empty", "", "sessionEncryptionKey: is required"},
		{"F13 short", goodKey[:31], "sessionEncryptionKey: must have 32 bytes or more"},
		{"F13 all the same", strings.Repeat("a", 40), "repeats itself"},
		{"F13 a block over and over", strings.Repeat("q3Zt8Lw0", 5), "repeats itself"},
		{"F13 a block over and over, cut", strings.Repeat("q3Zt8Lw0", 5)[:37], "repeats itself"},
		{"F13 alphabet", "abcdefghijklmnopqrstuvwxyz0123456789", "sequence of neighbouring"},
		{"F13 runs", "aaaaaaaabbbbbbbbccccccccddddddddeeee", "sequence of neighbouring"},
		{"F13 two characters", "azaazzazazzazaaazzazzzazazazzaazaz", "too few different"},
		{"F13 mostly one character", "a1a2a3aaaaaaaaaaaaaaaaaaaaaaaaaaab", "sequence of neighbouring"},
		{"F13 the redis document", "your-encryption-key-your-other-key", "is a placeholder"},
		{"F13 the existing plugin", "potato-secret-is-at-least-32-bytes-long", "well-known example"},
		{"F13 change me", "CHANGE_ME_CHANGE_ME_please_do_it_now", "is a placeholder"},
		{"F13 the key of the manifest", "birCadC14b7InolTxkd9srtMelAxGLhI", "everybody can read"},
		{"F13 a phrase to be replaced", "your-32-byte-session-encryption-key-here", "is a placeholder"},
		{"F13 keyboard", "qwertyuiopasdfghjklzxcvbnm,./1238", "well-known example"},
		{"F13 in a list", []any{goodKey, "short"}, "sessionEncryptionKey[1]: must have 32 bytes"},
		{"twice", []any{goodKey, goodKey}, "sessionEncryptionKey[1]: is in the list twice"},
		{"empty element", []any{goodKey, ""}, "sessionEncryptionKey[1]: is empty"},
		{"empty variable", "${EMPTY}", "sessionEncryptionKey: is empty"},
		{"unset variable", "${NO_KEY}", "sessionEncryptionKey: the environment variable NO_KEY is not set"},
		{"number", 12345678, "sessionEncryptionKey: must be a text or a list of texts"},
		{"list of numbers", []any{1}, "sessionEncryptionKey: must be a text or a list of texts"},
		{"empty list", []any{}, "sessionEncryptionKey: is required"},
		{"unresolved", "urn:k8s:secret:oidc-session:encryption", "is a reference to a Kubernetes secret"},
		{"too long", "file:/long", "sessionEncryptionKey: the file /long is too long"},
		{"text", goodKey, ""},
		{"with a comma", "q3Zt8Lw0,VxUeR5yHs1KdJm7CbPnGf2Ao", ""},
		{"list", []any{goodKey, otherKey}, ""},
		{"list of texts", []string{goodKey, otherKey}, ""},
		{"variable", "${KEY}", ""},
		{"file", "file:/key", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := minimal()
			c.SessionEncryptionKey = row.key
			if row.want != "" {
				wantProblem(t, c, env, row.want)
				return
			}
			s, err := Parse(c, env)
			if err != nil {
				t.Fatal(err)
			}
			if row.name != "with a comma" && string(s.Session.Keys[0]) != goodKey {
				t.Error("the first key is another")
			}
		})
	}
}

// Random keys of every common spelling pass.
func TestRandomKeysPass(t *testing.T) {
	for i := 0; i < 2000; i++ {
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			t.Fatal(err)
		}
		n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(60), nil))
		if err != nil {
			t.Fatal(err)
		}
		keys := []string{string(b), hex.EncodeToString(b[:16]), hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b), fmt.Sprintf("%060d", n)}
		for _, key := range keys {
			if fault := keyFault(key); fault != "" {
				t.Errorf("%q %s", key, fault)
			}
		}
	}
}
