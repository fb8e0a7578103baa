"""Trains the network of one of our checkpoints in PyTorch and prints its speed as JSON: fed from our data set, and with one batch.

gpu_train.py CHECKPOINT DATASET --split NAME [--device cuda] [--modes eager,channels-last,…,compile] [--profile]
"""

import argparse
import json
import time

import network
import torch
from gpu_feed import Feed
from torch.nn import functional

# Layout (flat: Conv1d), mixed precision, compiled, exhaustive search for algorithms, TF32 in convolutions and products. PyTorch's own
# choice is TF32 in convolutions alone.
MODES = {
    "eager": {"flat": True},
    "channels-last": {},
    "fp32": {"tf32": (False, False)},
    "benchmark": {"tf32": (True, True), "benchmark": True},
    "bf16": {"bf16": True},
    "bf16-benchmark": {"bf16": True, "tf32": (True, True), "benchmark": True},
    "compile": {"flat": True, "compiled": True, "tf32": (True, True), "benchmark": True},
    "compile-bf16": {"bf16": True, "compiled": True, "tf32": (True, True), "benchmark": True},
    # Its own CUDA graphs.
    "compile-bf16-graphs": {"bf16": True, "compiled": "reduce-overhead", "tf32": (True, True), "benchmark": True},
    "compile-bf16-flat": {"flat": True, "bf16": True, "compiled": True, "tf32": (True, True), "benchmark": True},
}
# Steps under the profiler, and the dearest kernels that are listed.
PROFILED, DEAREST = 3, 25


def prepare(checkpoint, device, flat=False, bf16=False, compiled=False, benchmark=False, tf32=(True, False)):
    """The training step of a mode, which returns the loss on the device, and what switches libtorch to the mode."""

    def switch():
        torch.backends.cudnn.benchmark = benchmark
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32

    switch()
    model = checkpoint.network(flat).train().to(device)
    if not flat:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=device == "cuda")
    lstm = model.lstm
    forward = torch.compile(model, mode="default" if compiled is True else compiled) if compiled else model

    def step(segments, targets):
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            logits = forward(segments)
        # Every segment is an example of a dense head; an LSTM answers at the last one.
        logits = logits[:, -1:] if lstm else logits
        targets = targets[:, None].expand(-1, logits.shape[1])
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, switch


def measure(step, make_feed, device, seconds):
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    feed = make_feed()
    losses = []
    try:
        began = time.perf_counter()
        batch = feed.next()
        losses.append(step(*batch).item())
        found = {"first_step_seconds": time.perf_counter() - began}
        for _ in range(4):
            losses.append(step(*feed.next()).item())
        # Every loss is read, as obvious code does; then none, so that the next step is launched while this one runs.
        found["fed_steps_per_second"] = steps_per_second(lambda: losses.append(step(*feed.next()).item()), device, seconds)
        found["late_steps_per_second"] = steps_per_second(lambda: step(*feed.next()), device, seconds)
    finally:
        feed.end()
    found["resident_steps_per_second"] = steps_per_second(lambda: step(*batch), device, seconds)
    found["fed_clips_per_second"] = found["fed_steps_per_second"] * len(batch[0])
    found["first_loss"], found["last_loss"], found["steps_with_loss"] = losses[0], losses[-1], len(losses)
    found["peak_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None
    return found


def profile(step, batch):
    """The dearest kernels of three steps, by their time on the device."""
    step(*batch)
    torch.cuda.synchronize()
    began = time.perf_counter()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        for _ in range(PROFILED):
            step(*batch)
        torch.cuda.synchronize()
    # Without the calls that launched them.
    kernels = [of for of in profiler.key_averages() if of.device_type == torch.autograd.DeviceType.CUDA]
    kernels.sort(key=lambda kernel: -kernel.self_device_time_total)
    total = sum(kernel.self_device_time_total for kernel in kernels)
    rows = [{"kernel": k.key[:200], "launches": k.count / PROFILED, "microseconds": k.self_device_time_total / PROFILED} for k in kernels[:DEAREST]]
    return {"per": "step", "kernel_microseconds": total / PROFILED, "with_profiler_seconds": (time.perf_counter() - began) / PROFILED, "kernels": rows}


def steps_per_second(step, device, seconds, least=3):
    began, steps = time.perf_counter(), 0
    while steps < least or time.perf_counter() - began < seconds:
        step()
        steps += 1
    if device == "cuda":
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("dataset")
    parser.add_argument("--split", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--profile", action="store_true", help="also list the kernels of the best eager and of every compiled mode")
    arguments = parser.parse_args()
    device = arguments.device
    checkpoint = network.Checkpoint(arguments.checkpoint)
    found = {"settings": network.settings(device), "check": checkpoint.check(), "modes": {}, "profile": {}}
    prepared = {}

    def make_feed():
        return Feed(arguments.dataset, arguments.split, checkpoint, arguments.batch, device)

    for mode in arguments.modes.split(","):
        began = time.perf_counter()
        try:
            prepared[mode] = prepare(checkpoint, device, **MODES[mode])
            found["modes"][mode] = measure(prepared[mode][0], make_feed, device, arguments.seconds)
        except Exception as error:  # A mode that cannot run here must not hide the others.
            found["modes"][mode] = {"error": f"{type(error).__name__}: {str(error)[-2000:]}"}
        found["modes"][mode]["seconds"] = time.perf_counter() - began
        # Everything so far, after each mode: what is printed counts when time cuts this off.
        print(json.dumps(found), flush=True)
    if not arguments.profile:
        return
    measured = {mode: of["resident_steps_per_second"] for mode, of in found["modes"].items() if "error" not in of}
    eager = [mode for mode in measured if "compiled" not in MODES[mode]]
    feed = make_feed()
    for mode in [*sorted(eager, key=measured.get)[-1:], *(mode for mode in measured if mode not in eager)]:
        step, switch = prepared[mode]
        switch()
        try:
            found["profile"][mode] = profile(step, feed.next()) if device == "cuda" else {"skipped": "no GPU"}
        except Exception as error:  # What was measured counts without it.
            found["profile"][mode] = {"failure": f"{type(error).__name__}: {str(error)[-500:]}"}
        print(json.dumps(found), flush=True)
    feed.end()


if __name__ == "__main__":
    main()
