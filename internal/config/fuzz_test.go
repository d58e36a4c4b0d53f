package config

import (
	"reflect"
	"strings"
	"testing"
)

// Any text in any option gives settings or an error that names an option, and
// never a panic.
func FuzzConfig(f *testing.F) {
	for _, value := range []string{"", "${A}", "file:/x", "-1", "1s", "https://a.example/%zz", "redis://:p@h:1/2", "/a/../b", "\x00", "a,b,,c",
		"unix:///x", "[::1]:1", "10.0.0.0/33", "__host-x", "*", "https://*.a.example:*", "${${A}", "$${", strings.Repeat("a", 9000)} {
		f.Add(0, value, 30, value)
		f.Add(77, value, 110, value)
	}
	env := environment(map[string]string{"A": "x", "REDIS_ENABLED": "true"}, map[string]string{"/x": "text"})
	var names []string
	for _, o := range options(New()) {
		names = append(names, strings.SplitN(o.name, ".", 2)[0])
	}
	f.Fuzz(func(t *testing.T, i int, a string, j int, b string) {
		c := minimal()
		put(c, i, a)
		put(c, j, b)
		s, err := Parse(c, env)
		if err == nil {
			if s == nil {
				t.Fatal("neither settings nor an error")
			}
			return
		}
		named := false
		for _, name := range names {
			named = named || strings.Contains(err.Error(), name)
		}
		if !named || !strings.HasPrefix(err.Error(), "config: ") || len(err.Error()) > 64<<10 {
			t.Errorf("the error names no option: %v", err)
		}
		if again, second := Parse(c, env); second == nil || second.Error() != err.Error() || again != nil {
			t.Errorf("the second time: %v", second)
		}
	})
}

// put gives the option of that number the text, where it can have one.
func put(c *Config, number int, text string) {
	all := options(c)
	if number < 0 {
		number = -(number + 1)
	}
	v := all[number%len(all)].value
	if v.Kind() == reflect.Interface {
		v.Set(reflect.ValueOf(text))
		return
	}
	switch v.Interface().(type) {
	case string:
		v.SetString(text)
	case []string:
		v.Set(reflect.ValueOf(strings.Split(text, ",")))
	case []AccessRuleOptions:
		v.Set(reflect.ValueOf([]AccessRuleOptions{{Paths: []string{text}, Methods: []string{text}, Hosts: []string{text}, Require: text, Unauthenticated: text}}))
	case []HeaderOptions:
		v.Set(reflect.ValueOf([]HeaderOptions{{Name: text, Value: text}}))
	case map[string]any:
		v.Set(reflect.ValueOf(map[string]any{text: text, "x": text}))
	case bool:
		v.SetBool(text != "")
	case int:
		v.SetInt(int64(len(text)) - 5)
	}
}
