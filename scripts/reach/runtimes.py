"""The runtimes that are tried, and how each is called: `command JOBS`, one JSON object a line for each job (cases.py)."""

import dataclasses
import json
import os
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

from setup import OLD, folders, old_python

NEWEST = "onnxruntime-newest"
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
    python = lambda folder: {"PYTHONPATH": str(folder)}
    onnx = f"onnx {version(site, 'onnx')}"
    yield Runtime("onnx-checker", f"{onnx}: full check, strict shape inference", [sys.executable, HERE / "onnx_python.py", "check"], python(site))
    yield Runtime("onnx-reference", f"{onnx}: reference evaluator", [sys.executable, HERE / "onnx_python.py", "evaluate"], python(site))
    for minor in OLD:
        old = old_python(minor)
        missing = None if old else f"there is no Python 3.{minor} here"
        # Of 3.6 the oldest that knows opset 11, and of a later one the oldest that it can install.
        name = f"onnxruntime {version(deps[minor], 'onnxruntime') if old else '(oldest)'} for Python 3.{minor}"
        yield Runtime(f"onnxruntime-3.{minor}", name, [old, HERE / "onnxruntime_python.py"], python(deps[minor]), missing)
    name = f"onnxruntime {version(deps['newest'], 'onnxruntime')}, the newest"
    yield Runtime(NEWEST, name, [sys.executable, HERE / "onnxruntime_python.py"], python(f"{deps['newest']}{os.pathsep}{site}"))
    tract = Path(os.environ.get("REACH_TRACT", root / "target" / "reach-tract" / "release" / "leitmotif-reach-tract"))
    yield Runtime("tract", f"tract {locked_tract()}, pure Rust", [tract], missing=None if tract.exists() else f"{tract.name} is not built")
    modules = deps["node"]
    node = None if shutil.which("node") else "there is no Node here"
    of = lambda package: json.loads((modules / "node_modules" / package / "package.json").read_text())["version"] if not node else ""
    call = ["node", HERE / "node.mjs", modules]
    yield Runtime("node", f"onnxruntime-node {of('onnxruntime-node')}", [*call, "onnxruntime-node"], missing=node)
    web = f"onnxruntime-web {of('onnxruntime-web')} (WebAssembly)"
    yield Runtime("web-node", f"{web} in Node", [*call, "onnxruntime-web"], missing=node)
    yield Runtime("web-chromium", f"{web} in headless Chromium", [HERE.parent / "browser" / "run", HERE / "browser.mjs", modules], missing=node)


def version(folder, package):
    return next(found.version for found in distributions(name=package, path=[str(folder)]))


def locked_tract():
    lines = iter((HERE / "tract" / "Cargo.lock").read_text().splitlines())
    return next(next(lines).split('"')[1] for line in lines if line == 'name = "tract-onnx"')
