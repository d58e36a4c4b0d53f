package model

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// A machine runs Lua scripts over the data of a server.
type machine struct {
	l *lua.LState
	s *server
}

// machines are those at rest: to make one costs as much as fifty scripts.
var machines sync.Pool

// programs are compiled scripts by their hash.
var programs sync.Map

func newMachine() *machine {
	m := &machine{l: lua.NewState(lua.Options{SkipOpenLibs: true})}
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.StringLibName: lua.OpenString, lua.TabLibName: lua.OpenTable, lua.MathLibName: lua.OpenMath,
	} {
		m.l.Push(m.l.NewFunction(open))
		m.l.Push(lua.LString(name))
		m.l.Call(1, 0)
	}
	m.l.SetGlobal("redis", m.l.SetFuncs(m.l.NewTable(), map[string]lua.LGFunction{
		"call":  func(l *lua.LState) int { return m.call(l, true) },
		"pcall": func(l *lua.LState) int { return m.call(l, false) },
		"error_reply": func(l *lua.LState) int {
			t := l.NewTable()
			t.RawSetString("err", l.Get(1))
			l.Push(t)
			return 1
		},
		"status_reply": func(l *lua.LState) int {
			t := l.NewTable()
			t.RawSetString("ok", l.Get(1))
			l.Push(t)
			return 1
		},
	}))
	return m
}

// call is redis.call and redis.pcall.
func (m *machine) call(l *lua.LState, raises bool) int {
	args := make([]string, l.GetTop())
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			args[i] = string(v)
		case lua.LNumber:
			args[i] = formatNumber(v)
		default:
			l.RaiseError("Lua redis lib command arguments must be strings or integers")
		}
	}
	args[0] = strings.ToUpper(args[0])
	r := m.s.command(args)
	if f, failed := r.(failure); failed && raises {
		l.RaiseError("%s", string(f))
	}
	l.Push(m.toLua(r))
	return 1
}

// formatNumber is how Redis passes a number of a script on: by "%.17g".
func formatNumber(v lua.LNumber) string {
	return strconv.FormatFloat(float64(v), 'g', 17, 64)
}

func (m *machine) toLua(r any) lua.LValue {
	switch v := r.(type) {
	case nil:
		return lua.LFalse
	case int64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case status:
		t := m.l.NewTable()
		t.RawSetString("ok", lua.LString(v))
		return t
	case failure:
		t := m.l.NewTable()
		t.RawSetString("err", lua.LString(v))
		return t
	case list:
		t := m.l.NewTable()
		for _, one := range v {
			t.Append(m.toLua(one))
		}
		return t
	}
	panic("not a reply")
}

func fromLua(v lua.LValue) any {
	switch v := v.(type) {
	case lua.LBool:
		if v {
			return int64(1)
		}
		return nil
	case lua.LNumber:
		return int64(v)
	case lua.LString:
		return string(v)
	case *lua.LTable:
		if text, is := v.RawGetString("err").(lua.LString); is {
			return failure(text)
		}
		if text, is := v.RawGetString("ok").(lua.LString); is {
			return status(text)
		}
		all := list{}
		for i := 1; v.RawGetInt(i) != lua.LNil; i++ {
			all = append(all, fromLua(v.RawGetInt(i)))
		}
		return all
	}
	return nil
}

// eval carries out EVAL and EVALSHA.
func (s *server) eval(args []string) any {
	hash := args[1]
	if args[0] == "EVAL" {
		sum := sha1.Sum([]byte(args[1]))
		hash = hex.EncodeToString(sum[:])
		s.functions[hash] = true
		if _, known := programs.Load(hash); !known {
			program, err := compile(args[1])
			if err != nil {
				return failure("ERR Error compiling script: " + err.Error())
			}
			programs.Store(hash, program)
		}
	}
	if !s.functions[hash] {
		return failure("NOSCRIPT No matching script. Please use EVAL.")
	}
	program, _ := programs.Load(hash)
	if s.lua == nil {
		s.lua, _ = machines.Get().(*machine)
		if s.lua == nil {
			s.lua = newMachine()
		}
		s.lua.s = s
	}
	keys, err := strconv.Atoi(args[2])
	if err != nil {
		return failure("ERR value is not an integer or out of range")
	}
	return s.lua.run(program.(*lua.FunctionProto), args[3:3+keys], args[3+keys:])
}

func compile(source string) (*lua.FunctionProto, error) {
	chunk, err := parse.Parse(strings.NewReader(source), "user_script")
	if err != nil {
		return nil, err
	}
	return lua.Compile(chunk, "user_script")
}

func (m *machine) run(program *lua.FunctionProto, keys, args []string) any {
	m.l.SetGlobal("KEYS", m.strings(keys))
	m.l.SetGlobal("ARGV", m.strings(args))
	m.l.Push(m.l.NewFunctionFromProto(program))
	if err := m.l.PCall(0, 1, nil); err != nil {
		return failure("ERR " + strings.SplitN(err.Error(), "\n", 2)[0])
	}
	v := m.l.Get(-1)
	m.l.Pop(1)
	return fromLua(v)
}

func (m *machine) strings(all []string) *lua.LTable {
	t := m.l.CreateTable(len(all), 0)
	for _, one := range all {
		t.Append(lua.LString(one))
	}
	return t
}

// rest gives the machine to another server.
func (s *server) rest() {
	if s.lua != nil {
		s.lua.s = nil
		machines.Put(s.lua)
		s.lua = nil
	}
}
