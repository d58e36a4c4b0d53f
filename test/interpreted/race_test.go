//go:build race

package interpreted

// raced says that the race detector is built in, which allocates on its own.
const raced = true
