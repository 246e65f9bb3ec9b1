"""Name a device for its person, as far as a User-Agent header tells (RFC 9110 section 10.1.5).

The header is whatever its sender wrote: the name is short and printable, and nothing more is
believed of it.
"""

import re

import ua_parser

from accounts.models.security_event import USER_AGENT_LENGTH

LONGEST_NAME = 80
UNKNOWN = "Unknown device"
# Every browser's header begins with it (and says which it is further on); an app's with its name.
ANY_BROWSER = "Mozilla"
_PRODUCT = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}")  # RFC 9110 section 5.6.2: token
_FORM_FACTOR = re.compile(r"\b(?:Mobile|iOS)\b")  # the system's name says so beside it
_SYSTEMS = {"Mac OS X": "macOS"}


def name_device(user_agent: str) -> str:
    """Say `Firefox on Android`, `curl`, or an app's own name; `Unknown device` where nothing fits.

    At most 80 printable characters.
    """
    text = "".join(filter(str.isprintable, user_agent[:USER_AGENT_LENGTH])).strip()
    first = _PRODUCT.match(text)
    if first is None:
        return UNKNOWN
    parsed = ua_parser.parse(text)
    system = parsed.os.family if parsed.os else ""
    browser = parsed.user_agent.family if parsed.user_agent else ""
    program = _browser(browser, system) if first[0] == ANY_BROWSER else first[0]
    name = f"{program} on {_SYSTEMS.get(system, system)}" if system else program
    return name[:LONGEST_NAME]


def _browser(family: str, system: str) -> str:
    """Leave out of a browser's name what its system's name says: Mobile Safari is Safari on iOS."""
    short = " ".join(_FORM_FACTOR.sub("", family).split())
    return short if short and short != system else "Browser"
