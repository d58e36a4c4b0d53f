package config

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
)

// A referenceForm is the syntax of another tool for a secret that it will insert. If
// that tool did not run, its text would be taken for the secret.
type referenceForm struct {
	kind string
	form *regexp.Regexp
}

// inBrackets matches usual text between brackets, which random text hardly ever is.
const inBrackets = `[\p{L}\p{N}_ .,:;/|'$#*…-]*`

// referenceForms are those that neither the plugin nor Traefik replaces. They are
// narrow: no random text of letters, digits and the signs of base64 has one of them. Of
// texts of all printable characters, fewer than one in 10,000 has one.
var referenceForms = []referenceForm{
	{"a template", regexp.MustCompile(`(?s)\{\{.*\}\}|\{%.*%\}|<%.*%>|\[\[.*\]\]|^#\{.*\}#?$|^\(\(.*\)\)$|^%\{[\w.:/-]+\}%?$`)},
	{"a variable", regexp.MustCompile(`(?s)^\$\{[^{}]*\}$|\$\{[a-z][a-z0-9_.-]{2,}\}|\$\{[A-Z][A-Z0-9_]{2,}(\}|:?[-?+=])|^\$\(.*\)$|^\$\[.*\]$|^\$env:|^\$__\w+\{.*\}$`)},
	{"a variable", regexp.MustCompile(`^\\?\${1,2}([A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]*)$|\$\([A-Z][A-Z0-9_]{2,}\)|^%\([A-Za-z_]\w*\)s$|(?i)^\$env\{.*\}$|^\$[a-z_]\w*(secret|key|token|passw|oidc|session|client|redis|cookie)\w*$`)},
	{"a variable", regexp.MustCompile(`^%env\(.*\)%$|^%%?[A-Za-z_][\w.:-]*%%?$|^@@?[A-Za-z_][\w.-]*@@?$|^__([A-Z][A-Z0-9_]*|[a-z][a-z0-9_]*)__$`)},
	{"an expression", regexp.MustCompile(`(?is)^(process\.env|os\.environ|env)\s*(\[.*\]|\.(fetch|get)\(.*\))$|^\{\s*"(ref|fn::\w+|name|secret\w*)"\s*:`)},
	{"an expression", regexp.MustCompile(`(?is)^@?(microsoft\.keyvault|os\.environ\.get|os\.getenv|get_?env|env|file|secret|vault|lookup|exec|cmd|ssm|key_?vault)\(.*\)$|^!{1,2}[a-z][\w:./-]*\s|` +
		`^(process\.env|os\.environ|env|secrets?|vars?|\.?values|inputs?|local|data|config)\.[a-z_][\w.-]*$|secretKeyRef|valueFrom|^map\[.*\]$|` + "^`[\\w./-]+( [^`]*)?`$")},
	{"a reference to a store of secrets", regexp.MustCompile(`(?i)^ref\+|^>>vault:|^<?@?file:/|^@/(run|var|etc|mnt|home|secrets?)/|^(secrets?|kv2?|vault)/[\w.-]+[/#:][\w./#:-]+$|^[a-z][a-z0-9+.-]*://|^(//[\w.-]+/)?projects/[^/]+/(locations/[^/]+/)?secrets/|` +
		`^(aws-?sm|ssm-secure|secretsmanager|hcvault|gopass|lpass|keepass|keyring|1password|onepassword|bitwarden|akeyless|cyberark|delinea|berglas|pulumi):\S|` +
		`^(arn|urn|vault|bao|openbao|env|file|secrets?|secretref|valuefrom|ssm|sm|asm|kms|gcp|gcpsm|aws|awssm|azure|akv|azkv|keyvault|keyvaultref|sops|age|op|bw|bws|doppler|infisical|conjur|k8s|kubernetes|configmap|docker|exec|cmd|command|vals|config|data|lookup|resolve|parameter):\S`)},
	{"an encrypted value", regexp.MustCompile(`(?i)^ENC[\[({]|^\{(cipher|aes|enc)\}|^\$ANSIBLE_VAULT;|^-----BEGIN (PGP MESSAGE|PKCS7|AGE ENCRYPTED FILE)-----`)},
	{"a placeholder", regexp.MustCompile(`^(<+` + inBrackets + `>+|\{` + inBrackets + `\}|\[` + inBrackets + `\])$`)},
}

