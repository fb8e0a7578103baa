#!/usr/bin/env python3
"""Opens a model with ONNX Runtime's CUDA provider on a machine without a driver: everything up to the first call of the driver.

    open_provider.py ONNXRUNTIME-FOLDER NVIDIA-PACKAGES MODEL.onnx

The libraries load, every GPU module of theirs is registered with CUDA, the provider is added to a session, and CUDA then says that there
is no driver. Its library, which no package brings, is an empty stand-in. Ends with 0 where all that happened.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CUDA = ("cu13/lib/libcudart.so.13", "cu13/lib/libcublasLt.so.13", "cu13/lib/libcublas.so.13", "cu13/lib/libcurand.so.10", "cudnn/lib/libcudnn.so.9")
# The only function of the driver that the provider links; CUDA's runtime looks up all others.
DRIVER = "int cuTensorMapEncodeTiled(void) { return 999; }"
# cudaErrorInsufficientDriver, also where there is none.
NO_DRIVER = "CUDA failure 35:"
# Places of functions in the table OrtApi, which only grows, and its oldest version that has them.
GET_ERROR_MESSAGE, CREATE_ENV, CREATE_SESSION, CREATE_SESSION_OPTIONS, VERSION = 2, 3, 7, 10, 14
Pointer = ctypes.c_void_p


def main():
    folder, nvidia, model = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as scratch:
        stand_in = Path(scratch) / "libcuda.so.1"
        cc = [os.environ.get("CC", "cc"), "-shared", "-fPIC", f"-Wl,-soname,{stand_in.name}", "-o", stand_in, "-x", "c", "-"]
        subprocess.run(cc, input=DRIVER, text=True, check=True)
        for library in (stand_in, *(nvidia / name for name in CUDA)):
            ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
    ort = ctypes.CDLL(next(folder.glob("libonnxruntime.so.*")))
    ort.OrtGetApiBase.restype = ctypes.POINTER(Pointer)
    get_api = ctypes.CFUNCTYPE(ctypes.POINTER(Pointer), ctypes.c_uint32)(ort.OrtGetApiBase()[0])
    api = get_api(VERSION)

    def call(place, *arguments, returns=Pointer):
        return ctypes.CFUNCTYPE(returns, *map(type, arguments))(api[place])(*arguments)

    def error(status):
        return call(GET_ERROR_MESSAGE, Pointer(status), returns=ctypes.c_char_p).decode() if status else None

    def made(place, *arguments):
        handle = Pointer()
        fault = error(call(place, *arguments, ctypes.cast(ctypes.byref(handle), Pointer)))
        return handle, fault

    env, _ = made(CREATE_ENV, ctypes.c_int(3), ctypes.c_char_p(b"rehearsal"))
    options, _ = made(CREATE_SESSION_OPTIONS)
    append = ort.OrtSessionOptionsAppendExecutionProvider_CUDA
    append.restype, append.argtypes = Pointer, (Pointer, ctypes.c_int)
    if fault := error(append(options, 0)):
        sys.exit(f"the CUDA provider does not load: {fault}")
    _, fault = made(CREATE_SESSION, env, ctypes.c_char_p(os.fsencode(model)), options)
    if NO_DRIVER not in (fault or ""):
        sys.exit(f"opening {model} was to end with `{NO_DRIVER}`: {fault}")
    print("ONNX Runtime's CUDA provider loads; without a driver that is all")


main()
