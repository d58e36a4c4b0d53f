package examples

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/traefikoidc/traefikoidc/test/redistest"
)

// elsewhere are commands of the reader's machine that this one need not have.
var elsewhere = []string{"curl", "docker", "git", "helm", "jq", "kubectl", "openssl", "traefik", "xxd"}

// checkShell has bash parse the block, and looks for each command.
func checkShell(b block) error {
	if err := quietly(exec.Command("bash", "-n"), b.text); err != nil {
		return err
	}
	for _, words := range commands(b.text) {
		if err := checkCommand(words); err != nil {
			return err
		}
	}
	return nil
}

// checkConsole checks the lines after a prompt; the others are output.
func checkConsole(b block) error {
	var typed strings.Builder
	for _, line := range strings.Split(b.text, "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			typed.WriteString(command + "\n")
		}
	}
	if typed.Len() == 0 {
		return errors.New("no line begins with a prompt")
	}
	b.text = typed.String()
	return checkShell(b)
}

var (
	token      = regexp.MustCompile(`'[^']*'|"(?:[^"\\]|\\.)*"|&&|\|\||[|;\n]|#[^\n]*|(?:\\.|\$\([^)]*\)|[^\s|;'"&]|&\d|'[^']*')+|&`)
	assignment = regexp.MustCompile(`^[A-Z_]+=`)
)

// commands splits a script into its commands, which are words without quotes. It
// knows the little of the shell that pages use.
func commands(script string) [][]string {
	var all [][]string
	var words []string
	for _, word := range append(token.FindAllString(strings.ReplaceAll(script, "\\\n", " "), -1), "\n") {
		switch {
		case slices.Contains([]string{"&&", "||", "|", ";", "\n", "&"}, word):
			if len(words) > 0 {
				all = append(all, words)
			}
			words = nil
		case strings.HasPrefix(word, "#"):
		case len(words) == 0 && assignment.MatchString(word):
		default:
			words = append(words, strings.Trim(word, `'"`))
		}
	}
	return all
}

func checkCommand(words []string) error {
	switch name := words[0]; {
	case name == "make":
		return checkMake(words[1:])
	case name == "redis-cli":
		return checkRedis(words[1:])
	case name == "go" && len(words) > 1 && words[1] == "test":
		return checkGoTest(words[2:])
	case strings.Contains(name, "/"):
		_, err := os.Stat(filepath.Join(root, name))
		return err
	case slices.Contains(elsewhere, name):
		return nil
	default:
		return quietly(exec.Command("bash", "-c", `type "$0"`, name), "")
	}
}

func checkMake(words []string) error {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return err
	}
	for _, word := range words {
		if assignment.MatchString(word) {
			continue
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(word) + `:`).Match(makefile) {
			return fmt.Errorf("the Makefile has no target %s", word)
		}
	}
	return nil
}

// checkGoTest looks for the tests that -run names.
func checkGoTest(words []string) error {
	i := slices.Index(words, "-run")
	if i < 0 || i+1 == len(words) {
		return nil
	}
	name := strings.Trim(words[i+1], "^$")
	return quietly(exec.Command("grep", "-rqE", "--include=*_test.go", `^func `+name, root), "")
}

// redis is a server without data, in which the commands of the pages run.
var redis struct {
	sync.Once
	address string
	err     error
}

func startRedis() {
	server, err := redistest.New(redistest.Options{Dir: os.TempDir()})
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = server.Start(ctx)
		redis.address = server.Address()
	}
	redis.err = err
}

// connection are the options by which redis-cli is led to a server.
var connection = []string{"-h", "-p", "-a", "-u", "-n", "--user", "--pass"}

// checkRedis runs a command of Redis, unless it does not end.
func checkRedis(words []string) error {
	redis.Do(startRedis)
	if redis.err != nil {
		return redis.err
	}
	_, port, err := net.SplitHostPort(redis.address)
	if err != nil {
		return err
	}
	for len(words) > 1 && slices.Contains(connection, words[0]) {
		words = words[2:]
	}
	if len(words) == 0 || strings.EqualFold(words[0], "MONITOR") {
		return nil
	}
	run := func(words ...string) error {
		return quietly(exec.Command("redis-cli", append([]string{"-e", "-p", port}, words...)...), "")
	}
	if i := slices.IndexFunc(words, func(s string) bool { return strings.HasPrefix(s, "<") }); i > 0 {
		// A password is only taken away where it is.
		if err := run("ACL", "SETUSER", words[2], ">"+words[i][1:]); err != nil {
			return err
		}
	}
	return run(words...)
}
