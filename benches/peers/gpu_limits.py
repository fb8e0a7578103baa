"""The highest speeds that the card and its bus reach, as limits of the measured ones."""

import time

import torch


def limits(waveforms, times=5):
    """Of copies, with pinned `waveforms` as what is copied, in GB/s, and of products of matrices, in GFLOP/s."""
    found = {}

    def timed(name, amount, work):
        work()
        torch.cuda.synchronize()
        best = float("inf")
        for _ in range(times):
            began = time.perf_counter()
            work()
            torch.cuda.synchronize()
            best = min(best, time.perf_counter() - began)
        found[name] = amount / best / 1e9

    pageable, there, size = torch.empty_like(waveforms, pin_memory=False).copy_(waveforms), waveforms.cuda(), waveforms.nbytes
    timed("pageable to device, GB/s", size, lambda: there.copy_(pageable))
    timed("pinned to device, GB/s", size, lambda: there.copy_(waveforms))
    timed("host copy, GB/s read", size, lambda: waveforms.copy_(pageable))
    big, other = torch.rand(1 << 30, device="cuda"), torch.empty(1 << 30, device="cuda")
    timed("device copy, GB/s read and written", 2 * big.nbytes, lambda: other.copy_(big))
    del big, other
    for name, kind, tf32 in (("bf16", torch.bfloat16, False), ("tf32", torch.float32, True), ("fp32", torch.float32, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        matrix = torch.randn(8192, 8192, device="cuda", dtype=kind)
        timed(f"product of matrices, {name}, GFLOP/s", 2 * 8192**3, lambda: matrix @ matrix)
    torch.cuda.empty_cache()
    return found
