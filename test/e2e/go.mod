module github.com/traefikoidc/traefikoidc/test/e2e

go 1.24

require (
	github.com/gorilla/websocket v1.5.4-0.20250319132907-e064f32e3674
	github.com/traefikoidc/traefikoidc v0.0.0
	github.com/traefikoidc/traefikoidc/test/interpreted v0.0.0
)

require golang.org/x/net v0.26.0 // indirect

replace (
	github.com/traefikoidc/traefikoidc => ../..
	github.com/traefikoidc/traefikoidc/test/interpreted => ../interpreted
)
