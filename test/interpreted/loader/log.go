package loader

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
)

// Log keeps the output of the interpreted code.
type Log struct {
	out *os.File

	mu    sync.Mutex // guards the fields below
	text  strings.Builder
	marks int
	seen  map[string]chan struct{}
}

const markPrefix = "\x00mark "

func newLog() (*Log, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	l := &Log{out: w, seen: map[string]chan struct{}{}}
	go l.read(r)
	return l, w, nil
}

func (l *Log) read(r *os.File) {
	lines := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := lines.ReadString('\n')
		l.mu.Lock()
		if i := strings.Index(line, markPrefix); i >= 0 {
			close(l.seen[line[i:]])
			line = line[:i]
		}
		l.text.WriteString(line)
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Len returns the length of the log so far. With Since it cuts out the lines of one test.
func (l *Log) Len() int { return len(l.String()) }

// Since returns the log from that length on.
func (l *Log) Since(length int) string { return l.String()[length:] }

// String returns all output before the call.
func (l *Log) String() string {
	l.mu.Lock()
	l.marks++
	mark := fmt.Sprintf("%s%d\n", markPrefix, l.marks)
	done := make(chan struct{})
	l.seen[mark] = done
	l.mu.Unlock()

	fmt.Fprint(l.out, mark)
	<-done

	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
