// Package traefiktest runs a real Traefik with plugins from source. The demo, the tests
// and the benchmarks use it.
package traefiktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// Module is the plugin's module path, for [Options].Plugins.
const Module = "github.com/traefikoidc/traefikoidc"

// ErrNotFound is returned when no Traefik binary was found.
var ErrNotFound = errors.New("traefiktest: Traefik was not found: set TRAEFIK to the path that scripts/traefik.sh prints")

// ErrEnded is returned when Traefik has ended by itself.
var ErrEnded = errors.New("traefiktest: Traefik has ended")

// Options describe a Traefik to run. Dir and Static are required.
type Options struct {
	Binary  string            // empty: $TRAEFIK, or traefik on PATH
	Dir     string            // an existing directory, in which Traefik runs
	Static  string            // path of the static configuration, relative to Dir
	Plugins map[string]string // directories of sources by module path
	Env     []string          // added to this process's environment
	Log     io.Writer         // receives Traefik's output; nil: none
}

// A Traefik is a running process. It is safe for concurrent use.
type Traefik struct {
	cmd     *exec.Cmd
	log     *tail
	done    chan struct{} // closed when the process has ended
	stopped atomic.Bool   // by Stop or Kill
}

// Start links the plugins into Options.Dir and starts Traefik there. On Linux, Traefik
// is killed if this process dies without stopping it.
func Start(o Options) (*Traefik, error) {
	binary, err := find(o.Binary)
	if err != nil {
		return nil, err
	}
	if err := layOut(o.Dir, o.Plugins); err != nil {
		return nil, err
	}
	t := &Traefik{log: &tail{next: o.Log}, done: make(chan struct{})}
	t.cmd = exec.Command(binary, "--configFile="+o.Static)
	t.cmd.Dir = o.Dir
	t.cmd.Env = append(os.Environ(), o.Env...)
	t.cmd.Stdout, t.cmd.Stderr = t.log, t.log
	t.cmd.SysProcAttr = childAttributes()
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("traefiktest: start: %w", err)
	}
	go t.wait()
	return t, nil
}

func find(binary string) (string, error) {
	if binary == "" {
		binary = os.Getenv("TRAEFIK")
	}
	if binary != "" {
		return binary, nil
	}
	path, err := exec.LookPath("traefik")
	if err != nil {
		return "", ErrNotFound
	}
	return path, nil
}

func (t *Traefik) wait() {
	_ = t.cmd.Wait()
	close(t.done)
}

// PID returns the id of the process.
func (t *Traefik) PID() int { return t.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended. [Traefik.Stopped]
// reports whether it was ended or ended by itself.
func (t *Traefik) Done() <-chan struct{} { return t.done }

// LastLines returns the last 8 KiB of Traefik's output, in which the reason of a failure
// usually is.
func (t *Traefik) LastLines() string { return t.log.text() }

// Await waits until Traefik responds to url with a status other than 404. Traefik
// responds with 404 if it has no router for url or could not build the router's
// middleware. Await fails when ctx ends, and with [ErrEnded] when Traefik has ended;
// [Traefik.LastLines] may have the reason.
func (t *Traefik) Await(ctx context.Context, url string) error {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: stay,
		Timeout:       5 * time.Second,
	}
	for {
		if t.ended() {
			return ErrEnded
		}
		resp, err := client.Get(url)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusNotFound {
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("traefiktest: %s is not served: %w", url, ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (t *Traefik) ended() bool { return t.cmd.Process.Signal(syscall.Signal(0)) != nil }

// Stop ends the process and returns when it has ended. After ten seconds it kills it.
func (t *Traefik) Stop() {
	t.stopped.Store(true)
	_ = t.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(10*time.Second, t.kill)
	<-t.done
	force.Stop()
}

// Kill ends the process like kill -9, and returns when it has ended.
func (t *Traefik) Kill() {
	t.stopped.Store(true)
	t.kill()
	<-t.done
}

// Stopped reports whether [Traefik.Stop] or [Traefik.Kill] was called.
func (t *Traefik) Stopped() bool { return t.stopped.Load() }

func (t *Traefik) kill() { _ = t.cmd.Process.Kill() }
