package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// An option is a leaf of Config, with its name in a configuration and its place.
type option struct {
	name  string
	value reflect.Value
}

// options lists the leaves of c in the order of its fields.
func options(c *Config) []option {
	return leaves("", reflect.ValueOf(c).Elem())
}

func leaves(prefix string, v reflect.Value) []option {
	var out []option
	for i := 0; i < v.NumField(); i++ {
		field := v.Type().Field(i)
		if field.Name == "Extra" {
			continue
		}
		name := prefix + optionName(field.Name)
		if field.Type.Kind() == reflect.Struct {
			out = append(out, leaves(name+".", v.Field(i))...)
			continue
		}
		out = append(out, option{name: name, value: v.Field(i)})
	}
	return out
}

// set gives an option a value as Traefik's decoder does, weakly typed.
func set(t testing.TB, c *Config, name string, value any) {
	t.Helper()
	for _, o := range options(c) {
		if o.name == name {
			if err := assign(o.value, value); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return
		}
	}
	t.Fatalf("there is no option %s", name)
}

func assign(to reflect.Value, value any) error {
	if value == nil {
		to.SetZero()
		return nil
	}
	text := fmt.Sprint(value)
	switch to.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		to.SetBool(b)
		return err
	case reflect.Int:
		n, err := strconv.Atoi(text)
		to.SetInt(int64(n))
		return err
	case reflect.String:
		to.SetString(text)
		return nil
	case reflect.Slice:
		if list, ok := value.(string); ok && to.Type().Elem().Kind() == reflect.String {
			value = strings.Split(list, ",")
		}
	}
	v := reflect.ValueOf(value)
	if !v.Type().AssignableTo(to.Type()) {
		return fmt.Errorf("%s does not fit %s", v.Type(), to.Type())
	}
	to.Set(v)
	return nil
}
