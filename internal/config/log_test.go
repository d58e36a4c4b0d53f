package config

import "testing"

func TestLog(t *testing.T) {
	env := environment(map[string]string{"LOGS": "/var/log"}, nil)
	runProblems(t, []problemRow{
		{"format", o{"logFormat": "JSON"}, ""},
		{"no format", o{"logFormat": "common"}, "logFormat: is none of text, json"},
		{"a misspelt format", o{"logFormat": "jsn"}, "did you mean json?"},
		{"standard output", o{"logFile": "STDOUT"}, ""},
		{"a misspelt standard output", o{"logFile": "stdot"}, "logFile: must be stdout, stderr or an absolute path such as /var/log/traefik/oidc.log; did you mean stdout?"},
		{"a relative path", o{"logFile": "logs/oidc.log"}, "logFile: must be stdout, stderr or an absolute path"},
		{"a path after file:", o{"logFile": "file:/var/log/oidc.log"}, "logFile: must be stdout, stderr or an absolute path: leave file: out"},
		{"a directory", o{"logFile": "/var/log/"}, "logFile: is a directory"},
		{"two lines", o{"logFile": "/var/log/a\nb"}, "logFile: has a line break"},
	}, env)
	for raw, want := range map[string]string{
		"": "stdout", "Stderr": "stderr", "${LOGS}/oidc.log": "/var/log/oidc.log", "/var/log/../log//oidc.log": "/var/log/oidc.log",
	} {
		c := minimal()
		c.LogFile = raw
		s, err := Parse(c, env)
		if err != nil || s.Log.File != want {
			t.Errorf("%q: not %s: %v", raw, want, err)
		}
	}
}
