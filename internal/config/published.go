package config

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// publishedIssuer is the issuer of testData in .traefik.yml. The catalogue needs
// testData to be a valid configuration, with secrets that are public. No site has this
// issuer, because example.com is reserved (RFC 2606).
const publishedIssuer = "https://id.example.com/realms/main"

// publishedSecrets are SHA-256 digests, in hexadecimal, of secrets that look random but
// are public. They come from the documents, defaults and tests of this plugin and of
// other software for OpenID Connect, and from well-known tutorials. The test has them
// in clear.
const publishedSecrets = `
	05dce96206bb1ffb2c94a8718fd3d10dd4d2e2ecbcdd0af9a3e68ee6be4600e2
	96fba9cfbdfb926a102023f8c9e51e0327f189f4eee0deb59e1f5324291ef979
	751803a5a1782ae8ae0ca8c40cdd1726011bc7957aea4c9ef857ca578b7c132b
	909b03d1e90707ad8192cbb4057d22ea03ab10138d44a9f3aeb74c4f54a02027
	2eb76bfca27c111099552a78f5017a12607183baa28eefe75a6cf88d69df80a7
	c4fe5e9464ae5c5ee7c1b25641da086641e146e42cea54b3fc0799a103255b82
	880f82beaca852425bf35f7eb74df4f0f900fe0584200a87b9446734bd4ef1dc
	991590bc1bfc9e286d0fbd67a1ebe4b3250cf31913925b65de7261c2e617e68f
	d5794365674291f239566f65819061eaf65d1a35b49d0bf0001fa6f18747fe98
	e45571f965175319252dcf1bb07a743c5e08923d4863c892bcf6c00fde3b177e
	14e2e4998b0f54e3a7c03b7cf5096d0a99c8f7290d012fc4706152e853421020
	af535d4e5f62b3338f656ce74a163bff2c55987ac921550f87e7175a4ca1a923
	f8feac004f0cbd6363824359e47574787d4618f4c0d087cb76f79afdac8b71b1
	4d8c2c87ba8804d38973c2738cf6e9461bcc90ba80f0a7406b423926b709a4d6
	549238147b44fb395955d189f74baf2b8f60af3504e8adb74fe71133e048333b
	bf8ccb1c47fb1b8605560f8263ed2afaa48918996ed5691f5b81dca8167f75af
	570dad43de1af4c925f92c16a68a50936da42b7dd6fdeb24850507a1199aac89
	3354cfcf65c7b2e6840ea6f880aede239750cb1d063950c4e8fd9fbf9ec73a32
	2598f7d6adc142d88161630f3db12ab2bd3403521c281811e5e1ce60d4ac5d76
	8b1b17a9740c068accab5c3d0d652c8e3cc13206e70bb73b42ea41d4c2de3c12
`

// isPublished reports whether a secret is public. Padding of base64 is ignored.
func isPublished(secret string) bool {
	sum := sha256.Sum256([]byte(strings.TrimRight(strings.TrimSpace(secret), "=")))
	return strings.Contains(publishedSecrets, hex.EncodeToString(sum[:]))
}
