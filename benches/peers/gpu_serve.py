"""Runs the network of one of our checkpoints in PyTorch and prints its speed as JSON; host to host, as our program measures.

gpu_serve.py CHECKPOINT [--device cuda] [--batches 1,8,64] [--modes fp32,tf32,bf16,fp16,compile-tf32,compile-fp16]
"""

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402

import network  # noqa: E402
import torch  # noqa: E402


TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def answerer(checkpoint, device, mode):
    precision = mode.removeprefix("compile-")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
    # Every shape is measured for long enough to search for its fastest algorithm.
    torch.backends.cudnn.benchmark = device == "cuda"
    model = checkpoint.network(flat=False).eval().to(device, memory_format=torch.channels_last)
    model = model.to(TYPES.get(precision, torch.float32))
    forward = torch.compile(model, dynamic=False) if mode != precision else model
    dtype = next(model.parameters()).dtype

    def answer(waveforms):
        with torch.inference_mode():
            logits = forward(checkpoint.segments(waveforms.to(device, non_blocking=True)).to(dtype).contiguous())
            probabilities = logits.float().softmax(-1)
            # A dense head averages over the segments; an LSTM answers at the last one.
            return (probabilities[:, -1] if model.lstm else probabilities.mean(1)).cpu()

    return answer


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
    parser.add_argument("checkpoint")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", default="1,8,64")
    parser.add_argument("--modes", default="fp32,tf32,bf16")
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    checkpoint = network.Checkpoint(arguments.checkpoint)
    description = checkpoint.description
    samples = (description["window"] - 1) * description["hop"] + description["segment"]
    generator = torch.Generator().manual_seed(1)
    found = {"unit": "clip", "settings": network.settings(arguments.device), "modes": {}}
    for mode in arguments.modes.split(","):
        found["modes"][mode] = []
        try:
            answer = answerer(checkpoint, arguments.device, mode)
            answer(torch.zeros(1, samples))
            found.setdefault("first_answer_seconds", time.perf_counter() - BEGAN)
            for batch in map(int, arguments.batches.split(",")):
                waveforms = (torch.rand(batch, samples, generator=generator) - 0.5) / 5
                if arguments.device == "cuda":
                    waveforms = waveforms.pin_memory()
                found["modes"][mode].append(speed(answer, waveforms, arguments.seconds))
        except torch.OutOfMemoryError as error:
            found["modes"][mode].append({"batch": batch, "error": str(error)[:300]})
        except Exception as error:  # A mode that cannot run here must not hide the others.
            found["modes"][mode] = {"error": f"{type(error).__name__}: {str(error)[-2000:]}"}
        # Everything so far, after each mode: what is printed counts when time cuts this off.
        print(json.dumps(found), flush=True)


main()
