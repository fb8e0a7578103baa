"""What the box is, and whether our programs find what they need."""

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outcome import NO_GPU, Failed

QUERY = "name,driver_version,memory.total,memory.used,compute_cap,clocks.sm,clocks.max.sm,power.limit"
PROVIDER = "libonnxruntime_providers_cuda.so"


class Warm:
    """Reads torch's and NVIDIA's libraries into the page cache in the background: a cold disk would cost the first minute."""

    def __init__(self, run):
        self.run, self.bytes, self.began = run, 0, run.now()
        torch = Path(os.environ["TORCH_LIB"])
        folders = (torch, *torch.parent.parent.glob("nvidia/*/lib")) if run.on_gpu else ()
        files = [file for folder in folders for file in folder.glob("*.so*")]
        # Dearest first: every program waits for them.
        files.sort(key=lambda file: -file.stat().st_size)
        self.pool = ThreadPoolExecutor(4)
        self.reads = [self.pool.submit(self._read, file) for file in files]

    def _read(self, file):
        with open(file, "rb", buffering=0) as opened:
            block = bytearray(8 << 20)
            while size := opened.readinto(block):
                self.bytes += size
        return self.run.now() - self.began

    def found(self):
        unread = sum(not read.done() for read in self.reads)
        self.pool.shutdown(wait=False, cancel_futures=True)
        if not self.reads:
            raise NO_GPU
        ends = [read.result() for read in self.reads if read.done() and not read.cancelled()]
        return {"files": len(self.reads), "unread": unread, "bytes": self.bytes, "last_after_seconds": max(ends, default=None)}


def machine(run):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} on {platform.machine()}", "libc": " ".join(platform.libc_ver()), "python": sys.version.split()[0], "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1), "free_disk_gib": round(shutil.disk_usage(run.work).free / 2**30, 1),
    }  # fmt: skip


def bundle(run):
    """Whether all files arrived unchanged, and whether the box's C library is new enough."""
    packed = json.loads((run.bundle / "bundle.json").read_text())
    for name, digest in packed["sha256"].items():
        file = run.bundle / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise Failed(f"{name} is missing or not what was packed")
    here, needed = platform.libc_ver()[1], packed["needs"]["GLIBC"]
    if numbers(here) < numbers(needed):
        raise Failed(f"the programs need glibc {needed}, here is {here}")
    return {"commit": packed["commit"], "files": len(packed["sha256"]), "needs": packed["needs"], "glibc": here}


def numbers(version):
    return [int(part) for part in version.split(".")]


def gpu(run):
    if not run.on_gpu:
        raise NO_GPU
    if not shutil.which("nvidia-smi"):
        raise Failed("there is no nvidia-smi")
    line = run.command("nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader").splitlines()[0]
    return dict(zip(QUERY.split(","), line.split(", ")))


def libraries(run):
    """Where the system's loader finds what our programs and the CUDA provider link, and what it does not find."""
    found = {}
    for file in (*sorted((run.bundle / "bin").iterdir()), Path(os.environ["ORT_DYLIB_PATH"]).parent / PROVIDER):
        if not file.exists():
            found[file.name] = {"skipped": "there is no such file"}
            continue
        linked = run.command("ldd", file)
        paths = dict(re.findall(r"(\S+) => (/\S+)", linked))
        paths = {name: path for name, path in paths.items() if not path.startswith(("/lib/", "/usr/lib/"))}
        found[file.name] = {"lacks": [line.strip() for line in linked.splitlines() if "not found" in line], "paths": paths}
        if run.on_gpu and found[file.name]["lacks"]:
            found["error"] = f"{file.name} lacks {found[file.name]['lacks']}"
    return found


def libtorch(run):
    found = run.json("leitmotif-train", "devices", "--json")
    loaded = re.search(r"libtorch_cpu\.so => (\S+)", run.command("ldd", run.bundle / "bin" / "leitmotif-train"))
    found["libtorch_cpu"] = loaded and loaded[1]
    if found["libtorch_cpu"] != f"{os.environ['TORCH_LIB']}/libtorch_cpu.so":
        raise Failed(f"libtorch was expected in {os.environ['TORCH_LIB']}, but is loaded from {found['libtorch_cpu']}")
    if run.on_gpu and found["obstacle"]:
        raise Failed(found["obstacle"])
    return found


def onnxruntime(run):
    lines = run.program("leitmotif", "providers").splitlines()
    found = dict(line.split(maxsplit=1) for line in lines)
    if run.on_gpu and not found["cuda"].startswith("yes"):
        raise Failed(f"cuda: {found['cuda']}")
    return found
