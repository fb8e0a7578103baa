"""The compiled files: every graph in every form, of the demo's networks or, before there are any, of the tests' tiny ones."""

import random
import shutil
import subprocess
import sys
import wave
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "shared"))
from checkpoint import BEST, is_checkpoint  # noqa: E402

FORMS = [("portable", "fp32"), ("portable", "fp16"), ("portable", "int8"), ("cpu", "fp32"), ("cpu", "fp16"), ("cpu", "int8")]
GRAPHS = {"dense": ("clip", "segment"), "lstm": ("sequence", "step")}


def compiled(root, export, work):
    """Which networks, and [(target, precision, graph, path)]."""
    trained = root / "demo"
    have = (trained / "game-music" / "dataset.toml").exists() and all(is_checkpoint(trained / head / BEST) for head in GRAPHS)
    if have:
        checkpoints, music, extra = {head: trained / head / BEST for head in GRAPHS}, trained / "game-music", []
    else:
        checkpoints = {head: root / "export" / "tests" / "data" / f"tiny-{head}" for head in GRAPHS}
        # Random weights have no accuracy to lose, and noise calibrates them as well as music.
        music, extra = work / "noise", ["--allow-loss"]
    shutil.rmtree(work, ignore_errors=True)
    if not have:
        noise(music)
    files = []
    for target, precision in FORMS:
        for head, graphs in GRAPHS.items():
            folder = work / f"{target}-{precision}"
            calibrate = ["--calibrate", music, *extra] if precision == "int8" else []
            form = ["--target", target, "--precision", precision, "--name", head, "--out", folder]
            subprocess.run([export, "compile", checkpoints[head], *form, *calibrate], check=True, stdout=subprocess.DEVNULL)
            files += [(target, precision, graph, folder / f"{head}.{graph}.onnx") for graph in graphs]
    return ("the demo's" if have else "the tests' tiny"), files


def noise(folder):
    """A few seconds for calibration, and as much for evaluation."""
    folder.mkdir(parents=True)
    for seed in (1, 2):
        with wave.open(str(folder / f"{seed}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes(random.Random(seed).randbytes(2 * 3 * 16_000))
