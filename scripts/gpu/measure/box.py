"""Step 1: the box's hardware and software, and whether our programs find what they need."""

import hashlib
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from runner import NO_GPU, Failed

QUERY = "name,driver_version,memory.total,memory.used,compute_cap,clocks.sm,clocks.max.sm,power.limit"
TORCH_INFO = """
import json, time
began = time.perf_counter()
import torch
gpu = torch.cuda.is_available()
print(json.dumps({
    "import_seconds": time.perf_counter() - began, "torch": torch.__version__, "cuda": torch.version.cuda,
    "folder": torch.__path__[0], "gpu": gpu, "cudnn": torch.backends.cudnn.version(),
    "name": torch.cuda.get_device_name() if gpu else None,
    "tf32_convolutions": torch.backends.cudnn.allow_tf32, "tf32_products": torch.backends.cuda.matmul.allow_tf32,
}))
"""


def measure(run):
    run.part("machine", 10, lambda: machine(run))
    run.part("bundle", 10, lambda: bundle(run))
    run.part("gpu", 10, lambda: gpu(run))
    run.part("torch", 60, lambda: json.loads(run.command(run.python, "-c", TORCH_INFO)))
    run.part("libtorch", 40, lambda: libtorch(run))
    run.part("onnxruntime", 20, lambda: onnxruntime(run))


def machine(run):
    libc = " ".join(platform.libc_ver())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": platform.platform(), "libc": libc, "python": sys.version.split()[0], "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1), "free_disk_gib": round(shutil.disk_usage(run.work).free / 2**30, 1),
    }  # fmt: skip


def bundle(run):
    """Whether all files arrived unchanged."""
    packed = json.loads((run.bundle / "bundle.json").read_text())
    for name, digest in packed["sha256"].items():
        file = run.bundle / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise Failed(f"{name} is missing or not what was packed")
    return {"commit": packed["commit"], "files": len(packed["sha256"]), "needs": packed["needs"]}


def gpu(run):
    if not run.on_gpu:
        raise NO_GPU
    if not shutil.which("nvidia-smi"):
        raise Failed("there is no nvidia-smi: busy share and peak memory cannot be measured")
    line = run.command("nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader").splitlines()[0]
    return dict(zip(QUERY.split(","), line.split(", ")))


def libtorch(run):
    found = json.loads(run.program("leitmotif-train", "devices", "--json"))
    linked = run.command("ldd", run.bundle / "bin" / "leitmotif-train")
    lines = [line.split() for line in linked.splitlines() if "libtorch_cpu.so" in line]
    found["libtorch_cpu"] = lines[0][2] if lines and len(lines[0]) > 2 else None
    if found["libtorch_cpu"] != f"{os.environ['TORCH_LIB']}/libtorch_cpu.so":
        raise Failed(f"libtorch was expected in {os.environ['TORCH_LIB']}, but is loaded from {found['libtorch_cpu']}")
    if run.on_gpu and found["obstacle"]:
        raise Failed(found["obstacle"])
    return found


def onnxruntime(run):
    lines = run.program("leitmotif", "providers").splitlines()
    found = dict(line.split(maxsplit=1) for line in lines)
    provider = Path(found["library"]).parent / "libonnxruntime_providers_cuda.so"
    if provider.exists():
        # Libraries that the system's loader does not find: the provider's own message names fewer.
        linked = run.command("ldd", provider)
        found["provider_lacks"] = [line.split()[0] for line in linked.splitlines() if "not found" in line]
    if run.on_gpu and not found["cuda"].startswith("yes"):
        raise Failed(f"cuda: {found['cuda']}; provide onnxruntime-gpu as run.sh says")
    return found
