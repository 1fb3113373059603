"""Makes a virtual environment that holds exactly what a requirements file names; does nothing when it does already.

Run by any Python ≥ 3.11, standard library only. A stamp is written last, so what was interrupted is done again.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

STAMP = "installed-from"
NEEDED_BYTES = 1_500 * 2**20


def stamp(venv: Path, requirements: Path) -> str:
    """What the environment depends on: the pins, this Python, this machine, its own place (scripts name it)."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    version = ".".join(platform.python_version_tuple()[:2])
    return f"{digest}\n{platform.python_implementation()} {version} {platform.machine()}\n{venv}\n"


def is_current(venv: Path, requirements: Path) -> bool:
    file = venv / STAMP
    return file.is_file() and file.read_text() == stamp(venv, requirements)


def lock(venv: Path) -> int:
    """Waits for another installation to end; exits with one line when a running EditAI uses the environment."""
    descriptor = os.open(venv, os.O_RDONLY)  # a folder can be locked; emptying it keeps the lock
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            pass
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                print(f"Waiting for another installation into {venv.name} …", file=sys.stderr)
                told = True
        else:  # only readers hold it: servers that run from it
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            sys.exit(f"EditAI is running from {venv.name} and other packages are to be installed: stop it first.")
        time.sleep(0.3)


def install(venv: Path, requirements: Path) -> None:
    if venv.is_symlink():  # emptying it would empty the folder behind it, which somebody else uses
        sys.exit(f"{venv} is a link to {venv.resolve()}: nothing is installed through it. Remove the link.")
    try:
        venv.mkdir(exist_ok=True)
    except OSError as error:
        sys.exit(f"Can't make the folder {venv}: {error.strerror}.")
    held = lock(venv)
    try:
        if is_current(venv, requirements):  # whom we waited for has done it
            return
        free = shutil.disk_usage(venv).free
        if free < NEEDED_BYTES:
            sys.exit(
                f"Not enough room in {venv.parent}: {free // 2**20} MB free, "
                f"the packages need {NEEDED_BYTES // 2**20} MB."
            )
        print(f"Installing what {requirements.name} names into {venv.name} (once, about a minute) …", file=sys.stderr)
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], stdout=sys.stderr, check=False)
        if made.returncode != 0:
            sys.exit(f"Python's venv could not make {venv} (its words are above).")
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-input", "--require-hashes"]
        done = subprocess.run(
            [*pip, "--disable-pip-version-check", "--requirement", str(requirements)], stdout=sys.stderr, check=False
        )
        if done.returncode != 0:
            sys.exit("pip could not install the packages (its words are above); start again to try once more.")
        new = venv / f"{STAMP}.new"
        new.write_text(stamp(venv, requirements))
        new.replace(venv / STAMP)
    finally:
        os.close(held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="install nothing: status 0 when all is there, else 1")
    parser.add_argument("venv", type=Path)
    parser.add_argument("requirements", type=Path)
    options = parser.parse_args()
    if options.check:
        sys.exit(not is_current(options.venv, options.requirements))
    try:
        install(options.venv, options.requirements)
    except KeyboardInterrupt:
        sys.exit("Stopped; start again to finish the installation.")


if __name__ == "__main__":
    main()
