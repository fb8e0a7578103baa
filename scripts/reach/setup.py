#!/usr/bin/env python3
"""Fetches the runtimes of the reach table, pinned and checked, into .deps: Python's oldest and newest onnxruntime, and JavaScript's
packages. A folder gets its name when it is complete; a second run does nothing."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The oldest Python that there are wheels of onnxruntime for, and the oldest that this project works with.
OLD = (6, 11)


def folders(root):
    deps = Path(os.environ.get("LEITMOTIF_DEPS", root / ".deps"))
    old = {minor: deps / f"reach-oldest-3.{minor}" for minor in OLD}
    return {"site": deps / "site-packages", "newest": deps / "reach-newest", "node": deps / "node" / "reach", **old}


def old_python(minor):
    """Python 3.`minor`, if this machine has it, also among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [sys.executable, shutil.which(f"python3.{minor}"), *sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]
    for python in filter(None, found):
        asked = subprocess.run([python, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True)
        if asked.stdout.strip() == str(minor):
            return str(python)
    return None


def fetched(folder, wanted, fetch):
    """Calls `fetch` with an empty folder that takes the place of `folder`, unless it holds what is wanted."""
    mark = folder / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        print(f"set-up: {folder.name} is complete")
        return
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fetch(part)
    (part / ".installed").write_text(wanted)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def wheels(folder, requirements, *platform):
    """What a file of requirements names, for this Python or another one."""

    def fetch(part):
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--root-user-action=ignore"]
        exactly = ["--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes", "--target", part, "--requirement", requirements]
        subprocess.run([*pip, *exactly, *platform], check=True)

    fetched(folder, requirements.read_text(), fetch)


def packages(folder):
    if not shutil.which("npm"):
        print("set-up: there is no npm here, so JavaScript's runtimes are not tried")
        return

    def fetch(part):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, part)
        # The script of onnxruntime-node would fetch CUDA's half.
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=part, check=True)

    fetched(folder, (HERE / "package-lock.json").read_text(), fetch)


def main():
    deps = folders(ROOT)
    wheels(deps["newest"], HERE / "newest.txt")
    for minor in filter(old_python, OLD):
        abi = f"cp3{minor}" + ("m" if minor < 8 else "")
        machine = platform.machine()
        platforms = [f"--platform={name}_{machine}" for name in ("manylinux1", "manylinux2010", "manylinux2014", "manylinux_2_17", "manylinux_2_27")]
        wheels(
            deps[minor], HERE / f"oldest-3.{minor}.txt",
            f"--python-version=3.{minor}", "--implementation=cp", f"--abi={abi}", "--abi=none", *platforms,
        )  # fmt: skip
    packages(deps["node"])


if __name__ == "__main__":
    main()
