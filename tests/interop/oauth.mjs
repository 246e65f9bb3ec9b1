// A resource server and a client on npm's oauth4webapi, from the metadata alone.
// stdin: {"issuer", "client_id", "client_secret", "introspect": [token],
// "samples": [{"token", "audience"}]}; stdout: {"metadata", "verdicts", "answers"}.
import { readFileSync } from "node:fs";

import * as oauth from "oauth4webapi";

const asked = JSON.parse(readFileSync(0, "utf8"));
const plain = { [oauth.allowInsecureRequests]: true }; // the test's server speaks plain HTTP

const issuer = new URL(asked.issuer);
const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...plain });
const server = await oauth.processDiscoveryResponse(issuer, found);

const validate = async ({ token, audience }) => {
  const headers = { authorization: `Bearer ${token}` };
  const request = new Request("https://savings.example/deposits", { headers });
  try {
    const claims = await oauth.validateJwtAccessToken(server, request, audience, plain);
    return claims.sub ? "verified" : "no sub";
  } catch (error) {
    return error.cause?.claim ?? error.code;
  }
};

const client = { client_id: asked.client_id };
const secret = oauth.ClientSecretBasic(asked.client_secret);
const introspect = async (token) => {
  const answer = await oauth.introspectionRequest(server, client, secret, token, {
    ...plain, requestJwtResponse: asked.signed,
  });
  return oauth.processIntrospectionResponse(server, client, answer);
};

const verdicts = [];
for (const sample of asked.samples ?? []) verdicts.push(await validate(sample));
const answers = [];
for (const token of asked.introspect ?? []) answers.push(await introspect(token));
console.log(JSON.stringify({ jwks_uri: server.jwks_uri, verdicts, answers }));
