"""Trains the network of one of our checkpoints in PyTorch and prints its speed as JSON: fed from our data set, and with one batch.

gpu_train.py CHECKPOINT DATASET --split NAME [--device cuda] [--modes eager,channels-last,benchmark,bf16,compile]
"""

import argparse
import csv
import json
import queue
import threading
import time
from pathlib import Path

import network
import numpy
import torch
from torch.nn import functional

# Layout (flat: Conv1d), mixed precision, compiled, exhaustive search for algorithms.
MODES = {
    "eager": {"flat": True},
    "channels-last": {"flat": False},
    "benchmark": {"flat": False, "benchmark": True},
    "bf16": {"flat": False, "bf16": True},
    "compile": {"flat": True, "compiled": True},
}


class Feed:
    """Batches of our data set in random order, two ahead, as our own trainer reads them."""

    def __init__(self, folder, split, checkpoint, batch, device):
        folder = Path(folder)
        parts = {row["clip"]: row["part"] for row in rows(folder / "splits" / f"{split}.csv")}
        self.clips = [row for row in rows(folder / "clips.csv") if parts.get(row["clip"]) == "train"]
        shards = sorted((folder / "shards").glob("*.pcm"))
        self.shards = [numpy.memmap(shard, dtype="<i2", mode="r") for shard in shards]
        self.checkpoint, self.batch, self.device = checkpoint, batch, device
        self.class_of = {name: number for number, name in enumerate(checkpoint.classes)}
        description = checkpoint.description
        self.samples = (description["window"] - 1) * description["hop"] + description["segment"]
        self.ready = queue.Queue(2)
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        random = numpy.random.default_rng(1)
        while not self.ended.is_set():
            waveforms = numpy.empty((self.batch, self.samples), dtype=numpy.float32)
            chosen = random.integers(len(self.clips), size=self.batch)
            for waveform, number in zip(waveforms, chosen):
                row = self.clips[number]
                begin = int(row["offset"])
                waveform[:] = self.shards[int(row["shard"])][begin : begin + self.samples]
            waveforms /= 32768
            targets = torch.tensor([self.class_of[self.clips[number]["artist"]] for number in chosen])
            made = torch.from_numpy(waveforms), targets
            if self.device == "cuda":
                made = tuple(tensor.pin_memory() for tensor in made)
            while not self.ended.is_set():
                try:
                    self.ready.put(made, timeout=0.1)
                    break
                except queue.Full:
                    pass

    def next(self):
        waveforms, targets = (tensor.to(self.device, non_blocking=True) for tensor in self.ready.get())
        return self.checkpoint.segments(waveforms).contiguous(), targets

    def end(self):
        self.ended.set()


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def measure(checkpoint, make_feed, device, seconds, flat, bf16=False, compiled=False, benchmark=False):
    torch.backends.cudnn.benchmark = benchmark
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model = checkpoint.network(flat).train().to(device)
    if not flat:
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=device == "cuda")
    lstm = model.lstm
    forward = torch.compile(model) if compiled else model

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
        # Our trainer reads every loss, too.
        return loss.item()

    feed = make_feed()
    try:
        began = time.perf_counter()
        batch = feed.next()
        losses = [step(*batch)]
        found = {"first_step_seconds": time.perf_counter() - began}
        for _ in range(2):
            losses.append(step(*feed.next()))
        found["fed_steps_per_second"] = steps_per_second(lambda: losses.append(step(*feed.next())), device, seconds)
    finally:
        feed.end()
    found["resident_steps_per_second"] = steps_per_second(lambda: losses.append(step(*batch)), device, seconds)
    found["fed_clips_per_second"] = found["fed_steps_per_second"] * len(batch[0])
    found["first_loss"], found["last_loss"], found["steps"] = losses[0], losses[-1], len(losses)
    found["peak_memory_mib"] = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None
    return found


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
    arguments = parser.parse_args()
    checkpoint = network.Checkpoint(arguments.checkpoint)
    found = {"settings": network.settings(arguments.device), "check": checkpoint.check(), "modes": {}}

    def make_feed():
        return Feed(arguments.dataset, arguments.split, checkpoint, arguments.batch, arguments.device)

    for mode in arguments.modes.split(","):
        began = time.perf_counter()
        try:
            found["modes"][mode] = measure(checkpoint, make_feed, arguments.device, arguments.seconds, **MODES[mode])
        except Exception as error:  # A mode that cannot run here must not hide the others.
            found["modes"][mode] = {"error": f"{type(error).__name__}: {str(error)[-2000:]}"}
        found["modes"][mode]["seconds"] = time.perf_counter() - began
        # Everything so far, after each mode: what is printed counts when time cuts this off.
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
