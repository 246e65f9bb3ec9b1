// An OpenID provider, npm's oidc-provider, at which everybody is signed in as who they say they are.
// argv: port, redirect URI.  One client for each algorithm, named after it; the secret is "secret".
import { generateKeyPairSync } from "node:crypto";

import { Provider } from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const jwk = (kid, alg, type, options) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), kid, alg, use: "sig",
});
const algorithms = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  EdDSA: ["ed25519"],
};
const claimsOf = (sub) => ({ sub, email: `${sub}@example.org`, email_verified: sub !== "mallory" });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: Object.entries(algorithms).map(([alg, how]) => jwk(alg, alg, ...how)) },
  clients: Object.keys(algorithms).map((alg) => ({
    client_id: alg,
    client_secret: "secret",
    redirect_uris: [redirectUri],
    id_token_signed_response_alg: alg,
  })),
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: [] },
  enabledJWA: { idTokenSigningAlgValues: Object.keys(algorithms) },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => claimsOf(sub) }),
});

// Instead of pages: the header X-Account signs in, and everything asked for is granted.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  const { prompt, params, session } = await provider.interactionDetails(ctx.req, ctx.res);
  if (prompt.name === "login") {
    const login = { accountId: ctx.get("x-account") };
    return provider.interactionFinished(ctx.req, ctx.res, { login });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(ctx.req, ctx.res, { consent });
});

provider.listen(Number(port), "127.0.0.1");
