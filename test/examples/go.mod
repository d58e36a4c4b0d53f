module github.com/traefikoidc/traefikoidc/test/examples

go 1.24

require (
	github.com/mitchellh/mapstructure v1.5.0
	github.com/traefikoidc/traefikoidc v0.0.0
	gopkg.in/yaml.v3 v3.0.1
)

replace github.com/traefikoidc/traefikoidc => ../..
