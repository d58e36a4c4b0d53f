// The certified provider of the end-to-end tests. It reads what it has to be
// from the variable PROVIDER and ends with its standard input.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const { issuer, clients } = JSON.parse(process.env.PROVIDER);

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });

const provider = new Provider(issuer, {
  clients,
  jwks: { keys: [{ ...key, use: 'sig', alg: 'RS256', kid: 'one' }] },
  cookies: { keys: ['for tests alone'] },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub'],
    profile: ['name'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, name: id, email: `${id}@example.com`, email_verified: true, groups: ['staff', `of-${id}`],
    }),
  }),
  ttl: { AccessToken: 600, IdToken: 600, Grant: 3600, Interaction: 600, Session: 3600, AuthorizationCode: 60 },
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
});

const server = createServer(provider.callback());
const { hostname, port } = new URL(issuer);
server.listen(Number(port), hostname, () => console.log('listening'));
process.stdin.on('end', () => process.exit()).resume();
