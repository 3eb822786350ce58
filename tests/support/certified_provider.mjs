// An OpenID Connect provider on a free port: the npm package oidc-provider, which is OpenID Certified.
//
// node certified_provider.mjs FOLDER SECRET REDIRECT AFTER
// FOLDER has the package in node_modules. REDIRECT is the client's redirect address and AFTER the one
// after signing out. The issuer is printed once the provider listens; it ends with its standard input.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [folder, secret, redirect, after] = process.argv.slice(2);
const entry = pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`);
const { default: Provider } = await import(entry);

// The role claim in each of the shapes that the service reads.
const person = (name, ...roles) => ({
  name,
  roles,
  realm_access: { roles },
  groups: roles.join(" "),
});
const STAFF = {
  "staff-lin": person("林晓", "agent"),
  "staff-zhao": person("赵敏", "supervisor"),
  "staff-guest": person("访客"),
};

const client = (name, algorithm, method) => ({
  client_id: name,
  ...(method === "none" ? {} : { client_secret: secret }),
  redirect_uris: [redirect],
  post_logout_redirect_uris: [after],
  response_types: ["code"],
  grant_types: ["authorization_code"],
  token_endpoint_auth_method: method,
  id_token_signed_response_alg: algorithm,
});

const jwk = (type, options) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  use: "sig",
});

const configuration = {
  clients: [
    client("desk", "RS256", "client_secret_basic"),
    client("desk-ps256", "PS256", "client_secret_basic"),
    client("desk-eddsa", "EdDSA", "client_secret_basic"),
    client("desk-public", "ES256", "none"),
  ],
  jwks: {
    keys: [
      jwk("rsa", { modulusLength: 2048 }),
      jwk("ec", { namedCurve: "P-256" }),
      jwk("ed25519"),
    ],
  },
  cookies: { keys: [secret] },
  pkce: { required: () => true },
  // Claims of the scope openid are in the ID token; those of profile are at the UserInfo endpoint only.
  claims: { openid: ["sub", "name", "roles", "realm_access", "groups"] },
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"] },
  findAccount: (_, id) =>
    STAFF[id] && { accountId: id, claims: () => ({ sub: id, ...STAFF[id] }) },
};

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on("request", new Provider(issuer, configuration).callback());
  console.log(issuer);
});
process.stdin.on("end", () => process.exit()).resume();
