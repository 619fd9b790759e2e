"""Writes static archives that stand in for the CUDA libraries at link time: python3 stubs.py CUDARC_SOURCE OUT

Candle links CUDA's libraries by name, and a program that names libcuda.so.1 does not even start where there is
no driver. Each archive here defines the functions of one library as a jump through a table; the first call of a
function looks it up in the real library (dlopen), later calls go there at once. So one program starts
everywhere. What can't be found returns 100, "no device" to the driver's callers and an error to all others.

x86-64, System V calling convention. Needs cc and ar.
"""

import pathlib
import re
import subprocess
import sys

# Archive: folder in cudarc's sources, names of the real library by preference, what its functions begin with.
LIBRARIES = {
    "cuda": ("driver", ["libcuda.so.1"], r"cu[A-Z]\w*"),
    "cublas": ("cublas", ["libcublas.so.13", "libcublas.so.12"], r"cublas\w+"),
    "cublasLt": ("cublaslt", ["libcublasLt.so.13", "libcublasLt.so.12"], r"cublasLt\w+"),
    "curand": ("curand", ["libcurand.so.10"], r"curand\w+"),
    "nvrtc": ("nvrtc", ["libnvrtc.so.13", "libnvrtc.so.12"], r"nvrtc\w+"),
    "cudnn": ("cudnn", ["libcudnn.so.9"], r"cudnn\w+"),
}
# What a function's arguments may lie in, to be kept over the look-up.
REGISTERS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9", "rax"]

ENTRY = """.globl {name}
.type {name},@function
{name}: jmp *irn_{library}_table+{offset}(%rip)
.Lfirst{index}: pushq ${index}
 jmp irn_{library}_first
"""

LOOK_UP = """#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#define HIDDEN __attribute__((visibility("hidden")))
static const char *const functions[] = {{{functions}}};
static const char *const files[] = {{{files}, NULL}};
extern HIDDEN void *irn_{library}_table[];
static int missing(void) {{ return 100; }}
static void *open_first(void) {{
    void *library = NULL;
    for (int i = 0; files[i] && !library; i++) library = dlopen(files[i], RTLD_NOW | RTLD_GLOBAL);
    return library;
}}
/* Threads that come here at once find the same. */
HIDDEN void *irn_{library}_look_up(long index) {{
    void *library = open_first();
    void *function = library ? dlsym(library, functions[index]) : NULL;
    if (!function && getenv("IRN_CUDA_DEBUG"))
        fprintf(stderr, "irn: %s: %s\\n", functions[index], library ? "not in the library" : dlerror());
    if (!function) return (void *)missing;
    irn_{library}_table[index] = function;
    return function;
}}
"""


def functions_of(source, folder, pattern):
    """The names of the functions that cudarc declares for a library."""
    files = sorted((source / "src" / folder / "sys").rglob("*.rs"))
    text = "".join(file.read_text() for file in files)
    return sorted(set(re.findall(r"\bfn (" + pattern + r")\s*\(", text)))


def assembly(library, functions):
    """The jumps, and the common path of a first call: keep the arguments, look up, go there."""
    lines = [".text"]
    for index, name in enumerate(functions):
        lines.append(ENTRY.format(name=name, library=library, offset=8 * index, index=index))
    kept = 8 * len(REGISTERS)
    lines.append(f"irn_{library}_first:")
    lines += [f" pushq %{register}" for register in REGISTERS]
    lines.append(" subq $128,%rsp")
    lines += [f" movdqu %xmm{k},{16 * k}(%rsp)" for k in range(8)]
    # The return address, the index and the registers leave the stack 8 bytes off the 16 that a call needs.
    lines += [f" movq {128 + kept}(%rsp),%rdi", " subq $8,%rsp", f" call irn_{library}_look_up", " addq $8,%rsp"]
    lines.append(" movq %rax,%r11")
    lines += [f" movdqu {16 * k}(%rsp),%xmm{k}" for k in range(8)]
    lines.append(" addq $128,%rsp")
    lines += [f" popq %{register}" for register in reversed(REGISTERS)]
    lines += [" addq $8,%rsp", " jmp *%r11"]
    lines += [".data", ".p2align 3", f".globl irn_{library}_table", f".hidden irn_{library}_table"]
    lines.append(f"irn_{library}_table:")
    lines += [f" .quad .Lfirst{index}" for index in range(len(functions))]
    lines.append('.section .note.GNU-stack,"",@progbits')
    return "\n".join(lines) + "\n"


def write(library, source, out):
    """Writes and compiles lib`library`.a; the number of its functions."""
    folder, files, pattern = LIBRARIES[library]
    functions = functions_of(source, folder, pattern)
    if not functions:
        sys.exit(f"error: no function of {library} in {source}\nhint: is it the source of cudarc?")
    quoted = lambda names: ", ".join(f'"{name}"' for name in names)  # noqa: E731
    look_up = LOOK_UP.format(functions=quoted(functions), files=quoted(files), library=library)
    parts = {f"{library}_jumps.S": assembly(library, functions), f"{library}_look_up.c": look_up}
    objects = []
    for name, text in parts.items():
        (out / name).write_text(text)
        objects.append(str((out / name).with_suffix(".o")))
        subprocess.check_call(["cc", "-O1", "-fPIC", "-c", str(out / name), "-o", objects[-1]])
    archive = out / f"lib{library}.a"
    archive.unlink(missing_ok=True)
    subprocess.check_call(["ar", "rcs", str(archive), *objects])
    return len(functions)


def main():
    source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    counts = {library: write(library, source, out) for library in LIBRARIES}
    print("stand-ins:", ", ".join(f"{name} {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
