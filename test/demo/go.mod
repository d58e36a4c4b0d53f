module github.com/traefikoidc/traefikoidc/test/demo

go 1.24

require github.com/traefikoidc/traefikoidc v0.0.0

replace github.com/traefikoidc/traefikoidc => ../..
