package interpreted

import (
	"os"
	"testing"

	"github.com/traefikoidc/traefikoidc/test/interpreted/loader"
)

func TestMain(m *testing.M) { os.Exit(loader.Main(m)) }
