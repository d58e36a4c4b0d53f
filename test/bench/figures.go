package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// figures are Traefik's own figures while it serves no request, without idle connections
// and after a garbage collection.
type figures struct {
	goroutines int
	heap       float64 // MB in use
	resident   float64 // MB of the process; zero: there is no /proc
}

var (
	heapLine      = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)`)
	goroutineLine = regexp.MustCompile(`goroutine profile: total (\d+)`)
	residentLine  = regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB`)
)

func (g *rig) figures() (figures, error) {
	var f figures
	g.backend.CloseClientConnections()
	// Objects with a finalizer are freed by the second collection.
	var heap float64
	for range 2 {
		var err error
		if heap, err = g.profile("heap?gc=1&debug=1", heapLine); err != nil {
			return f, err
		}
	}
	goroutines, err := g.profile("goroutine?debug=1", goroutineLine)
	if err != nil {
		return f, err
	}
	f.heap, f.goroutines = heap/(1<<20), int(goroutines)
	f.resident = g.resident()
	return f, nil
}

// resident returns the resident memory of Traefik in MB, garbage included. It is zero
// where there is no /proc.
func (g *rig) resident() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.traefik.PID()))
	if err != nil {
		return 0
	}
	kB, err := number(status, residentLine)
	if err != nil {
		return 0
	}
	return kB / (1 << 10)
}

// cpu is the time that Traefik has computed so far; zero where there is no
// /proc. It is counted in hundredths of a second.
func (g *rig) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.traefik.PID()))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may have spaces. After it, utime and stime are the
	// twelfth and the thirteenth field (proc(5)).
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var ticks time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}

// profile reads one number of a profile.
func (g *rig) profile(name string, line *regexp.Regexp) (float64, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + g.internal + "/debug/pprof/" + name)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return 0, err
	}
	return number(text, line)
}

func number(text []byte, line *regexp.Regexp) (float64, error) {
	m := line.FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("Traefik's figures have no line %q", line)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
