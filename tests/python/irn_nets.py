"""The modules of upstream's two networks, registered under upstream's names, of any ResNet and width."""
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, c_in, width, c_out, stride):
        super().__init__()
        self.deep = c_out != width
        if self.deep:
            self.conv1, self.bn1 = nn.Conv2d(c_in, width, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
            self.conv3, self.bn3 = nn.Conv2d(width, c_out, 1, bias=False), nn.BatchNorm2d(c_out)
        else:
            self.conv1, self.bn1 = nn.Conv2d(c_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
            self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.deep:
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, depth, deep, stem):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem)
        self.relu, self.maxpool = nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.channels = [stem]
        for i, (blocks, stride) in enumerate(zip(depth, (1, 2, 2, 1))):
            width = stem * 2**i
            c_out = width * (4 if deep else 1)
            sizes = [self.channels[-1]] + [c_out] * (blocks - 1)
            layer = [Block(c, width, c_out, stride if j == 0 else 1) for j, c in enumerate(sizes)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))
            self.channels.append(c_out)


class Cam(nn.Module):
    """net/resnet50_cam.py: Net and CAM."""

    def __init__(self, depth=(3, 4, 6, 3), deep=True, stem=64, classes=20):
        super().__init__()
        r = self.resnet50 = ResNet(depth, deep, stem)
        self.stage1 = nn.Sequential(r.conv1, r.bn1, r.relu, r.maxpool, r.layer1)
        self.stage2, self.stage3, self.stage4 = (nn.Sequential(x) for x in (r.layer2, r.layer3, r.layer4))
        self.classifier = nn.Conv2d(r.channels[-1], classes, 1, bias=False)
        self.backbone = nn.ModuleList([self.stage1, self.stage2, self.stage3, self.stage4])
        self.newly_added = nn.ModuleList([self.classifier])

    def forward(self, x):
        """Scores of every class at every cell."""
        return self.classifier(self.stage4(self.stage3(self.stage2(self.stage1(x)))))


class MeanShift(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(2))

    def forward(self, x):
        return x - self.running_mean.view(1, 2, 1, 1)


def head(c_in, c_out, groups, factor):
    layers = [nn.Conv2d(c_in, c_out, 1, bias=False), nn.GroupNorm(groups, c_out)]
    if factor > 1:
        layers.append(nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False))
    return nn.Sequential(*layers, nn.ReLU())


class Irn(nn.Module):
    """net/resnet50_irn.py: Net and EdgeDisplacement."""

    def __init__(self, depth=(3, 4, 6, 3), deep=True, stem=64):
        super().__init__()
        r = self.resnet50 = ResNet(depth, deep, stem)
        c = r.channels
        self.stage1 = nn.Sequential(r.conv1, r.bn1, r.relu, r.maxpool)
        for i in range(1, 5):
            setattr(self, f"stage{i + 1}", nn.Sequential(getattr(r, f"layer{i}")))
        self.mean_shift = MeanShift()
        for i, factor in enumerate((1, 1, 2, 4, 4)):
            setattr(self, f"fc_edge{i + 1}", head(c[i], 32, 4, factor))
        self.fc_edge6 = nn.Conv2d(160, 1, 1)
        heads = [(c[0], 64, 8, 1), (c[1], 128, 16, 1), (c[2], 256, 16, 1), (c[3], 256, 16, 2), (c[4], 256, 16, 2)]
        for i, shape in enumerate(heads + [(768, 256, 16, 2)]):
            setattr(self, f"fc_dp{i + 1}", head(*shape))
        conv, out = nn.Conv2d(448, 256, 1, bias=False), nn.Conv2d(256, 2, 1, bias=False)
        self.fc_dp7 = nn.Sequential(conv, nn.GroupNorm(16, 256), nn.ReLU(), out, self.mean_shift)
        self.backbone = nn.ModuleList([getattr(self, f"stage{i}") for i in range(1, 6)])
        self.edge_layers = nn.ModuleList([getattr(self, f"fc_edge{i}") for i in range(1, 7)])
        self.dp_layers = nn.ModuleList([getattr(self, f"fc_dp{i}") for i in range(1, 8)])

    def forward(self, x):
        """Boundary logits and displacements."""
        xs = []
        for stage in self.backbone:
            x = stage(x)
            xs.append(x)

        def cut(y, like):
            return y[..., : like.size(2), : like.size(3)]

        edge = [layer(x) for layer, x in zip(self.edge_layers, xs)]
        edge = [edge[0], edge[1]] + [cut(e, edge[1]) for e in edge[2:]]
        dp = [layer(x) for layer, x in zip(self.dp_layers, xs)]
        dp[3], dp[4] = cut(dp[3], dp[2]), cut(dp[4], dp[2])
        up = cut(self.fc_dp6(torch.cat(dp[2:5], 1)), dp[1])
        return self.fc_edge6(torch.cat(edge, 1)), self.fc_dp7(torch.cat([dp[0], dp[1], up], 1))
