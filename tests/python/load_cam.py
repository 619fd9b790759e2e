"""Checks that numpy.load returns upstream's dict: load_cam.py FILE FIXTURES"""
import sys

import numpy as np

ours = np.load(sys.argv[1], allow_pickle=True).item()
theirs = np.load(sys.argv[2] + "/irn_numpy.npy", allow_pickle=True).item()
assert set(ours) == {"keys", "cam", "high_res"}, ours.keys()
assert ours["keys"].dtype == np.int64 and (ours["keys"] == theirs["keys"]).all()
for name in ("cam", "high_res"):
    assert ours[name].dtype == np.float32 and ours[name].shape == theirs[name].shape, name
assert np.abs(ours["high_res"] - theirs["high_res"]).max() < 1e-6
padded = np.pad(ours["high_res"], ((1, 0), (0, 0), (0, 0)), mode="constant", constant_values=0.15)
assert np.pad(ours["keys"] + 1, (1, 0), mode="constant")[np.argmax(padded, axis=0)].max() == 7
