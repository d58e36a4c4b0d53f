module github.com/traefikoidc/traefikoidc/test/resp

go 1.26.0

require (
	github.com/gomodule/redigo v1.9.3
	github.com/mediocregopher/radix/v4 v4.1.4
	github.com/traefik/yaegi v0.16.1
	github.com/traefikoidc/traefikoidc v0.0.0
)

replace github.com/traefikoidc/traefikoidc => ../..
