package config

import (
	"path/filepath"
	"strings"

	"github.com/traefikoidc/traefikoidc/internal/spelling"
)

// log reads the options of the log.
func (r *reader) log(c *Config) Log {
	return Log{
		Level:  r.choice("logLevel", c.LogLevel, "info", []string{"debug", "info", "warn", "error"}),
		Format: r.choice("logFormat", c.LogFormat, "text", []string{"text", "json"}),
		File:   r.logFile(c.LogFile),
	}
}

// logFile reads the destination of log lines. A relative path is refused, because the
// operator does not choose the directory in which Traefik starts, and a misspelt stdout
// would be a file.
func (r *reader) logFile(raw string) string {
	const option = "logFile"
	s := r.textOr(option, raw, "stdout")
	switch lower := strings.ToLower(s); {
	case lower == "stdout" || lower == "stderr":
		return lower
	case strings.HasPrefix(lower, "file:"):
		r.problem(option, "must be stdout, stderr or an absolute path: leave file: out")
	case !filepath.IsAbs(s):
		text := "must be stdout, stderr or an absolute path such as /var/log/traefik/oidc.log"
		if near := spelling.Nearest(s, []string{"stdout", "stderr"}); near != "" {
			text += "; did you mean " + near + "?"
		}
		r.problem(option, text)
	case strings.HasSuffix(s, "/"):
		r.problem(option, "is a directory; name a file in it")
	default:
		return filepath.Clean(s)
	}
	return "stdout"
}
