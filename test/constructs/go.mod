module github.com/traefikoidc/traefikoidc/test/constructs

go 1.21

require (
	github.com/traefik/yaegi v0.16.1
	github.com/traefikoidc/traefikoidc v0.0.0-00010101000000-000000000000
)

replace github.com/traefikoidc/traefikoidc => ../..
