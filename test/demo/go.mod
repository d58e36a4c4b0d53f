module github.com/traefikoidc/traefikoidc/test/demo

go 1.24
