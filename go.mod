module github.com/traefikoidc/traefikoidc

go 1.20
