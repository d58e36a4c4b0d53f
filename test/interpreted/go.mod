module github.com/traefikoidc/traefikoidc/test/interpreted

go 1.24

require (
	github.com/mitchellh/mapstructure v1.5.1-0.20231216201459-8508981c8b6c
	github.com/traefik/yaegi v0.16.1
	github.com/traefikoidc/traefikoidc v0.0.0-00010101000000-000000000000
)

require golang.org/x/text v0.21.0

replace github.com/traefikoidc/traefikoidc => ../..
