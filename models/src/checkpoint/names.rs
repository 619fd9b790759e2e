//! Names in other people's checkpoints.

/// The name a stored tensor has in our networks, `None` for what they have no use for.
///
/// torchvision's ResNet lacks the prefix `resnet50.`; upstream stores every tensor under several names
/// (`stage1.*`, `backbone.*`, `newly_added.*`, `edge_layers.*`, `dp_layers.*`) and tables of pixel pairs
/// besides; `DataParallel` puts `module.` before everything.
pub fn ours(name: &str) -> Option<String> {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("module.") {
        name = rest;
    }
    if name.ends_with(".num_batches_tracked") || name.starts_with("resnet50.fc.") {
        return None;
    }
    // The mean shift once more, as a layer of the displacement branch.
    if name == "fc_dp7.4.running_mean" {
        return Some("mean_shift.running_mean".into());
    }
    let torchvision = ["conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."];
    if torchvision.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(format!("resnet50.{name}"));
    }
    let own = ["resnet50.", "classifier.", "fc_edge", "fc_dp", "mean_shift."];
    own.iter().any(|prefix| name.starts_with(prefix)).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_ours() {
        let same =
            ["resnet50.conv1.weight", "classifier.weight", "fc_edge6.bias", "fc_dp7.3.weight"];
        for name in same {
            assert_eq!(ours(name).as_deref(), Some(name));
        }
        assert_eq!(ours("layer4.2.bn3.bias").as_deref(), Some("resnet50.layer4.2.bn3.bias"));
        assert_eq!(ours("module.module.conv1.weight").as_deref(), Some("resnet50.conv1.weight"));
        assert_eq!(ours("fc_dp7.4.running_mean").as_deref(), Some("mean_shift.running_mean"));
        let dropped = [
            "fc.weight",
            "bn1.num_batches_tracked",
            "stage1.0.weight",
            "backbone.0.weight",
            "newly_added.0.weight",
            "edge_layers.0.0.weight",
            "dp_layers.6.4.running_mean",
            "path_indices_0",
            "disp_target",
        ];
        for name in dropped {
            assert_eq!(ours(name), None, "{name}");
        }
    }
}
