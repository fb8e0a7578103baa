"""Where ONNX Runtime's library lies: in this Python's own package `onnxruntime`, which is not imported for it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

from ._errors import RuntimeLibraryError

# Not the providers, which lie beside it: `libonnxruntime_providers_cuda.so`.
LIBRARY = re.compile(r"libonnxruntime\.so(\.\d+)*|libonnxruntime(\.\d+)*\.dylib|onnxruntime\.dll")


def find() -> str:
    """The folder that holds the library; the crate takes the newest in it.

    Raises `RuntimeLibraryError` if this Python has none. The crate's own search is not used: it looks beside the
    program and in a checkout, neither of which is where a Python package has its libraries.
    """
    package = _package()
    # conda keeps the library apart from the package.
    conda = [Path(sys.prefix) / "lib", Path(sys.prefix) / "Library" / "bin"]
    for folder in [*([package / "capi"] if package else []), *conda]:
        if folder.is_dir() and any(LIBRARY.fullmatch(file.name) for file in folder.iterdir()):
            return str(folder)
    lacks = f"its package in {str(package)!r} holds none" if package else "it has no package `onnxruntime`"
    raise RuntimeLibraryError(
        f"ONNX Runtime's library was not found for {sys.executable}: {lacks}; `pip install onnxruntime` (for CUDA "
        "`onnxruntime-gpu`) into this environment, or name a library with `onnxruntime=` or the variable ORT_DYLIB_PATH"
    )


def _package() -> Path | None:
    try:
        spec = importlib.util.find_spec("onnxruntime")
    except ValueError:  # A stand-in in `sys.modules`, such as tests have, need not say where it lies.
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
