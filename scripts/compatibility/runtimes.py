"""The runtimes of the matrix, and how each is called: `command JOBS`, one JSON object a line for each job (cases.py)."""

import dataclasses
import json
import os
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

from setup import OLD, folders

NEWEST = "onnxruntime-newest"
# A virtual environment sees its own packages alone.
ALONE = {"PYTHONPATH": ""}
HERE = Path(__file__).resolve().parent


@dataclasses.dataclass
class Runtime:
    key: str
    name: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    missing: str | None = None


def runtimes(root):
    deps = folders(root)
    site = deps["site"]
    checks = {"PYTHONPATH": str(site)}
    onnx = f"onnx {version(site, 'onnx')}"
    yield Runtime("onnx-checker", f"{onnx}: full check, strict shape inference", [sys.executable, HERE / "onnx_python.py", "check"], checks)
    yield Runtime("onnx-reference", f"{onnx}: reference evaluator", [sys.executable, HERE / "onnx_python.py", "evaluate"], checks)
    for minor in OLD:
        # For 3.6 the oldest that knows opset 11, for a later Python the oldest that it can install.
        old = deps[minor].exists()
        missing = None if old else f"there is no Python 3.{minor} here"
        name = f"onnxruntime {version(site_packages(deps[minor]), 'onnxruntime') if old else '(oldest)'} for Python 3.{minor}"
        yield Runtime(f"onnxruntime-3.{minor}", name, [python_of(deps[minor]), HERE / "onnxruntime_python.py"], ALONE, missing)
    name = f"onnxruntime {version(site_packages(deps['newest']), 'onnxruntime')}, the newest"
    yield Runtime(NEWEST, name, [python_of(deps["newest"]), HERE / "onnxruntime_python.py"], ALONE)
    tract = Path(os.environ.get("COMPATIBILITY_TRACT", root / "target" / "compatibility-tract" / "release" / "leitmotif-compatibility-tract"))
    yield Runtime("tract", f"tract {locked_tract()}, pure Rust", [tract], missing=None if tract.exists() else f"{tract.name} is not built")
    modules = deps["node"]
    node = None if shutil.which("node") else "there is no Node here"
    of = lambda package: json.loads((modules / "node_modules" / package / "package.json").read_text())["version"] if not node else ""
    call = ["node", HERE / "node.mjs", modules]
    yield Runtime("node", f"onnxruntime-node {of('onnxruntime-node')}", [*call, "onnxruntime-node"], missing=node)
    web = f"onnxruntime-web {of('onnxruntime-web')} (WebAssembly)"
    yield Runtime("web-node", f"{web} in Node", [*call, "onnxruntime-web"], missing=node)
    yield Runtime("web-chromium", f"{web} in headless Chromium", [HERE.parent / "browser" / "run", HERE / "browser.mjs", modules], missing=node)


def python_of(environment):
    return environment / "bin" / "python"


def site_packages(environment):
    return next(environment.glob("lib/python3.*/site-packages"))


def version(folder, package):
    return next(found.version for found in distributions(name=package, path=[str(folder)]))


def locked_tract():
    lines = iter((HERE / "tract" / "Cargo.lock").read_text().splitlines())
    return next(next(lines).split('"')[1] for line in lines if line == 'name = "tract-onnx"')
