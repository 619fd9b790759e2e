//! Names in other people's checkpoints, and all the names upstream's files have for one parameter.
//!
//! torchvision's ResNet lacks the prefix `resnet50.`. Upstream registers every layer several times (as
//! part of the ResNet, of a stage, of `backbone`, of `newly_added`, `edge_layers` or `dp_layers`), so one
//! tensor stands under as many names. `DataParallel` puts `module.` before everything. The training class
//! of IRNet also saves its tables of pixel pairs (`path_indices*`, `disp_target`), which are no parameters.

/// Which of upstream's networks a file is of: `stage2` is another layer in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `net/resnet50_cam.py`; a bare ResNet too.
    Cam,
    /// `net/resnet50_irn.py`.
    Irn,
}

impl Family {
    /// Of the file that has these names.
    pub fn of<'a>(mut names: impl Iterator<Item = &'a str>) -> Self {
        let marks = ["fc_edge", "fc_dp", "edge_layers.", "dp_layers.", "stage5.", "backbone.4."];
        let is_irn = |name: &str| marks.iter().any(|mark| bare(name).starts_with(mark));
        if names.any(is_irn) { Self::Irn } else { Self::Cam }
    }

    /// Upstream's other prefixes with those of our names.
    fn aliases(self) -> Vec<(String, String)> {
        let mut stages = vec![
            ("stage1.0.".to_string(), "resnet50.conv1.".to_string()),
            ("stage1.1.".to_string(), "resnet50.bn1.".to_string()),
        ];
        let (first, count) = match self {
            Self::Cam => {
                stages.push(("stage1.4.".into(), "resnet50.layer1.".into()));
                (2, 4)
            }
            Self::Irn => (1, 5),
        };
        let layers = (first..=4).zip(2..=count);
        stages.extend(
            layers.map(|(layer, stage)| {
                (format!("stage{stage}.0."), format!("resnet50.layer{layer}."))
            }),
        );
        let backbone: Vec<_> = stages.iter().map(in_backbone).collect();
        let lists = match self {
            Self::Cam => vec![("newly_added.0.".into(), "classifier.".into())],
            Self::Irn => {
                let edge =
                    (1..=6).map(|i| (format!("edge_layers.{}.", i - 1), format!("fc_edge{i}.")));
                let dp = (1..=7).map(|i| (format!("dp_layers.{}.", i - 1), format!("fc_dp{i}.")));
                edge.chain(dp).collect()
            }
        };
        [stages, backbone, lists].concat()
    }
}

/// `stage2.0.` is `backbone.1.0.`.
fn in_backbone((stage, ours): &(String, String)) -> (String, String) {
    let (number, rest) = stage["stage".len()..].split_once('.').unwrap_or_default();
    let index = number.parse::<usize>().unwrap_or(1) - 1;
    (format!("backbone.{index}.{rest}"), ours.clone())
}

/// Without what `DataParallel` puts before a name.
fn bare(name: &str) -> &str {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("module.") {
        name = rest;
    }
    name
}

/// The mean shift once more, as a layer of the displacement branch.
const MEAN_SHIFT: [&str; 3] =
    ["mean_shift.running_mean", "fc_dp7.4.running_mean", "dp_layers.6.4.running_mean"];

/// The names of one file, made ours.
pub struct Names {
    aliases: Vec<(String, String)>,
}

impl Names {
    /// For a file of that network.
    pub fn of(family: Family) -> Self {
        Self { aliases: family.aliases() }
    }

