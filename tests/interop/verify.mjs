// Verify tokens with npm's jose, as a JavaScript service would.
// stdin: {"jwks_uri", "issuer", "samples": [{"token", "audience", "typ"}]}; stdout: one word a token.
import { readFileSync } from "node:fs";

import { createRemoteJWKSet, jwtVerify } from "jose";

const { jwks_uri, issuer, samples } = JSON.parse(readFileSync(0, "utf8"));
const keys = createRemoteJWKSet(new URL(jwks_uri));

const verify = async ({ token, audience, typ }) => {
  try {
    await jwtVerify(token, keys, { algorithms: ["ES256"], issuer, audience, typ });
    return "verified";
  } catch (error) {
    return error.claim ?? error.code;
  }
};

const verdicts = [];
for (const sample of samples) verdicts.push(await verify(sample));
console.log(JSON.stringify(verdicts));
