"""Loads DIR/ours.pth as upstream does (strict), writes the outputs for DIR/image.npy, and saves the weights in four ways."""
import sys
from pathlib import Path

import numpy as np
import torch

import irn_nets

network, folder = sys.argv[1], Path(sys.argv[2])
net = irn_nets.Cam() if network == "cam" else irn_nets.Irn()
state = torch.load(folder / "ours.pth", weights_only=True)
print(net.load_state_dict(state, strict=True))
storages = {tensor.untyped_storage().data_ptr() for tensor in state.values()}
assert len(storages) < len(state), "every name of a parameter is one storage"
net.eval()
image = torch.tensor(np.load(folder / "image.npy"))
with torch.no_grad():
    if network == "cam":
        np.save(folder / "logits.npy", net(image).mean((2, 3)).numpy())
    else:
        edge, dp = net(image)
        np.save(folder / "edge_logit.npy", edge.numpy())
        np.save(folder / "dp_eval.npy", dp.numpy())
        # The training class saves its tables, too.
        net.register_buffer("path_indices_0", torch.arange(9))
        net.register_buffer("disp_target", torch.zeros(1, 2, 3))
torch.save(net.state_dict(), folder / "zip.pth")
torch.save(net.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
torch.save(torch.nn.DataParallel(net).state_dict(), folder / "parallel.pth")
nested = {"epoch": 5, "state_dict": dict(net.named_parameters()) | dict(net.named_buffers())}
torch.save(nested, folder / "nested.pth", _use_new_zipfile_serialization=False)
