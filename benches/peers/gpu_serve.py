"""Runs our networks in PyTorch and prints their speed as JSON; host to host, as our program measures.

gpu_serve.py UNITS --classes 222 [--device cuda]; gpu_worker.py describes the requests. UNITS is JSON: a list of the description's file, the
head, the mode (fp32, tf32, bf16, fp16, compile-tf32, compile-fp16) and the batch of each call that is prepared.
"""

import argparse
import json
import time
from functools import cache

import gpu_worker  # Before torch, as it measures how long that takes.
import network
import torch
from gpu_limits import limits

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
# Clips whose copying is timed.
COPIED = 64


class Answerer:
    """A network in a mode; `load` gives it the weights of a checkpoint."""

    def __init__(self, description, classes, device, mode):
        self.device, self.precision, self.description = device, mode.removeprefix("compile-"), description
        self.model = network.Network(description, classes, flat=False).eval().to(device, memory_format=torch.channels_last)
        self.model = self.model.to(TYPES.get(self.precision, torch.float32))
        self.dtype = next(self.model.parameters()).dtype
        self.forward = torch.compile(self.model, dynamic=False) if mode != self.precision else self.model

    def load(self, checkpoint):
        self.model.load(checkpoint.weights)

    def __call__(self, waveforms):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.precision != "fp32"
        # Every shape is measured for long enough to search for its fastest algorithm.
        torch.backends.cudnn.benchmark = self.device == "cuda"
        with torch.inference_mode():
            segments = waveforms.to(self.device, non_blocking=True).unfold(1, self.description["segment"], self.description["hop"])
            probabilities = self.forward(segments.to(self.dtype).contiguous()).float().softmax(-1)
            # A dense head averages over the segments; an LSTM answers at the last one.
            return (probabilities[:, -1] if self.model.lstm else probabilities.mean(1)).cpu()


def speed(answer, waveforms, seconds, least=3):
    answer(waveforms)
    calls, began = [], time.perf_counter()
    while len(calls) < least or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        answer(waveforms)
        calls.append(time.perf_counter() - start)
    middle = sorted(calls)[len(calls) // 2]
    return {"batch": len(waveforms), "calls": len(calls), "seconds": middle, "per_second": len(waveforms) / middle}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("units", type=json.loads)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    device = arguments.device

    @cache
    def answerer(file, head, mode):
        return Answerer(network.preset(file, head), arguments.classes, device, mode)

    @cache
    def clips(samples, batch):
        waveforms = (torch.rand(batch, samples, generator=torch.Generator().manual_seed(1)) - 0.5) / 5
        return waveforms.pin_memory() if device == "cuda" else waveforms

    def waveforms_of(file, head, batch):
        description = network.preset(file, head)
        return clips((description["window"] - 1) * description["hop"] + description["segment"], batch)

    def release():
        """Gives memory back to the others on the card, and ends this process where its CUDA is broken: a new one then works."""
        if device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def prepare(file, head, mode, batch):
        answer = answerer(file, head, mode)
        for _ in range(2):
            answer(waveforms_of(file, head, batch))
        release()

    def measure(file, head, checkpoint, modes, batches, seconds):
        saved = network.Checkpoint(checkpoint)
        found = {"unit": "clip", "settings": network.settings(device), "modes": {}}
        answers = {}
        for mode in modes:
            found["modes"][mode] = []
            try:
                answers[mode] = answerer(file, head, mode)
                answers[mode].load(saved)
                found["parameters"] = sum(parameter.numel() for parameter in answers[mode].model.parameters())
            except Exception as error:  # A mode that cannot run here must not hide the others.
                found["modes"][mode] = {"error": gpu_worker.described(error)}
                answers.pop(mode, None)
        # Large batches last.
        for batch in batches:
            for mode, answer in answers.items():
                try:
                    found["modes"][mode].append(speed(answer, waveforms_of(file, head, batch), seconds))
                except Exception as error:  # Of memory, or of a library that does not take so large a batch.
                    found["modes"][mode].append({"batch": batch, "error": gpu_worker.described(error)})
                yield found
                release()

    def answer(card=False, **request):
        if not card:
            return measure(**request)
        file, head = arguments.units[0][:2]
        return [limits(waveforms_of(file, head, COPIED))]

    gpu_worker.work(arguments.units, prepare, answer, release)


main()
