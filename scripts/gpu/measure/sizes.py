"""How much each step measures: on a GPU, and in the rehearsal."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Training:
    """A training whose speed is measured: with the paper's settings, or those of a recipe."""

    network: str
    head: str
    precision: str
    # Of the epoch that is timed, with the fastest arithmetic.
    steps: int
    recipe: str = ""
    # What the recipe has and this has not.
    without: tuple = ()
    # Cores that it may use, of which half read clips; all where it is None.
    cores: int | None = None
    remark: str = ""

    @property
    def name(self):
        what = f"recipe {self.recipe}" if self.recipe else f"{self.network}-{self.head}"
        return ", ".join(filter(None, (what, self.precision, self.remark)))


@dataclass(frozen=True)
class Sizes:
    device: str
    # The synthetic data set.
    clips: int
    artists: int
    samples: int
    # What is trained at full speed, most telling first, as the time limit cuts off the last ones; clips of a batch, of the paper's settings
    # and, where it is not the recipe's own, of a recipe's.
    timed: tuple
    batch: int
    recipe_batch: int | None
    # Training on real music: network, head and precision; the most segments of a clip, where those of the bundle hold as many.
    music: tuple
    window: int
    music_epochs: int
    music_steps: int
    music_batch: int
    # The same steps on two devices, of networks and heads; the first of the steps on the CPU. Then what is opened.
    same: tuple
    same_batch: int
    same_steps: int
    same_steps_cpu: int
    opened: tuple
    # Peers, for the first network that is timed: what PyTorch runs as it is and what it compiles; of other networks only the first mode.
    modes: tuple
    compiled: tuple
    peers_too: tuple
    # Peers and modes whose kernels are listed.
    profiled: tuple
    # Our precisions beside them.
    again: tuple
    peer_seconds: float
    # Serving: our networks, heads and ways to run, with PyTorch or alone.
    served: tuple
    served_alone: tuple
    serve_modes: tuple
    serve_compiled: tuple
    batches: tuple
    # What the peers run, and what is compiled and warmed up in the background: others may exceed memory or what cuDNN takes.
    peer_batches: tuple
    compiled_batches: tuple
    serve_seconds: float
    songs: int
    # Where a call's time goes: clips in it.
    dissected: int
    # Seconds that each step may take; what a step does not use goes to the next.
    shares: dict = field(default_factory=dict)


def small(precision, steps, **more):
    """A training by the recipe `small`."""
    return Training("spectral", "dense", precision, steps, recipe="small", **more)


# What readers do to clips: without it they stay on the GPU, where they are cut.
AUGMENTATION = ("crop", "gain", "speed", "polarity", "colour", "mixup", "mixup-share", "noise-clips")
DENSE, LSTM, COMPACT, SPECTRAL = ("model1", "dense"), ("model1", "lstm"), ("compact", "dense"), ("spectral", "dense")

FULL = Sizes(
    device="cuda", clips=4_096, artists=222, samples=465_984,
    timed=(
        Training(*DENSE, "bf16", 400),
        small("bf16", 300), small("bf16", 300, without=AUGMENTATION, remark="clips as they are"), small("bf16", 150, cores=8, remark="8 cores"),
        small("tf32", 400), Training(*COMPACT, "bf16", 120, recipe="large"),
        Training(*DENSE, "tf32", 400), Training(*LSTM, "tf32", 400), Training(*LSTM, "bf16", 400), Training("model2", "dense", "bf16", 200),
        small("bf16, no graph", 400), small("bf16", 300, without=("weight-average",), remark="no average"), small("fp32", 500),
        small("bf16", 80, cores=4, remark="4 cores"), small("bf16, no graph", 400, without=AUGMENTATION, remark="clips as they are"),
    ),
    batch=16, recipe_batch=None,
    music=(("model1", "dense", "bf16"), ("model1", "lstm", "tf32"), ("compact", "dense", "bf16"), ("compact", "lstm", "tf32"), ("attention", "dense", "bf16"), (*SPECTRAL, "bf16")),
    window=8, music_epochs=12, music_steps=5, music_batch=9,
    same=(DENSE, LSTM, COMPACT, ("compact", "lstm"), ("attention", "dense"), ("statistics", "dense"), SPECTRAL),
    same_batch=4, same_steps=10, same_steps_cpu=5,
    opened=((*DENSE, "clip"), (*LSTM, "step"), (*COMPACT, "clip"), (*COMPACT, "segment"), ("compact", "lstm", "sequence"), ("compact", "lstm", "step"),
            ("attention", "dense", "clip"), ("statistics", "dense", "clip"), (*SPECTRAL, "clip")),
    modes=("bf16",), compiled=(), peers_too=(), profiled=(), again=("bf16",), peer_seconds=0.8,
    served=((*DENSE, ("fp32", "tf32", "fp16")), (*LSTM, ("tf32", "fp16")), ("model2", "dense", ("tf32", "fp16"))),
    served_alone=((*COMPACT, ("fp32", "fp16")), (*SPECTRAL, ("fp32", "fp16"))),
    serve_modes=("tf32", "fp16"), serve_compiled=("compile-fp16",),
    batches=(1, 8, 64), peer_batches=(1, 64), compiled_batches=(1, 64), serve_seconds=0.4, songs=10, dissected=64,
    shares={"smoke": 50, "train": 135, "peers": 25, "serve": 118, "projection": 2},
)  # fmt: skip

SMALL = Sizes(
    device="cpu", clips=96, artists=8, samples=50_000,
    timed=(
        *(Training("example", head, precision, 6) for precision in ("fp32", "bf16") for head in ("dense", "lstm")),
        small("fp32", 4), small("fp32", 4, without=AUGMENTATION, remark="clips as they are"), small("fp32", 4, cores=1, remark="1 cores"),
        Training(*COMPACT, "fp32", 4, recipe="large"),
    ),
    batch=4, recipe_batch=8,
    music=(("example", "dense", "bf16"), ("example", "lstm", "tf32"), ("compact", "dense", "bf16"), ("attention", "dense", "tf32"), (*SPECTRAL, "bf16")),
    window=4, music_epochs=4, music_steps=4, music_batch=9,
    same=(("example", "dense"), ("example", "lstm"), COMPACT, ("compact", "lstm"), ("attention", "dense"), ("statistics", "dense"), SPECTRAL),
    same_batch=2, same_steps=10, same_steps_cpu=5,
    opened=(("example", "dense", "clip"), ("example", "lstm", "step"), (*COMPACT, "clip"), (*COMPACT, "segment"), ("compact", "lstm", "sequence"),
            ("compact", "lstm", "step"), ("attention", "dense", "clip"), ("statistics", "dense", "clip"), (*SPECTRAL, "clip")),
    modes=("bf16", "channels-last", "eager"), compiled=("compile",), peers_too=(("example", "lstm"),), profiled=(("train", "bf16"), ("train compile", "compile")),
    again=("fp32", "bf16"), peer_seconds=0.2,
    served=(("example", "dense", ("fp32", "fp16")), ("example", "lstm", ("fp32",))), served_alone=((*COMPACT, ("fp32",)),),
    serve_modes=("fp32", "bf16"), serve_compiled=(), batches=(1, 2), peer_batches=(1, 2), compiled_batches=(1,), serve_seconds=0.2, songs=2,
    dissected=1,
    shares={"smoke": 150, "train": 150, "peers": 150, "serve": 150, "projection": 5},
)  # fmt: skip
