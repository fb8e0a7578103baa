"""The same networks as a PyTorch user would write them, filled with the weights of one of our checkpoints.

`check` holds them against the logits that our trainer kept in the checkpoint's probe: a race against another network would
prove nothing.
"""

import json
import struct
from pathlib import Path

import torch
from torch import nn

# As our presets: Keras' epsilon, and its momentum 0.99 in torch's sense.
NORM = {"eps": 1e-3, "momentum": 0.01}
# Of the largest logit: sums of some hundred products in another order, on the CPU in f32.
TOLERANCE = 1e-4


class Network(nn.Module):
    """Waveforms [batch, segments, samples] to logits [batch, segments, classes].

    `flat` is the obvious way: every segment a row of Conv1d. Else segments lie on the height axis of Conv2d, as in ours.
    """

    def __init__(self, network, classes, flat):
        super().__init__()
        self.flat = flat
        self.lstm = network["head"]["kind"] == "lstm"
        layers, channels = [], 1
        for block in network["blocks"]:
            kernel, stride, padding, pool = (block[key] for key in ("kernel", "stride", "padding", "pool"))
            if flat:
                conv = nn.Conv1d(channels, block["filters"], kernel, stride, padding, bias=False)
                norm, pooling = nn.BatchNorm1d(block["filters"], **NORM), nn.MaxPool1d(pool)
            else:
                conv = nn.Conv2d(channels, block["filters"], (1, kernel), (1, stride), (0, padding), bias=False)
                norm, pooling = nn.BatchNorm2d(block["filters"], **NORM), nn.MaxPool2d((1, pool))
            layers.append(nn.Sequential(conv, norm, nn.ReLU(inplace=True), pooling if pool > 1 else nn.Identity()))
            channels = block["filters"]
        self.blocks = nn.Sequential(*layers)
        units = network["head"]["units"]
        if self.lstm:
            self.head = nn.LSTM(channels, units, batch_first=True)
        else:
            self.head = nn.Linear(channels, units, bias=False)
            self.norm = nn.BatchNorm1d(units, **NORM)
        self.output = nn.Linear(units, classes)

    def forward(self, segments):
        batch, count, samples = segments.shape
        if self.flat:
            features = self.blocks(segments.reshape(batch * count, 1, samples)).flatten(1)
        else:
            # A channel axis of one: the memory is channels-last without a copy.
            x = segments.unsqueeze(3).permute(0, 3, 1, 2)
            features = self.blocks(x).permute(0, 2, 3, 1).reshape(batch * count, -1)
        if self.lstm:
            hidden, _ = self.head(features.view(batch, count, -1))
        else:
            hidden = torch.tanh(self.norm(self.head(features))).view(batch, count, -1)
        return self.output(hidden)

    def take(self, weights):
        """Our tensors by our names; nothing may be left over."""
        rest = dict(weights)
        with torch.no_grad():
            for ours, target in self._names():
                target.copy_(rest.pop(ours).reshape(target.shape))
        if rest:
            raise ValueError(f"not taken: {sorted(rest)}")
        return self

    def _names(self):
        def norm(prefix, layer):
            for name in ("weight", "bias", "running_mean", "running_var"):
                yield f"{prefix}.norm.{name}", getattr(layer, name)

        for number, block in enumerate(self.blocks, 1):
            yield f"block{number}.conv.weight", block[0].weight
            yield from norm(f"block{number}", block[1])
        if self.lstm:
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                yield f"lstm.{name}", getattr(self.head, f"{name}_l0")
        else:
            yield "dense.weight", self.head.weight
            yield from norm("dense", self.norm)
        yield "output.weight", self.output.weight
        yield "output.bias", self.output.bias


class Checkpoint:
    """What our trainer saved."""

    def __init__(self, folder):
        folder = Path(folder)
        record = json.loads((folder / "run.json").read_text())
        self.description, self.classes = record["network"], record["classes"]
        self.weights = safetensors(folder / "weights.safetensors")
        self.probe = safetensors(folder / "probe.safetensors")

    def network(self, flat):
        return Network(self.description, len(self.classes), flat).take(self.weights)

    def segments(self, waveforms):
        return waveforms.unfold(1, self.description["segment"], self.description["hop"])

    def check(self):
        """Parameters, and how far both layouts are from our trainer's logits on the probe; an error where too far."""
        found = {}
        wanted = self.probe["logits"]
        for flat in (True, False):
            network = self.network(flat).eval()
            with torch.inference_mode():
                logits = network(self.segments(self.probe["waveform"]))
            found["flat" if flat else "channels-last"] = (logits - wanted).abs().max().item()
            found["parameters"] = sum(p.numel() for p in network.parameters())
        found["largest_logit"] = wanted.abs().max().item()
        found["tolerance"] = TOLERANCE * found["largest_logit"]
        if not max(found["flat"], found["channels-last"]) <= found["tolerance"]:
            raise ValueError(f"the peer's logits are not ours: {found}")
        return found


def safetensors(path):
    """https://huggingface.co/docs/safetensors: the length of a JSON header, the header, the tensors."""
    content = bytearray(Path(path).read_bytes())
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}")
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = torch.frombuffer(content, dtype=torch.float32, offset=begin, count=(end - begin) // 4).reshape(entry["shape"])
    return tensors


def settings(device):
    """What decides arithmetic and speed beside the code."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "cudnn": torch.backends.cudnn.version() if device == "cuda" else None,
        "tf32_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_products": torch.backends.cuda.matmul.allow_tf32,
    }
