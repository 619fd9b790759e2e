"""Zeroes the machine code of other GPUs in a CUDA library, so that it packs small: python3 shrink.py FROM TO 90[,80]

A fat binary holds the same kernels for many architectures. Only the listed ones (90 is Hopper) keep their code; a
kernel that exists for none of them keeps its PTX. The file stays as long as it was and packs to a fraction.
"""

import pathlib
import struct
import subprocess
import sys

MAGIC = 0xBA55ED50
PTX, CODE = 1, 2


def sections(path):
    """Offset and size of every section of fat binaries."""
    listed = subprocess.check_output(["readelf", "-SW", path], text=True)
    for line in listed.replace("[ ", "[").splitlines():
        parts = line.split()
        if len(parts) > 6 and parts[1].startswith((".nv_fatbin", "__nv_relfatbin")):
            yield int(parts[4], 16), int(parts[5], 16)


def entries(data, start, end):
    """Kind, architecture, offset and size of every image of a fat binary."""
    while start + 64 <= end:
        kind, _, header, size = struct.unpack_from("<HHIQ", data, start)
        (architecture,) = struct.unpack_from("<I", data, start + 28)
        if header < 32 or start + header + size > end:
            sys.exit(f"error: an image at {start:#x} that is not understood")
        yield kind, architecture, start + header, size
        start += header + size


def shrink(data, offset, size, keep):
    """Zeroes what is not kept of a section; the number of bytes."""
    at, zeroed = offset, 0
    while at + 16 <= offset + size:
        magic, _, header, length = struct.unpack_from("<IHHQ", data, at)
        if magic != MAGIC:
            at += 8
            continue
        end = at + header + length
        images = list(entries(data, at + header, end))
        fits = any(kind == CODE and architecture in keep for kind, architecture, _, _ in images)
        for kind, architecture, start, count in images:
            kept = (kind == CODE and architecture in keep) or (kind == PTX and not fits)
            if not kept:
                data[start : start + count] = bytes(count)
                zeroed += count
        at = (end + 7) & ~7
    return zeroed


def main():
    source, target, keep = sys.argv[1], sys.argv[2], {int(part) for part in sys.argv[3].split(",")}
    data = bytearray(pathlib.Path(source).read_bytes())
    zeroed = sum(shrink(data, offset, size, keep) for offset, size in sections(source))
    pathlib.Path(target).write_bytes(data)
    print(f"{source}: {zeroed / 2**20:.0f} of {len(data) / 2**20:.0f} MiB zeroed")


if __name__ == "__main__":
    main()
