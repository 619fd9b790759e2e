//! Thresholds of the methods that carry an IRN stage, as their authors published them (INTEROP
//! section 3): a preset lies between the defaults and the settings file.

use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

use super::Config;

/// Classes of COCO, for which some methods take other thresholds.
const COCO_CLASSES: usize = 80;

/// Whose CAMs the IRN stage works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Ahn, Cho, Kwak 2019: this program's own defaults.
    Irn,
    /// Lee et al. 2021.
    Advcam,
    /// Lee et al. 2021.
    Rib,
    /// Chen et al. 2022.
    Recam,
    /// Chen and Sun 2023.
    Lpcam,
    /// Lee et al. 2022.
    Amn,
    /// Xie et al. 2022.
    Clims,
    /// Lee et al. 2022.
    Wood,
}

/// The settings of a preset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// `ir_label.conf_fg`.
    pub conf_fg: f32,
    /// `ir_label.conf_bg`.
    pub conf_bg: f32,
    /// `sem_seg.background`.
    pub background: f32,
    /// `sem_seg.cam_power`.
    pub cam_power: f32,
}

impl Method {
    /// Name on the command line and in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Irn => "irn",
            Self::Advcam => "advcam",
            Self::Rib => "rib",
            Self::Recam => "recam",
            Self::Lpcam => "lpcam",
            Self::Amn => "amn",
            Self::Clims => "clims",
            Self::Wood => "wood",
        }
    }

    /// The thresholds for a data set of so many classes; 80 are taken for COCO's.
    pub fn preset(self, n_classes: usize) -> Preset {
        let coco = n_classes == COCO_CLASSES;
        let (conf_fg, conf_bg, background, cam_power) = match self {
            Self::Irn => (0.30, 0.05, 0.25, 1.0),
            Self::Advcam => (0.35, 0.15, 0.25, 1.5),
            Self::Rib => (0.35, 0.17, if coco { 0.22 } else { 0.27 }, 1.3),
            Self::Recam => (0.35, 0.10, if coco { 0.25 } else { 0.28 }, 1.0),
            Self::Lpcam => (0.45, 0.25, 0.35, 1.0),
            Self::Amn => (0.45, 0.15, 0.25, 1.3),
            Self::Clims if coco => (0.35, 0.10, 0.25, 1.0),
            Self::Clims => (0.30, 0.10, 0.20, 1.0),
            Self::Wood => (0.35, 0.15, 0.22, 1.5),
        };
        Preset { conf_fg, conf_bg, background, cam_power }
    }
}

impl Preset {
    /// Keys and values.
    fn settings(&self) -> [(&'static str, &'static str, f32); 4] {
        [
            ("ir_label", "conf_fg", self.conf_fg),
            ("ir_label", "conf_bg", self.conf_bg),
            ("sem_seg", "background", self.background),
            ("sem_seg", "cam_power", self.cam_power),
        ]
    }

    /// As a settings file would say it.
    pub fn to_value(self) -> Value {
        let mut tree = Mapping::new();
        for (group, key, value) in self.settings() {
            let group = tree.entry(group.into()).or_insert_with(|| Value::Mapping(Mapping::new()));
            if let Value::Mapping(group) = group {
                group.insert(key.into(), value.into());
            }
        }
        Value::Mapping(tree)
    }
}

/// The method of a run and what was set otherwise than its preset: `advcam, but ir_label.conf_fg=0.4
/// (preset 0.35)`. `None` without a method.
pub fn described(config: &Config) -> Option<String> {
    let method = config.run.method?;
    let now = Preset {
        conf_fg: config.ir_label.conf_fg,
        conf_bg: config.ir_label.conf_bg,
        background: config.sem_seg.background,
        cam_power: config.sem_seg.cam_power,
    };
    let preset = method.preset(config.data.classes.len()).settings();
    let changed: Vec<String> = now
        .settings()
        .iter()
        .zip(preset)
        .filter(|(now, preset)| now.2 != preset.2)
        .map(|((group, key, now), preset)| format!("{group}.{key}={now} (preset {})", preset.2))
        .collect();
    let name = method.name();
    Some(if changed.is_empty() {
        name.into()
    } else {
        format!("{name}, but {}", changed.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    fn config(overrides: &[&str]) -> crate::config::Config {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        load(None, &overrides).unwrap()
    }

    #[test]
    fn a_preset_lies_under_overrides_and_both_are_told() {
        let advcam = config(&["run.method=advcam"]);
        assert_eq!((advcam.ir_label.conf_fg, advcam.ir_label.conf_bg), (0.35, 0.15));
        assert_eq!((advcam.sem_seg.background, advcam.sem_seg.cam_power), (0.25, 1.5));
        assert_eq!(super::described(&advcam).unwrap(), "advcam");
        let changed = config(&["ir_label.conf_fg=0.4", "run.method=advcam"]);
        assert_eq!((changed.ir_label.conf_fg, changed.ir_label.conf_bg), (0.4, 0.15));
        let text = super::described(&changed).unwrap();
        assert_eq!(text, "advcam, but ir_label.conf_fg=0.4 (preset 0.35)");
        assert_eq!(super::described(&config(&[])), None);
    }

    #[test]
    fn the_methods_default_is_the_programs() {
        let mut irn = config(&["run.method=irn"]);
        irn.run.method = None;
        assert_eq!(irn, config(&[]));
    }

    #[test]
    fn coco_has_thresholds_of_its_own() {
        let names: Vec<String> = (0..80).map(|i| format!("c{i}")).collect();
        let classes = format!("data.classes=[{}]", names.join(","));
        assert_eq!(config(&["run.method=rib", &classes]).sem_seg.background, 0.22);
        assert_eq!(config(&["run.method=rib"]).sem_seg.background, 0.27);
    }
}
