"""The paragraphs of docs/authentication.md that no code knows."""

INTRO = """\
Every way in, what it costs to guess there, and what happens when a store is away. People show a
password or another provider's word, then a code where an authenticator app is on; machines show a
secret or a signature. All ways end in the same places: a session family that can be seen and
ended (`/api/v1/me/sessions`), and access tokens that live for minutes. Refused sign-ins answer the
same, and after the same work, whether or not an account exists."""

VOLUME = """\
An address is an IPv4 address, or the /64 of IPv6 that one customer has; forwarding headers are
believed for `TRUSTED_PROXY_COUNT` hops only. A limit counts before anything is hashed. Without
`CACHE_URL` the database counts, with the full limits. Every answer of a limited address says what
is left in `RateLimit` and `RateLimit-Policy`, a refusal (429 `rate_limited`) also in `Retry-After`.
What a short window refuses costs nothing of the longer ones. `RATE_LIMITS=off` ends them all;
production refuses to start with it."""

FAILURES = """\
Rows of the database, never of a cache: restarts and an emptied Redis forget none. A guess takes its
place before it is judged, so parallel guesses pass no limit; at the limit right ones wait, too. A
right one resets its own account's counter and gives back its own place at the address: nobody's
success resets another's failures. Who has signed in from an address within {known} never waits
there for their account's counter, so a stranger who guesses keeps no owner out; names that nobody
has are counted alike. Wrong secrets of clients, API keys, assertions, links and mfa tokens count
for their address, too; a right one of those passes always, as no number of guesses finds it.
`RATE_LIMITS=off` ends waits and the address counter, never the {most}th failure."""

STORES = """\
- **Redis refused, hung or answering errors**: the database counts instead, with half of each limit
  (at least 1). The process asks Redis again after {seconds} seconds; until then a request waits for
  it not at all, and the one that finds out waits less than 250 ms. The log says once that it went
  and once that it is back; `/readyz` reports it as `cache` and stays 200. While processes disagree,
  both stores count: at most one and a half times the limit passes.
- **Redis emptied**: volume counters begin anew. Failures, used codes, used links and locks are rows
  of the database.
- **The database away**: nobody signs in, refreshes or is let in: 503 with `Retry-After`. Nothing is
  acknowledged that is not stored.
- **A provider away**: signing in through it answers 503; all other ways work.
- **The mail server away**: messages wait in the database and are tried again."""

FEDERATION = """\
`FEDERATED_PROVIDERS` is a JSON list (a secret: give it as `FEDERATED_PROVIDERS_FILE`):

```json
{example}
```

| member | meaning |
| --- | --- |
| `name` | part of the addresses: a-z, 0-9 and -, at most 40 |
| `kind` | `oidc` (any OpenID Connect provider, by discovery) or `github` |
| `issuer` | `oidc` only: https, compared as text with the `iss` of its tokens |
| `base_url` | `github` only: another GitHub than github.com |
| `client_id`, `client_secret` | what the provider gave out for this service |
| `scope` | `oidc` only: asked for there; holds `openid` |
| `label` | what people read; `name` where it is absent |
| `sign_up` | `true`: whoever comes from there and is unknown gets an account. Default: `false` |

Register `{{ISSUER_URL}}/api/v1/auth/federation/{{name}}/callback` there as the redirect address. A
person is (issuer, subject): an e-mail address never finds an account. Who has an account links a
provider while signed in, recently (`POST /api/v1/me/identities/{{name}}`). A provider replaces the
password and not the code: whoever has an authenticator app is asked for one.

The redirect address answers programs: an app that has claimed it as its link and has kept the
cookie, or a script of this origin. A browser that merely opens it is refused (`not_for_pages`) and
uses nothing up, so no token is shown on a page."""

EXAMPLE_PROVIDERS = """\
[
  {"name": "github", "kind": "github", "client_id": "…", "client_secret": "…"},
  {"name": "work", "kind": "oidc", "issuer": "https://login.example.com", "label": "Work",
   "client_id": "…", "client_secret": "…", "scope": "openid email profile", "sign_up": true}
]"""

OFFLINE = """\
This service looks at the session and the person with every request: a session that was ended, a
changed password, a frozen or switched-off account and a revoked API key are refused at once, and
so is the token that a client got for that key. A public key that is taken out of a client's JWKS
opens nothing more at once; a token that was got with it before ends after {access}, or with the
client.
A verifier that checks access tokens offline sees their signature, claims and `exp` only: it takes a
token that is already out until that ends, at most {access} after it was issued. Who needs to know
earlier asks `/oauth/introspect`. `auth_time`, `acr` and `amr` tell when and how its person signed
in; a step-up writes its own into one new access token, and refreshing never moves them. An
operation token outlives all of this on purpose: it is checked live when it is redeemed."""
