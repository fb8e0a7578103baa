"""Step 1, within a minute: what the box is, whether every library loads, and whether training and serving on it give right answers."""

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from checkpoint import LAST, is_checkpoint
from runner import NO_GPU, Failed, Skipped
from training import HEADS, arithmetic, fit, music, music_network

QUERY = "name,driver_version,memory.total,memory.used,compute_cap,clocks.sm,clocks.max.sm,power.limit"
PROVIDER = "libonnxruntime_providers_cuda.so"
GRAPHS = {"dense": ("clip", "segment"), "lstm": ("sequence", "step")}
# A small rate, because Adam's first steps have the size of the rate and each gradient's sign, which near zero depends on rounding. Model 1
# with `ONEDNN_MAX_CPU_ISA=SSE41` departs on one CPU from the default within five steps by at most 1.4e-4 (dense) and 3.5e-5 (LSTM) at this
# rate, by 13 % and 1 % at 1e-3; of the first step, where only the forward pass counts, by 5e-7.
RATE, SAME = 1e-5, 1e-3


def smoke(run):
    warm = Warm(run)
    run.together([
        ("machine", 10, lambda: machine(run)),
        ("bundle", 20, lambda: bundle(run)),
        ("gpu", 20, lambda: gpu(run)),
        ("libraries", 30, lambda: libraries(run)),
        ("libtorch", 50, lambda: libtorch(run)),
        ("onnxruntime", 50, lambda: onnxruntime(run)),
    ])  # fmt: skip
    network = music_network(run)
    run.together([(f"ten steps, {head}", 50, partial(same_loss, run, network, head)) for head in HEADS])
    name, graphs = run.sizes.music_network, [(head, graph) for head in HEADS for graph in GRAPHS[head]]
    run.together([(f"opens {name}-{head}.{graph}", 40, partial(opens, run, head, graph)) for head, graph in graphs])
    run.part("page cache", 10, warm.found)
    # Alone, as it measures time.
    run.part("kernels", 40, lambda: kernels(run))


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
        "system": platform.platform(), "libc": " ".join(platform.libc_ver()), "python": sys.version.split()[0], "cores": len(os.sched_getaffinity(0)),
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


def kernels(run):
    """Our fused kernels against libtorch's operators, where the bundle has them; a failure is recorded, and the run goes on."""
    if not (run.bundle / "bin" / "kernels").exists():
        raise Skipped("the bundle has no program `kernels`")
    if not run.on_gpu:
        raise NO_GPU
    try:
        return run.json("kernels")
    except (Failed, ValueError) as error:
        return {"failure": str(error)}


def same_loss(run, network, head):
    """Ten steps on the device and the first five on the CPU, from the same first values and clips."""

    precision, env = arithmetic("fp32")

    def losses(name, device, steps, *settings):
        settings = ("--batch", run.sizes.same_batch, "--epochs", steps, "--steps", 1, "--rate", RATE, *precision, *settings)
        rows, _ = fit(run, music(run), run.work / f"{name}-{head}", network, head, *settings, device=device, env=env)
        return [row["loss"] for row in rows]

    # The second one's checkpoint is what the graphs are compiled from.
    name, device, settings = ("cuda", "cuda", ()) if run.on_gpu else ("cpu, one thread", "cpu", ("--threads", 1))
    with ThreadPoolExecutor(1) as pool:
        on_cpu = pool.submit(run.as_part(losses), "same-cpu", "cpu", run.sizes.same_steps_cpu)
        theirs = losses("smoke", device, run.sizes.same_steps, *settings)
        cpu = on_cpu.result()
    differences = [abs(a - b) / abs(a) for a, b in zip(cpu, theirs)]
    found = {"losses": {"cpu": cpu, name: theirs}, "relative_differences": differences, "rate": RATE, "tolerance": SAME}
    if not run.on_gpu:
        found["cuda"] = {"skipped": str(NO_GPU)}
    if not max(differences) <= SAME:
        found["error"] = f"{name} is too far from the CPU: {max(differences):.1e}"
    return found


def opens(run, head, graph):
    """Compiles the checkpoint of the ten steps, compares a graph with libtorch's probe and the CPU, and lists where its nodes ran."""
    checkpoint, name = run.work / f"smoke-{head}" / LAST, f"smoke-{head}-{graph}"
    if not is_checkpoint(checkpoint):
        raise Failed("there is no checkpoint: the ten steps make it")
    made = run.json("leitmotif-export", "compile", checkpoint, "--out", run.work / "models", "--name", name, "--force", "--json")
    model = run.work / "models" / f"{name}.{graph}.onnx"
    found = {"cpu": made["graphs"][GRAPHS[head].index(graph)]}
    found["cuda"] = on_device(run, model, checkpoint, "cuda") if run.on_gpu else {"skipped": str(NO_GPU)}
    served = run.json("serve", model, "--device", run.sizes.device, "--batches", 1, "--seconds", 0, "--placement", "--against-cpu")
    elsewhere = {provider: nodes for provider, nodes in served["placement"].items() if not provider.lower().startswith(run.sizes.device)}
    of_serve = ("opened_seconds", "first_answer_seconds", "placement", "largest_difference_to_cpu")
    return {**found, "not_on_device": elsewhere, **{key: served[key] for key in of_serve}}


def on_device(run, model, checkpoint, device, *how):
    """Parity with the probe; a failure is recorded, so that the placement is still found."""
    try:
        return run.json("leitmotif-export", "verify", model, checkpoint, "--device", device, *how, "--json")["graphs"][0]
    except Failed as error:
        return {"error": str(error)}
