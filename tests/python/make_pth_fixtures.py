"""Makes tests/fixtures/pth/{cam,irn}_{zip,legacy}.pth and py2_2017.pth: small networks as PyTorch saves them.

Every parameter is a window on one of a few short storages, so that whole networks take some kilobytes.
Beside them the outputs that PyTorch computes, `cam.npy`, `edge.npy`, `dp.npy`, for the image of `image()`.
"""
import struct
from pathlib import Path

import numpy as np
import torch

import irn_nets

OUT = Path(__file__).parent.parent / "fixtures" / "pth"
LENGTH = 1500


def image():
    c, y, x = np.mgrid[0:3, 0:33, 0:47]
    return torch.tensor((((7 * c + 3 * y + 5 * x) % 23) / 11.0 - 1.0).astype("f4"))[None]


def windows(net, seed):
    """Gives every parameter and buffer of `net` values of its own out of shared storages."""
    pools = {}
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, tensor in {**dict(net.named_parameters()), **dict(net.named_buffers())}.items():
            if not tensor.is_floating_point():
                continue
            shape = tuple(tensor.shape)
            fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 0
            low, high = -0.25, 0.25
            if fan_in:
                low, high = -((6 / fan_in) ** 0.5), (6 / fan_in) ** 0.5
            elif name.endswith("running_var") or (name.endswith("weight")):
                low, high = 0.5, 1.5
            pool = pools.setdefault((low, high), torch.tensor(rng.uniform(low, high, LENGTH).astype("f4")))
            free = LENGTH - 1 - 50
            strides = [max(1, min(13, free // 2 // max(side, 1))) for side in shape]
            reach = sum((side - 1) * stride for side, stride in zip(shape, strides))
            tensor.data = pool.as_strided(shape, strides, int(rng.integers(0, LENGTH - reach)))
    net.eval()


def networks():
    small = dict(depth=(2, 2, 2, 2), deep=False, stem=8)
    cam, irn = irn_nets.Cam(classes=3, **small), irn_nets.Irn(**small)
    windows(cam, 1)
    windows(irn, 2)
    with torch.no_grad():
        np.save(OUT / "cam.npy", cam(image()).numpy())
        edge, dp = irn(image())
        np.save(OUT / "edge.npy", edge.numpy())
        np.save(OUT / "dp.npy", dp.numpy())
    irn.register_buffer("path_indices_0", torch.arange(6))
    irn.register_buffer("disp_target", torch.zeros(1, 2, 3))
    for name, net in (("cam", cam), ("irn", torch.nn.DataParallel(irn))):
        torch.save(net.state_dict(), OUT / f"{name}_zip.pth")
        torch.save(net.state_dict(), OUT / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)


class Writer:
    """Pickles as Python 2 and PyTorch 0.3 wrote them."""

    def __init__(self):
        self.out = b"\x80\x02"

    def text(self, text):
        self.out += b"U" + bytes([len(text)]) + text.encode()
        return self

    def raw(self, code):
        self.out += code
        return self

    def int(self, value):
        self.out += b"J" + struct.pack("<i", value)
        return self

    def sizes(self, sizes):
        self.raw(b"(")
        for size in sizes:
            self.int(size)
        return self.raw(b"t")

    def tensor(self, key, length, view, offset, dims, strides):
        self.raw(b"ctorch._utils\n_rebuild_tensor\n((").text("storage").raw(b"ctorch.cuda\nFloatStorage\n")
        self.text(key).text("cuda:0").int(length)
        if view is None:
            self.raw(b"N")
        else:
            self.raw(b"(").text("view").int(view[0]).int(view[1]).raw(b"t")
        return self.raw(b"tQ").int(offset).sizes(dims).sizes(strides).raw(b"tR")

    def parameter(self, *arguments):
        """`Parameter(data)` with the state (requires_grad, volatile, hooks)."""
        self.raw(b"ctorch.nn.parameter\nParameter\n").tensor(*arguments)
        return self.raw(b"\x85R\x88\x89ccollections\nOrderedDict\n]\x85R\x87b")


def python2():
    """{"epoch": 5, "state_dict": OrderedDict([["module.conv1.weight", ...], ...])}"""
    w = Writer().raw(b"}(").text("epoch").int(5).text("state_dict")
    w.raw(b"ccollections\nOrderedDict\n(](")
    w.raw(b"](").text("module.conv1.weight").parameter("1", 6, None, 0, (2, 3, 1, 1), (1, 2, 1, 1)).raw(b"e")
    w.raw(b"](").text("module.bn1.running_var").tensor("2", 5, (2, 2), 0, (2,), (1,)).raw(b"e")
    w.raw(b"](").text("module.bn1.bias").parameter("2", 5, None, 1, (2,), (3,)).raw(b"e")
    w.raw(b"etRu.")
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    protocol = b"\x80\x02M\xe9\x03."
    system = Writer().raw(b"}(").text("protocol_version").raw(b"M\xe9\x03").text("little_endian").raw(b"\x88u.").out
    keys = Writer().raw(b"](").text("1").text("2").raw(b"e.").out
    data = b"".join(struct.pack("<q", len(v)) + np.array(v, "<f4").tobytes() for v in (range(6), range(10, 15)))
    (OUT / "py2_2017.pth").write_bytes(magic + protocol + system + w.out + keys + data)
    state = torch.load(OUT / "py2_2017.pth", weights_only=False, map_location="cpu")["state_dict"]
    assert state["module.conv1.weight"].flatten().tolist() == [0, 2, 4, 1, 3, 5], state
    assert state["module.bn1.running_var"].tolist() == [12, 13], state
    assert state["module.bn1.bias"].tolist() == [11, 14], state


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("echo executed",)


def hostile():
    torch.save({"conv1.weight": torch.zeros(1), "x": Hostile()}, OUT / "hostile.pth")
    torch.save(
        {"x": Hostile()}, OUT / "hostile_legacy.pth", _use_new_zipfile_serialization=False
    )
    huge = torch.zeros(1).expand(1 << 20, 1 << 20, 1 << 10)
    torch.save({"conv1.weight": huge}, OUT / "huge.pth")
    torch.save({"conv1.weight": huge}, OUT / "huge_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    networks()
    hostile()
    python2()
