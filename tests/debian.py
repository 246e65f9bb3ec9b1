"""Programs of Debian's that tests need: found, or installed where that is possible.

None is skipped for want of one: the test fails with the sentence that mends it.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")
LOCK = Path(tempfile.gettempdir()) / "authproject-tests-apt.lock"  # the suite has two processes


def need(command: str, *, package: str) -> str:
    """Return the path of a program, from `package` where it is missing and this is root."""
    if shutil.which(command) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with LOCK.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if shutil.which(command) is None:
                _install(package)
    found = shutil.which(command)
    assert found, f"{command} is missing: apt-get install {package}"
    return found


def run(*command: str) -> str:
    """Run a program that has to succeed, and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed: {done.stderr}"
    return done.stdout.strip()


def _install(package: str) -> None:
    """Install with the list of packages as it is; if that is too old, with a new one."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for fresh in (False, True):
        if fresh:
            subprocess.run(["apt-get", "update"], env=env, timeout=300, check=False)
        if subprocess.run([*INSTALL, package], env=env, timeout=300, check=False).returncode == 0:
            return
