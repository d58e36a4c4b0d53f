package demo

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/traefikoidc/traefikoidc/internal/eventually"
	"github.com/traefikoidc/traefikoidc/internal/freeport"
)

// A process is a running demo, in a process group of its own like one in a terminal.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *output
	in   io.Writer     // its standard input
	temp string        // its TMPDIR
	done chan struct{} // closed when it has ended
	err  error         // how it ended

	port, second, providerPort string // second is the port after port
}

// An output collects the output of a process.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// launch starts a command in the repository, with free ports and a TMPDIR of its own.
func launch(t *testing.T, command ...string) *process {
	t.Helper()
	p := &process{t: t, out: &output{}, temp: t.TempDir(), done: make(chan struct{})}
	p.port, p.second = freePorts(t)
	_, p.providerPort = freePorts(t)
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir = filepath.Join("..", "..")
	p.cmd.Env = append(os.Environ(), "TMPDIR="+p.temp, "DEMO_PORT="+p.port, "DEMO_PROVIDER_PORT="+p.providerPort)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("the demo printed:\n%s", p.out)
		}
	})
	return p
}

// freePorts returns two free ports, one after the other.
func freePorts(t *testing.T) (first, second string) {
	t.Helper()
	port, err := freeport.Run(2)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port), strconv.Itoa(port + 1)
}

// enter types a line and waits until the demo prints the answer.
func (p *process) enter(line, answer string) {
	p.t.Helper()
	before := strings.Count(p.out.String(), answer)
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	p.until("the answer to "+line, func() bool { return strings.Count(p.out.String(), answer) > before })
}

// signal sends a signal to the whole process group, like a terminal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		p.t.Fatal(err)
	}
}

// ready waits until the demo prints its instructions.
func (p *process) ready() {
	p.t.Helper()
	p.until("the demo is ready", func() bool { return strings.Contains(p.out.String(), "Ctrl-C ends") })
}

// ended waits until the process has ended.
func (p *process) ended() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Fatal("the demo does not end")
	}
}

// until waits for a condition, for at most a minute. It fails if the process ends.
func (p *process) until(condition string, holds func() bool) {
	p.t.Helper()
	eventually.True(p.t, condition, func() bool {
		if holds() {
			return true
		}
		select {
		case <-p.done:
			p.t.Fatalf("the demo ended before this: %s: %v", condition, p.err)
		default:
		}
		return false
	})
}

var dynamicFile = regexp.MustCompile(`\S+/dynamic\.yml`)

// file returns the path of the dynamic configuration that the demo printed.
func (p *process) file() string {
	p.t.Helper()
	name := dynamicFile.FindString(p.out.String())
	if name == "" {
		p.t.Fatal("the demo printed no configuration file")
	}
	return name
}

// inside returns the processes in the demo's TMPDIR, which are its Traefiks and Redis.
func (p *process) inside() []int {
	p.t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		p.t.Fatal(err)
	}
	var pids []int
	for _, link := range links {
		dir, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(dir, p.temp) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(link, "/proc/%d/cwd", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// leftNothing checks that no process, file or open port remains.
func (p *process) leftNothing() {
	p.t.Helper()
	if pids := p.inside(); len(pids) > 0 {
		p.t.Errorf("processes are left: %v", pids)
	}
	files, err := os.ReadDir(p.temp)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		p.t.Errorf("%s is left in TMPDIR", f.Name())
	}
	for _, port := range []string{p.port, p.second, p.providerPort} {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			p.t.Errorf("port %s is still open", port)
		}
	}
}
