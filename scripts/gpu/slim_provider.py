#!/usr/bin/env python3
"""Makes ONNX Runtime's CUDA provider small enough to travel: 284 MB become 12 MB once packed.

    slim_provider.py libonnxruntime_providers_cuda.so OUT.so [--arch 90]

For measuring on a machine without a network only. Never ship the result, and say beside every number that it was used.

The library carries machine code for six GPU generations and, for each, kernels of language models (attention, mixture of experts, 4-bit
products). This blanks the code of every other generation, and of modules whose kernels' names say that no network of ours launches
them; no header changes and no offset moves. CUDA loads a module when its first kernel is launched, so it never looks at what is blank;
were such a kernel launched after all, CUDA would refuse it with an error, not compute something else.

The section `.nv_fatbin` is a list of containers (magic 0xBA55ED50, version, header size, bytes), each a list of entries (kind: 1 is PTX,
2 machine code; version; header size; bytes; at 28 the architecture) whose payload is zstd. Needs `zstandard` from PyPI.
"""

import argparse
import re
import struct

import zstandard

MAGIC = struct.pack("<I", 0xBA55ED50)
FOREIGN = re.compile(rb"flash|fmha|attention|cutlass|moe|marlin|llm|fpA_intB|paged|MatMulNBits|mha", re.IGNORECASE)
KERNEL = re.compile(rb"\.text\.([A-Za-z0-9_$]+)")


def entries(data):
    """(offset of the payload, its bytes, architecture) of every entry."""
    at = data.find(MAGIC)
    while at >= 0:
        _, version, header, size = struct.unpack_from("<IHHQ", data, at)
        if (version, header) != (1, 16):
            # The same four bytes by chance, or in code that looks for them.
            at = data.find(MAGIC, at + 4)
            continue
        entry, end = at + header, at + header + size
        while entry < end:
            kind, _, header, size = struct.unpack_from("<HHIQ", data, entry)
            if kind not in (1, 2) or header < 32 or entry + header + size > end:
                raise SystemExit(f"unknown entry at {entry:#x}: the format has changed")
            yield entry + header, size, struct.unpack_from("<I", data, entry + 28)[0]
            entry += header + size
        at = data.find(MAGIC, end)


def is_foreign(payload):
    code = zstandard.ZstdDecompressor().decompressobj().decompress(payload)
    return any(FOREIGN.search(name) for name in set(KERNEL.findall(code)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library")
    parser.add_argument("out")
    parser.add_argument("--arch", type=int, default=90, help="90: H100, H200")
    arguments = parser.parse_args()
    with open(arguments.library, "rb") as file:
        data = bytearray(file.read())
    kept = blanked = 0
    for at, size, arch in list(entries(data)):
        if arch == arguments.arch and not is_foreign(bytes(data[at : at + size])):
            kept += size
        else:
            data[at : at + size] = bytes(size)
            blanked += size
    if not kept:
        raise SystemExit(f"the library has no code for sm_{arguments.arch}")
    with open(arguments.out, "wb") as file:
        file.write(data)
    print(f"kept {kept / 1e6:.1f} MB of GPU code, blanked {blanked / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
