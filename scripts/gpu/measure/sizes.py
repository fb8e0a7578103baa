"""Sizes of everything that is measured, on a GPU and in the rehearsal on a CPU."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sizes:
    device: str
    # The synthetic data set.
    clips: int
    artists: int
    samples: int
    # Training at full speed: steps of the epoch that is timed, with the fastest arithmetic; what is timed, most telling first, as the time
    # limit cuts off the last ones; arithmetic that is measured again beside PyTorch.
    steps: dict
    batch: int
    timed: tuple
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
    # Peers, for the first network: what PyTorch runs as it is and what it compiles; of other networks only the first mode.
    modes: tuple
    compiled: tuple
    peers_too: tuple
    peer_seconds: float
    # Serving.
    serve_modes: tuple
    serve_compiled: tuple
    batches: tuple
    # What the peers run, and what is compiled and warmed up in the background: others may exceed memory or what cuDNN takes.
    peer_batches: tuple
    compiled_batches: tuple
    serve_seconds: float
    songs: int
    # Seconds of eight minutes that each step may take; what a step does not use goes to the next.
    shares: dict = field(default_factory=dict)

    @property
    def networks(self):
        """Pairs of network and head."""
        return list(dict.fromkeys((network, head) for network, head, _ in self.timed))


WITHOUT = ("bf16, not fused", "bf16, no graph", "bf16, not fused, no graph")

FULL = Sizes(
    device="cuda", clips=4_096, artists=222, samples=465_984,
    steps={"model1": 400, "model2": 250}, batch=16,
    timed=(
        ("model1", "dense", "bf16"), ("model1", "dense", "tf32"),
        ("model2", "dense", "bf16"), ("model1", "lstm", "bf16"), ("model2", "lstm", "bf16"),
        *(("model1", "dense", without) for without in WITHOUT),
        ("model1", "dense", "fp32"), ("model1", "lstm", "tf32"), ("model2", "dense", "tf32"), ("model2", "lstm", "tf32"),
        ("model1", "lstm", "fp32"), ("model2", "dense", "fp32"), ("model2", "lstm", "fp32"), ("model1", "dense", "bf16-benchmark"),
    ),
    again=("bf16",),
    music_network="model1", window=2, music_epochs=12, music_steps=5, music_batch=9,
    same_batch=4, same_steps=10, same_steps_cpu=5,
    modes=("bf16", "channels-last", "eager"), compiled=("compile-bf16", "compile-bf16-graphs"),
    peers_too=(("model1", "lstm"), ("model2", "dense")), peer_seconds=0.8,
    serve_modes=("tf32", "fp16"), serve_compiled=("compile-fp16", "compile-tf32"),
    batches=(1, 8, 64, 256), peer_batches=(1, 64, 256), compiled_batches=(1, 64), serve_seconds=0.4, songs=10,
    shares={"smoke": 55, "train": 215, "peers": 105, "serve": 100, "projection": 5},
)  # fmt: skip

SMALL = Sizes(
    device="cpu", clips=96, artists=8, samples=5_103,
    steps={"example": 6}, batch=4, timed=tuple(("example", head, precision) for precision in ("fp32", "bf16") for head in ("dense", "lstm")),
    again=("fp32", "bf16"),
    music_network="example", window=2, music_epochs=4, music_steps=4, music_batch=9,
    same_batch=2, same_steps=10, same_steps_cpu=5,
    modes=("bf16", "channels-last", "eager"), compiled=("compile",), peers_too=(("example", "lstm"),), peer_seconds=0.2,
    serve_modes=("fp32", "bf16"), serve_compiled=(), batches=(1, 2), peer_batches=(1, 2), compiled_batches=(1,), serve_seconds=0.2, songs=2,
    shares={"smoke": 150, "train": 150, "peers": 150, "serve": 150, "projection": 5},
)  # fmt: skip
