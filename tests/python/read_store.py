"""Reads a store with h5py alone; prints what it found as JSON. Usage: read_store.py DIRECTORY"""

import json
import sys
import zlib

import h5py

found = {}
with h5py.File(f"{sys.argv[1]}/store.h5", "r") as store:
    found["attributes"] = {
        "format": store.attrs["format"].decode(),
        "format_version": int(store.attrs["format_version"]),
        "dataset": store.attrs["dataset"].decode(),
        "classes": [name.decode() for name in store.attrs["classes"]],
    }
    for stage, items in store.items():
        assert items.attrs["meaning"]
        if "settings" in items.attrs:
            found[f"{stage} settings"] = json.loads(items.attrs["settings"])
        for name, item in items.items():
            for key, values in item.items():
                array = values[()]
                assert zlib.crc32(array.tobytes()) == values.attrs["crc32"], (stage, name, key)
                found[f"{stage}/{name}/{key}"] = [
                    str(array.dtype), list(array.shape), float(array.sum())
                ]
            for key, text in item.attrs.items():
                if key != "crc32":
                    found[f"{stage}/{name}@{key}"] = text.decode()
print(json.dumps(found))