    /// The name a stored tensor has in our networks, `None` for what they have no use for.
    pub fn ours(&self, name: &str) -> Option<String> {
        let name = bare(name);
        if name.ends_with(".num_batches_tracked") || name.starts_with("resnet50.fc.") {
            return None;
        }
        if MEAN_SHIFT.contains(&name) {
            return Some(MEAN_SHIFT[0].into());
        }
        let torchvision = ["conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."];
        if torchvision.iter().any(|prefix| name.starts_with(prefix)) {
            return Some(format!("resnet50.{name}"));
        }
        let own = ["resnet50.", "classifier.", "fc_edge", "fc_dp", "mean_shift."];
        if own.iter().any(|prefix| name.starts_with(prefix)) {
            return Some(name.to_string());
        }
        self.aliases.iter().find_map(|(alias, ours)| {
            name.strip_prefix(alias.as_str()).map(|rest| format!("{ours}{rest}"))
        })
    }

    /// All names upstream has for our `name`, that one first.
    pub fn upstream(&self, name: &str) -> Vec<String> {
        if name == MEAN_SHIFT[0] {
            return MEAN_SHIFT.map(String::from).to_vec();
        }
        let others = self.aliases.iter().filter_map(|(alias, ours)| {
            name.strip_prefix(ours.as_str()).map(|rest| format!("{alias}{rest}"))
        });
        std::iter::once(name.to_string()).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_ours() {
        let names = Names::of(Family::Irn);
        let same =
            ["resnet50.conv1.weight", "classifier.weight", "fc_edge6.bias", "fc_dp7.3.weight"];
        for name in same {
            assert_eq!(names.ours(name).as_deref(), Some(name));
        }
        let pairs = [
            ("layer4.2.bn3.bias", "resnet50.layer4.2.bn3.bias"),
            ("module.module.conv1.weight", "resnet50.conv1.weight"),
            ("fc_dp7.4.running_mean", "mean_shift.running_mean"),
            ("dp_layers.6.4.running_mean", "mean_shift.running_mean"),
            ("stage1.0.weight", "resnet50.conv1.weight"),
            ("stage2.0.1.bn1.bias", "resnet50.layer1.1.bn1.bias"),
            ("backbone.4.0.2.conv1.weight", "resnet50.layer4.2.conv1.weight"),
            ("edge_layers.5.bias", "fc_edge6.bias"),
            ("dp_layers.0.1.weight", "fc_dp1.1.weight"),
        ];
        for (theirs, ours) in pairs {
            assert_eq!(names.ours(theirs).as_deref(), Some(ours));
        }
        for name in ["fc.weight", "bn1.num_batches_tracked", "path_indices_0", "disp_target"] {
            assert_eq!(names.ours(name), None, "{name}");
        }
        let names = Names::of(Family::Cam);
        assert_eq!(names.ours("stage2.0.0.x").as_deref(), Some("resnet50.layer2.0.x"));
        assert_eq!(names.ours("backbone.0.4.0.x").as_deref(), Some("resnet50.layer1.0.x"));
        assert_eq!(names.ours("newly_added.0.weight").as_deref(), Some("classifier.weight"));
    }

    #[test]
    fn every_name_of_upstream_leads_back() {
        for family in [Family::Cam, Family::Irn] {
            let names = Names::of(family);
            let ours = [
                "resnet50.conv1.weight",
                "resnet50.bn1.running_var",
                "resnet50.layer1.0.conv1.weight",
                "resnet50.layer4.2.bn3.bias",
            ];
            for name in ours {
                let all = names.upstream(name);
                assert_eq!(all.len(), 3, "{all:?}");
                assert!(all.iter().all(|alias| names.ours(alias).as_deref() == Some(name)));
            }
        }
        let irn = Names::of(Family::Irn);
        assert_eq!(irn.upstream("fc_dp7.3.weight"), ["fc_dp7.3.weight", "dp_layers.6.3.weight"]);
        assert_eq!(irn.upstream("mean_shift.running_mean"), MEAN_SHIFT);
        let file = ["module.stage1.0.weight", "module.stage5.0.0.conv1.weight"];
        assert_eq!(Family::of(file.into_iter()), Family::Irn);
        assert_eq!(Family::of(file[..1].iter().copied()), Family::Cam);
    }
}
