module github.com/traefikoidc/traefikoidc/test/cache

go 1.25

require (
	github.com/traefik/yaegi v0.16.1
	github.com/traefikoidc/traefikoidc v0.0.0
)

replace github.com/traefikoidc/traefikoidc => ../..
