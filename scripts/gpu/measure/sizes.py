"""Sizes of everything that is measured, on a GPU and in the rehearsal on a CPU."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sizes:
    device: str
    # The synthetic data set.
    clips: int
    artists: int
    samples: int
    # Training at full speed: networks with both heads, steps of one of the epochs that are timed, and arithmetic.
    steps: dict
    batch: int
    precisions: tuple
    # Of the first network, to see what each part of the trainer saves.
    without: tuple
    # Of these, the ones that are measured again beside PyTorch.
    again: tuple
    # Training on real music: the network, and the segments of a clip, as many as the bundle's clips hold.
    music_network: str
    window: int
    music_epochs: int
    music_steps: int
    music_batch: int
    # The same steps on two devices; the first of them on the CPU.
    same_batch: int
    same_steps: int
    same_steps_cpu: int
    # Peers: what PyTorch runs as it is and, because compiling takes as long as everything else, what it compiles.
    modes: tuple
    compiled: tuple
    peer_seconds: float
    # Serving.
    serve_modes: tuple
    serve_compiled: tuple
    batches: tuple
    compiled_batches: tuple
    serve_seconds: float
    songs: int
    # Seconds of eight minutes that each step may take; what a step does not use goes to the next.
    shares: dict = field(default_factory=dict)

    @property
    def networks(self):
        """The smaller network first: the time limit cuts off the last ones."""
        return [(network, head) for network in self.steps for head in ("dense", "lstm")]


FULL = Sizes(
    device="cuda", clips=4_096, artists=222, samples=465_984,
    steps={"model1": 80, "model2": 40}, batch=16, 
    precisions=("bf16", "tf32", "bf16-benchmark", "fp32"), without=("bf16, not fused", "bf16, no graph", "bf16, not fused, no graph"), again=("tf32", "bf16"),
    music_network="model1", window=2, music_epochs=12, music_steps=5, music_batch=9,
    same_batch=4, same_steps=10, same_steps_cpu=5,
    modes=("channels-last", "bf16", "bf16-benchmark", "eager", "benchmark", "fp32"), compiled=("compile-bf16", "compile-bf16-graphs"), peer_seconds=0.8,
    serve_modes=("tf32", "bf16", "fp16", "fp32"), serve_compiled=("compile-fp16", "compile-tf32"),
    batches=(1, 8, 64, 256), compiled_batches=(1, 64), serve_seconds=0.4, songs=10,
    shares={"smoke": 90, "train": 135, "peers": 150, "serve": 100, "projection": 5},
)  # fmt: skip

SMALL = Sizes(
    device="cpu", clips=96, artists=8, samples=5_103,
    steps={"example": 3}, batch=4, precisions=("fp32", "bf16"), without=(), again=("fp32", "bf16"),
    music_network="example", window=2, music_epochs=4, music_steps=4, music_batch=9,
    same_batch=2, same_steps=10, same_steps_cpu=5,
    modes=("eager", "channels-last", "bf16"), compiled=(), peer_seconds=0.2,
    serve_modes=("fp32", "bf16"), serve_compiled=(), batches=(1, 2), compiled_batches=(1,), serve_seconds=0.2, songs=2,
    shares={"smoke": 150, "train": 150, "peers": 150, "serve": 150, "projection": 5},
)  # fmt: skip
