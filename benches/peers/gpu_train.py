"""Trains our networks in PyTorch and prints their speed as JSON: fed from our data set, and with one batch.

gpu_train.py UNITS --classes 222 [--device cuda] [--batch 16]; gpu_worker.py describes the requests. UNITS is JSON: a list of the
description's file, the head and the mode of each network that is prepared.
"""

import argparse
import json
import time
from functools import cache

import gpu_worker  # Before torch, as it measures how long that takes.
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
# Steps on random values before anything is measured: a CUDA graph is recorded in one of the first.
WARM = 5


class Trainer:
    """A network in a mode; called with a batch it trains a step and returns the loss on the device."""

    def __init__(self, description, classes, device, flat=False, bf16=False, compiled=False, benchmark=False, tf32=(True, False)):
        self.device, self.bf16, self.benchmark, self.tf32 = device, bf16, benchmark, tf32
        self.switch()
        self.model = network.Network(description, classes, flat).train().to(device)
        if not flat:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, eps=1e-7, fused=device == "cuda")
        self.forward = torch.compile(self.model, mode="default" if compiled is True else compiled) if compiled else self.model

    def switch(self):
        """Sets libtorch's own switches as the mode needs them."""
        torch.backends.cudnn.benchmark = self.benchmark
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self.tf32

    def __call__(self, segments, targets):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            logits = self.forward(segments)
        # Every segment is an example of a dense head; an LSTM answers at the last one.
        logits = logits[:, -1:] if self.model.lstm else logits
        targets = targets[:, None].expand(-1, logits.shape[1])
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


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
    parser.add_argument("units", type=json.loads)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    device, batch = arguments.device, arguments.batch

    @cache
    def trainer(file, head, mode):
        return Trainer(network.preset(file, head), arguments.classes, device, **MODES[mode])

    def random_batch(file, head):
        description = network.preset(file, head)
        segments = (torch.rand(batch, description["window"], description["segment"], device=device) - 0.5) / 5
        return segments, torch.randint(arguments.classes, (batch,), device=device)

    def prepare(file, head, mode):
        step, made = trainer(file, head, mode), random_batch(file, head)
        step.switch()
        for _ in range(WARM):
            step(*made).item()
        if device == "cuda":
            torch.cuda.empty_cache()

    def answer(file, head, modes, checkpoint=None, dataset=None, split=None, seconds=None, profiled=()):
        """Speeds of `modes` with the checkpoint's weights; the profile needs none."""
        found = {"settings": network.settings(device), "modes": {}, "profile": {}}
        saved = checkpoint and network.Checkpoint(checkpoint)
        # That both layouts are our network; a compiled one is the same class.
        if modes and not any("compiled" in MODES[mode] for mode in modes):
            found["check"] = saved.check()
        for mode in modes:
            began = time.perf_counter()
            try:
                step = trainer(file, head, mode)
                step.switch()
                step.model.load(saved.weights)
                found["parameters"] = sum(parameter.numel() for parameter in step.model.parameters())
                found["modes"][mode] = measure(step, lambda: Feed(dataset, split, saved, batch, device), device, seconds)
            except Exception as error:  # A mode that cannot run here must not hide the others.
                found["modes"][mode] = {"error": gpu_worker.described(error)}
            found["modes"][mode]["seconds"] = time.perf_counter() - began
            yield found
        for mode in profiled:
            step = trainer(file, head, mode)
            step.switch()
            try:
                found["profile"][mode] = profile(step, random_batch(file, head)) if device == "cuda" else {"skipped": "no GPU"}
            except Exception as error:  # What was measured counts without it.
                found["profile"][mode] = {"failure": gpu_worker.described(error)}
            yield found

    gpu_worker.work(arguments.units, prepare, answer)


if __name__ == "__main__":
    main()
