module github.com/traefikoidc/traefikoidc/test/model

go 1.26

require (
	github.com/traefikoidc/traefikoidc v0.0.0
	github.com/yuin/gopher-lua v1.1.1
)

replace github.com/traefikoidc/traefikoidc => ../..
