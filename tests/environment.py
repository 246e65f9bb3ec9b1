"""A pytest plugin, loaded before Django's settings: the environment that tests run in.

Nothing of the developer's own environment or `.env` reaches the tests, save TEST_DATABASE_URL.
"""

import atexit
import os
import shutil
import tempfile

from authproject.env import VARIABLES


def enter_test_environment() -> None:
    """Set ENVIRONMENT=test, a folder of its own and TEST_DATABASE_URL, unless a parent did so.

    Each of several processes that share the tests has its own database, so its own folder, too.
    """
    if os.environ.get("ENVIRONMENT") == "test":
        if "PYTEST_XDIST_WORKER" in os.environ:
            _enter_folder()
        return
    for variable in VARIABLES:
        for name in (variable.name, f"{variable.name}_FILE"):
            os.environ.pop(name, None)
    os.environ["ENVIRONMENT"] = "test"
    os.environ["RATE_LIMITS"] = "off"  # their own tests turn them on: a suite signs in too often
    os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
    _enter_folder()


def _enter_folder() -> None:
    os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="authproject-tests-")
    atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)


enter_test_environment()
