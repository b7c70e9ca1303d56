"""Build trioreg as for a release, install it in new environments, and use it there: `nox -s package`.

`python -m build` makes the sdist, and the wheel out of the sdist: so the sdist has all that a build needs. Each is
installed in an environment of its own, and used in a folder outside of the checkout. So nothing is found by accident.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]

WHERE = """
import importlib.metadata, sys, trioreg
print(trioreg.__file__.startswith(sys.prefix), importlib.metadata.version("trioreg"))
"""

WITHOUT_EXTRAS = """
import trioreg.testing
for name in ("observer", "telemetry"):
    try:
        __import__(f"trioreg.{name}")
    except ImportError as error:
        print(str(error).split(": ")[-1])
"""
NAMES_THE_EXTRAS = 'pip install "trioreg[observer]"\npip install "trioreg[otel]"\n'

OBSERVER = """
from functools import partial
from urllib.request import Request, urlopen
import trio
from trioreg import observer, telemetry

def look(url):
    base, _, token = url.partition("?token=")
    with urlopen(Request(base, headers={"Authorization": f"Bearer {token}"})) as page:
        return page.status, b"Observer" in page.read()

async def main():
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(observer.serve, "127.0.0.1:0"))
        print(await trio.to_thread.run_sync(look, url))
        nursery.cancel_scope.cancel()

trio.run(main)
"""

FIXTURES = """
import pytest
from trioreg import Actor, Supervisor

class Cart(Actor):
    def add(self) -> int:
        return 1

@pytest.mark.trio
async def test_cart(supervisor: Supervisor) -> None:
    cart = await supervisor.start_child(Cart)
    assert await cart.call(Cart.add) == 1
"""

WRONG = """
import trioreg

class Cart(trioreg.Actor):
    def add(self, count: int) -> int:
        return count

async def use(cart: trioreg.ActorRef[Cart]) -> None:
    text: str = await cart.call(Cart.add, 1)
    await cart.call(Cart.add, "one")
"""
MISTAKES = ["9", "10"]
"""The lines of `WRONG` that are wrong. mypy finds them only if it sees the types of the installed package."""


def main() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S)
    (output,) = re.findall(r"^```text\n(.*?)^```$", readme, re.M | re.S)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    with TemporaryDirectory(prefix="package-") as name:
        folder = Path(name)
        run(folder, sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(ROOT))
        (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
        check_files(sdist)

        say(f"the sdist, {sdist.name}")
        python = environment(folder / "from-sdist", str(sdist))
        check(run(folder, python, "-c", WHERE), f"True {version}\n")
        check(run(folder, python, "-c", program), output)
        check(run(folder, python, "-c", WITHOUT_EXTRAS), NAMES_THE_EXTRAS)

        say(f"the wheel with its extras, {wheel.name}")
        python = environment(folder / "from-wheel", f"{wheel}[observer,otel,testing]", "mypy")
        check(run(folder, python, "-c", WHERE), f"True {version}\n")
        check(run(folder, python, "-c", program), output)
        check(run(folder, python, "-c", OBSERVER), "(200, True)\n")
        write(folder / "test_cart.py", FIXTURES)
        run(folder, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cart.py")

        say("its types, for mypy")
        write(folder / "readme.py", program)
        run(folder, python, "-m", "mypy", "--strict", "readme.py", "test_cart.py")
        write(folder / "wrong.py", WRONG)
        found = run(folder, python, "-m", "mypy", "--strict", "wrong.py", status=1)
        check(re.findall(r"^wrong\.py:(\d+): error: ", found, re.M), MISTAKES)
    say("all is well")


def check_files(sdist: Path) -> None:
    """The sdist has what git has, and nothing else, so that others can run the tests from it."""
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    check(sorted((packed - {"PKG-INFO"}) ^ set(listed.splitlines())), [])


def environment(folder: Path, *requirements: str) -> str:
    """A new environment: the path of its Python."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    quiet = ("--quiet", "--disable-pip-version-check")
    subprocess.run([python, "-m", "pip", "install", *quiet, *requirements], check=True)
    return python


def run(folder: Path, *command: str, status: int = 0) -> str:
    """Run a command in the folder: what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=300, check=False)
    if done.returncode != status:
        sys.exit(f"{' '.join(command)}\nended with status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(found: object, expected: object) -> None:
    if found != expected:
        sys.exit(f"expected {expected!r}\nfound    {found!r}")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
