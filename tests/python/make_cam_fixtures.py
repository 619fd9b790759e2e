"""Makes tests/fixtures/cams: one small file of every dialect of CAM files (NumPy, PyTorch)."""
import pickle
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).parent.parent / "fixtures" / "cams"
HIGH, WIDE = 10, 14
KEYS = [2, 6]


def maps(rows, height, width):
    """Row r, cell i: (r + 1) * i / n, which the tests know."""
    ramp = np.arange(height * width, dtype="f4").reshape(height, width) / (height * width)
    return np.stack([(r + 1) * ramp / rows for r in range(rows)]).astype("f4")


class Old:
    """A tensor as PyTorch 0.3 pickled it: four arguments."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        t = self.tensor
        arguments = (t._typed_storage(), t.storage_offset(), tuple(t.shape), t.stride())
        return torch._utils._rebuild_tensor, arguments


def save(name, entries, protocol=None):
    if protocol is None:
        np.save(OUT / name, entries)
        return
    array = np.empty((), dtype=object)
    array[()] = entries
    with open(OUT / name, "wb") as f:
        np.lib.format.write_array_header_1_0(f, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(array, f, protocol=protocol)


def main():
    OUT.mkdir(exist_ok=True)
    cam, high = maps(2, 3, 4), maps(2, HIGH, WIDE)
    keys = torch.tensor(KEYS)
    for protocol in (2, 3, 4, 5):
        entries = {"keys": keys, "cam": torch.tensor(cam), "high_res": high}
        save(f"irn_torch_{protocol}.npy", entries, protocol)
    save("irn_numpy.npy", {"keys": np.array(KEYS), "cam": cam, "high_res": high})
    save("irn_2017.npy", {"keys": Old(keys), "cam": Old(torch.tensor(cam)), "high_res": high}, 2)
    whole = torch.zeros(4, 5, 6)
    whole[1:3, 1:4, 2:] = torch.tensor(cam)
    view = {"keys": torch.tensor([9, 2, 6])[1:], "cam": whole[1:3, 1:4, 2:], "high_res": torch.tensor(high).double()}
    save("irn_view.npy", view)
    parameter = {"keys": keys.int(), "cam": torch.nn.Parameter(torch.tensor(cam)), "high_res": high}
    save("irn_parameter.npy", parameter)
    save("irn_unsorted.npy", {"keys": np.array(KEYS[::-1]), "cam": cam[::-1].copy(), "high_res": high[::-1].copy()})
    save("rib_empty.npy", {"keys": torch.tensor([], dtype=torch.int64)})
    save("clims_hr.npy", {"keys": keys, "cam": torch.tensor(cam), "hr_cam": high})
    save("clims_rw.npy", {"keys": np.array(KEYS), "rw": high})
    with_row = lambda x: np.concatenate([1 - x.max(0, keepdims=True), x])
    save("amn.npy", {"keys": keys, "cam": torch.tensor(with_row(cam)), "high_res": with_row(high)})
    save("sipe.npy", {"keys": np.array([0, 3, 7]), "IS_CAM": with_row(high)})
    save("psa.npy", dict(zip(KEYS, high)))
    save("psa_from_one.npy", {k + 1: h for k, h in zip(KEYS, high)})
    scores = np.concatenate([np.full((1, HIGH, WIDE), 0.5, "f4"), high])
    scores /= scores.sum(0)
    save("psa_crf.npy", {0: scores[0], 3: scores[1], 7: scores[2]})
    save("other.npy", {"scores": high})


if __name__ == "__main__":
    main()
