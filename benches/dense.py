#!/usr/bin/env python3
"""Seconds of one product of two dense SIZE x SIZE matrices: the dense random walk is eight of them.

    dense.py BASELINE.py SIZE"""
import sys
import time

import torch

torch.set_num_threads(2)
size = int(sys.argv[2])
matrix = torch.rand(size, size) / size
start = time.perf_counter()
matrix @ matrix
print(time.perf_counter() - start)
