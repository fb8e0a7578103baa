#!/usr/bin/env python3
"""Fetches the runtimes of the compatibility matrix, pinned and checked by hash, into .deps: virtual environments with the oldest and the
newest onnxruntime, and JavaScript's packages. A folder gets its name when it is complete; a second run does nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
UV = ROOT / "scripts" / "uv"
# The oldest Python that has wheels of onnxruntime, and the oldest that this project supports.
OLD = (6, 11)


def folders(root):
    deps = Path(os.environ.get("LEITMOTIF_DEPS", root / ".deps"))
    old = {minor: deps / "compatibility" / f"oldest-3.{minor}" for minor in OLD}
    return {"site": deps / "site-packages", "newest": deps / "compatibility" / "newest", "node": deps / "node" / "compatibility", **old}


def old_python(minor):
    """Python 3.`minor`, if this machine has it, also among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [sys.executable, shutil.which(f"python3.{minor}"), *sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]
    for python in filter(None, found):
        version = subprocess.run([python, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True)
        if version.stdout.strip() == str(minor):
            return str(python)
    return None


def complete(folder, wanted, fill):
    """Unless `folder` holds what is wanted, calls `fill` with a new folder, which then replaces it."""
    mark = folder / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        print(f"set-up: {folder.name} is complete")
        return
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    (part / ".installed").write_text(wanted)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def environment(folder, python, requirements):
    """A virtual environment of `python` with exactly the packages of a requirements file."""

    def fill(part):
        # Relocatable: the folder is renamed.
        subprocess.run([UV, "venv", "--quiet", "--clear", "--relocatable", "--python", python, part], check=True)
        exactly = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirements", requirements]
        subprocess.run([UV, "pip", "install", "--python", part / "bin" / "python", *exactly], check=True)

    complete(folder, requirements.read_text(), fill)


def packages(folder, source=HERE):
    """JavaScript's packages of the lock file in `source`."""
    if not shutil.which("npm"):
        print("set-up: there is no npm here, so JavaScript's runtimes are not tried")
        return

    def fill(part):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, part)
        # The script of onnxruntime-node would fetch CUDA's half.
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=part, check=True)

    complete(folder, (source / "package-lock.json").read_text(), fill)


def main():
    deps = folders(ROOT)
    environment(deps["newest"], sys.executable, HERE / "newest.txt")
    for minor in OLD:
        if python := old_python(minor):
            environment(deps[minor], python, HERE / f"oldest-3.{minor}.txt")
    packages(deps["node"])


if __name__ == "__main__":
    main()
