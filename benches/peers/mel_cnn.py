"""The plain PyTorch script that one would write: a small CNN on log-mel spectrograms, on the clips and splits of a prepared data set.

    mel_cnn.py DATASET SPLIT... [--device cuda] [--steps 3000]      after `make peers`, with PYTHONPATH=.deps/site-packages

Prints a line of JSON for each split: the shares of clips and songs of the test part that are right, a song by the mean of its clips' probabilities. 64 mel
bands of frames of 1,024 samples every 512, random crops of three seconds, four blocks of 3×3 convolution, batch norm, ReLU and maximum (32 to 256 filters),
global average, dropout 0.5; Adam with a rate of 1e-3 that falls as a cosine, batches of 32. A clip's answer is the mean over its segments.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from prepared import DataSet
from torch import nn

RATE, FRAME, HOP, BANDS, CROP = 16_000, 1_024, 512, 64, 94


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("dataset", type=Path)
    arguments.add_argument("splits", nargs="+")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--steps", type=int, default=3_000)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = arguments.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = DataSet(arguments.dataset)
    filters = mel_filters().to(arguments.device)
    spectrograms = [log_mel(torch.from_numpy(waveform).to(arguments.device), filters) for waveform in dataset.waveforms()]
    truth = torch.from_numpy(dataset.truth).to(arguments.device)
    for split in arguments.splits:
        began = time.monotonic()
        indices, test = dataset.split(split)
        model = train(spectrograms, truth, indices, len(dataset.artists), arguments)
        found = dataset.shares(test, np.stack([answer(model, spectrograms[index]).numpy() for index in test]))
        print(json.dumps({"split": split, **found, "seconds": round(time.monotonic() - began, 1)}), flush=True)


def train(spectrograms, truth, indices, classes, arguments):
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    model = network(classes).to(arguments.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps)
    for _ in range(arguments.steps):
        chosen = random.choice(indices, 32)
        crops = []
        for index in chosen:
            start = random.integers(spectrograms[index].shape[1] - CROP + 1)
            crops.append(spectrograms[index][:, start : start + CROP])
        loss = nn.functional.cross_entropy(model(torch.stack(crops).unsqueeze(1)), truth[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def answer(model, spectrogram):
    segments = spectrogram[:, : spectrogram.shape[1] // CROP * CROP].unfold(1, CROP, CROP).transpose(0, 1)
    return model(segments.unsqueeze(1)).softmax(1).mean(0).cpu()


def network(classes):
    layers, channels = [nn.BatchNorm2d(1)], 1
    for filters in (32, 64, 128, 256):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(channels, classes))


def mel_filters():
    """Triangles spaced evenly in mel (HTK), `[bands, frequencies]`."""
    mel = torch.linspace(0, 2595 * math.log10(1 + RATE / 2 / 700), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = torch.linspace(0, RATE / 2, FRAME // 2 + 1)
    up = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(up, down).clamp(min=0)


def log_mel(waveform, filters):
    spectrum = torch.stft(waveform, FRAME, HOP, window=torch.hann_window(FRAME, device=waveform.device), return_complex=True)
    return (filters @ spectrum.abs().square() + 1e-6).log()


if __name__ == "__main__":
    main()