// placeholderForm matches a text that asks to be replaced, in lower case and without
// word separators.
var placeholderForm = regexp.MustCompile(`^(please)?(change|replace)(me|this|it)|^(null|undefined|none|nil|nan|todo|tbd|fixme|redacted|placeholder|\(?(sensitive|sensitivevalue|redacted|knownafterapply)\)?)$|` +
	`^(insert|enter|fillin|put|paste|add|set|use|replacewith)?your[a-z0-9]*(secret|password|passphrase|token|key|here|value)s?$|` +
	`^(insert|enter|fillin|put|paste)[a-z0-9]*(secret|password|passphrase|token|key|value)s?(here)?$|^(client|session)?(secret|password|token|key)(goes)?here$`)

var separators = strings.NewReplacer("-", "", "_", "", " ", "", ".", "", "!", "")

// referenceFault returns the reason that a secret is a reference that nothing replaced,
// or a placeholder, without showing it. It is empty for any other text. It also decodes
// base64 and hexadecimal.
func referenceFault(secret string) string {
	if fault := writtenFault(secret); fault != "" {
		return fault
	}
	if text := decoded(secret); text != "" && writtenFault(text) != "" {
		return "hides " + strings.TrimPrefix(writtenFault(text), "is ")
	}
	return ""
}

func writtenFault(s string) string {
	s = strings.Trim(strings.TrimSpace(s), `"'`)
	if strings.HasPrefix(s, "urn:k8s:") {
		return "is a reference to a Kubernetes secret that Traefik did not resolve; it resolves only whole values that begin with urn:k8s:secret: in Middleware resources. " +
			"Mount the Secret into Traefik's pod and write file:/path"
	}
	for _, f := range referenceForms {
		if f.form.MatchString(s) {
			return "is " + f.kind + " that nothing replaced" + referenceHint
		}
	}
	if len(s) >= 3 && strings.Trim(s, "xX*.-_#?•…") == "" || len(s) <= maxStudied && placeholderForm.MatchString(separators.Replace(strings.ToLower(s))) {
		return "is a placeholder that nobody replaced" + referenceHint
	}
	return ""
}

const referenceHint = "; write ${NAME} for a variable of Traefik's environment, or file:/path for a file"

// decoded returns the text with the base64 or hexadecimal form s, or nothing if that is
// no text.
func decoded(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxSecret {
		return ""
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		plain := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
		b, err = base64.RawStdEncoding.DecodeString(plain)
	}
	if err != nil || !printable.Match(b) {
		return ""
	}
	return string(b)
}

var printable = regexp.MustCompile(`^[\x20-\x7e\r\n\t]{3,}$`)

// pathForm matches a text with a slash at its start that is hardly random. It has
// lower-case segments with a dot or a second slash, or any segments below a usual
// system directory.
var pathForm = regexp.MustCompile(`^/[a-z0-9_-]*[./][a-z0-9_./-]*$|^/(run|var|etc|mnt|home|root|opt|srv|tmp|usr|data|config|secrets?|vault|app|certs?|keys?|dev|proc|workspace|Users|Volumes)/[\w./@+:-]+$|` +
	`^(~|\.\.?)/[\w./@-]+$|^[A-Za-z]:[\\/][\w.\\/ -]+$`)

// isPath reports whether a secret is the path of a file. One key in 64 of openssl
// begins with a slash. So such a text is a path only if it has the form of one, or if
// that file exists.
func (r *reader) isPath(s string) bool {
	if pathForm.MatchString(s) {
		return true
	}
	return strings.HasPrefix(s, "/") && len(s) < 4096 && !strings.ContainsAny(s, "\r\n\x00") && r.env.exists(s)
}
