"""What a person reads in the list of their sessions, whatever a header says."""

import pytest

from accounts.services.name_device import LONGEST_NAME, name_device

MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = f"{MOZILLA} (iPhone; CPU iPhone OS 17_4 like Mac OS X) {WEBKIT}"
MAC = f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT}"
WINDOWS = f"{MOZILLA} (Windows NT 10.0; Win64; x64)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            f"{MOZILLA} (Android 14; Mobile; rv:124.0) Gecko/124.0 Firefox/124.0",
            "Firefox on Android",
        ),
        (
            f"{MOZILLA} (X11; Linux x86_64; rv:124.0) Gecko/20100101 Firefox/124.0",
            "Firefox on Linux",
        ),
        (f"{IPHONE} Version/17.4 Mobile/15E148 Safari/604.1", "Safari on iOS"),
        (f"{IPHONE} CriOS/124.0 Mobile/15E148 Safari/604.1", "Chrome on iOS"),
        (f"{MAC} Chrome/124.0.0.0 Safari/537.36", "Chrome on macOS"),
        (f"{WINDOWS} {WEBKIT} Chrome/124.0 Safari/537.36 Edg/124.0", "Edge on Windows"),
        (WINDOWS, "Browser on Windows"),
        (MOZILLA, "Browser"),
        ("curl/8.5.0", "curl"),
        ("savings-app/1.2 (Android 14; Pixel 8)", "savings-app on Android"),
        ("Savings/2.1 (iPhone; iOS 17.0)", "Savings on iOS"),
        ("", "Unknown device"),
        ("<script>alert(1)</script>", "Unknown device"),
        ("savings\u202e\x00app/1", "savingsapp"),
    ],
)
def test_names(user_agent: str, name: str) -> None:
    assert name_device(user_agent) == name


@pytest.mark.parametrize(
    "user_agent", ["x" * 100_000, f"{MOZILLA} (Linux; Android {'9' * 5000})", "Firefox/" * 50_000]
)
def test_is_short_whatever_is_sent(user_agent: str) -> None:
    name = name_device(user_agent)

    assert 0 < len(name) <= LONGEST_NAME
    assert name.isprintable()
