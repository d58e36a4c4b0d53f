module github.com/traefikoidc/traefikoidc/test/prose

go 1.24
