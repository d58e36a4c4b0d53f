package traefiktest

import (
	"fmt"
	"os"
	"path/filepath"
)

// layOut links the sources of plugins into the directory from which Traefik loads local
// plugins: plugins-local/src/ in its working directory, by module path.
func layOut(dir string, plugins map[string]string) error {
	for module, source := range plugins {
		source, err := filepath.Abs(source)
		if err != nil {
			return fmt.Errorf("traefiktest: plugin %s: %w", module, err)
		}
		link := filepath.Join(dir, "plugins-local", "src", filepath.FromSlash(module))
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return fmt.Errorf("traefiktest: plugin %s: %w", module, err)
		}
		if err := os.Symlink(source, link); err != nil && !os.IsExist(err) {
			return fmt.Errorf("traefiktest: plugin %s: %w", module, err)
		}
	}
	return nil
}
