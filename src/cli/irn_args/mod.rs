//! The original's command line (`run_sample.py`) as settings of ours, flag by flag;
//! `docs/moving-from-irn.md` is the table for people.

mod flags;
mod words;

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use flags::Meaning::{
    self, CamWeights, Directory, EvalSet, List, Network, Nothing, Number, Path as PathTo, Scales,
    Steps,
};
use flags::{FLAGS, full_name};
use words::words;

use crate::Hint;
use crate::config::Pass;

/// The settings (`key=value`) that `text`, the original's command line, asks for; its defaults for lists
/// and files included. What has no meaning here is said on standard error.
///
/// # Errors
/// A flag that the original does not have, a value that is none.
pub fn overrides(text: &str) -> Result<Vec<String>> {
    let given = pairs(&words(text)?)?;
    let mut settings = vec![quoted("run.out", "result")?, "cam.write_npy=true".into()];
    let labels = "voc12/cls_labels.npy";
    if Path::new(labels).is_file() {
        settings.push(quoted("data.labels", labels)?);
    }
    let mut left_out = Vec::new();
    for (flag, meaning, default) in FLAGS {
        // As with argparse the last one counts.
        let value = given.iter().rev().find(|(name, _)| *name == flag).map(|(_, value)| &**value);
        if let Some(value) = value.or(default) {
            let set = apply(meaning, value, &mut left_out).with_context(|| format!("--{flag}"))?;
            settings.extend(set);
        }
    }
    if !left_out.is_empty() {
        let kept = Pass::ALL.into_iter().filter(|pass| !left_out.contains(pass));
        let kept = serde_json::to_string(&kept.collect::<Vec<_>>())?;
        settings.push(format!("run.passes={kept}"));
    }
    Ok(settings)
}

fn apply(meaning: Meaning, value: &str, left_out: &mut Vec<Pass>) -> Result<Option<String>> {
    let set = match meaning {
        Number(key) => {
            let number: f64 = value.parse().with_context(|| format!("'{value}' is no number"))?;
            format!("{key}={number}")
        }
        PathTo(key) | Directory(key) => quoted(key, value)?,
        List(key) => quoted(key, &list(value))?,
        EvalSet => quoted("data.eval_list", &format!("{value}.txt"))?,
        Scales => format!("cam.scales={}", scales(value)?),
        Network => quoted("network.backbone", backbone(value)?)?,
        CamWeights => quoted("run.cam_weights", &format!("{value}.pth"))?,
        Steps(passes) => {
            if !truth(value)? {
                left_out.extend(passes);
            }
            return Ok(None);
        }
        Nothing(reason) => {
            eprintln!("irn-args: '{value}' has no effect: {reason}");
            return Ok(None);
        }
    };
    Ok(Some(set))
}

/// `key="value"`, so that no value is taken for anything but text.
fn quoted(key: &str, value: &str) -> Result<String> {
    Ok(format!("{key}={}", serde_json::to_string(value)?))
}

/// The original's lists lie in its own folder `voc12`; where that is not at hand, VOC has the same ones.
fn list(path: &str) -> String {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    if Path::new(path).is_file() { path.to_string() } else { name.unwrap_or_default() }
}

fn scales(tuple: &str) -> Result<String> {
    let inner = tuple.trim().trim_matches(['(', ')', '[', ']']);
    let parts = inner.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
    let scales: Vec<f64> = parts
        .map(|part| part.parse().with_context(|| format!("'{part}' is no scale")))
        .collect::<Result<_>>()?;
    Ok(serde_json::to_string(&scales)?)
}

fn backbone(module: &str) -> Result<&'static str> {
    let name = module.rsplit('.').next().unwrap_or(module);
    let known = ["resnet18", "resnet34", "resnet50", "resnet101"];
    let found = known
        .into_iter()
        .find(|known| name.strip_prefix(known).is_some_and(|rest| matches!(rest, "_cam" | "_irn")));
    found
        .ok_or_else(|| anyhow!("the network '{module}' is not known here"))
        .hint("there are net.resnet50_cam and net.resnet50_irn, and the same of resnet18, 34, 101")
}

/// What the value says; the original skips the step whatever it is (defect B10).
fn truth(value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" | "none" | "" => Ok(false),
        _ => bail!("'{value}' is neither True nor False"),
    }
}

/// Flags, in full, with their values.
fn pairs(words: &[String]) -> Result<Vec<(&'static str, String)>> {
    let mut pairs = Vec::new();
    let mut words = words.iter().peekable();
    // The command itself may stand before its flags.
    while words.next_if(|word| !word.starts_with("--") && is_command(word)).is_some() {}
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--") else {
            return Err(anyhow!("'{word}' is no flag of the original"))
                .hint("its flags begin with --, each with one value");
        };
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_string())),
            None => (flag, words.next_if(|word| !word.starts_with("--")).cloned()),
        };
        let flag = full_name(flag)?;
        pairs.push((flag, value.with_context(|| format!("--{flag} needs a value"))?));
    }
    Ok(pairs)
}

fn is_command(word: &str) -> bool {
    word.starts_with("python") || word.ends_with(".py")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Config, load};

    fn config(text: &str) -> Config {
        load(None, &overrides(text).unwrap()).unwrap()
    }

    #[test]
    fn the_originals_command_line_becomes_settings() {
        let text = "python3 run_sample.py --voc12_root ../VOC2012 --cam_num_epoches=7 \\\n \
            --cam_learning_rate 0.05 --cam_scales '(1.0, 0.5)' --conf_fg_thres 0.35 \
            --irn_batch_size 16 --exp_times 6 --beta 8 --sem_seg_bg_thres 0.3 --num_workers 4 \
            --train_cam_pass False --eval_cam_pass True --cam_weights_name \"my sess/a.pth\" \
            --sem_seg_out_dir elsewhere/sem --infer_list voc12/val.txt --chainer_eval_set val";
        let config = config(text);
        assert_eq!(config.data.root, PathBuf::from("../VOC2012"));
        assert_eq!((config.cam.train.epochs, config.cam.train.rate), (7, 0.05));
        assert_eq!(config.cam.scales, [1.0, 0.5]);
        assert_eq!((config.ir_label.conf_fg, config.ir_label.conf_bg), (0.35, 0.05));
        assert_eq!((config.irn.train.batch, config.run.threads), (16, 4));
        assert_eq!(config.sem_seg.background, 0.3);
        assert!(!config.run.passes.contains(&Pass::TrainCam));
        assert_eq!(config.run.passes.len(), Pass::ALL.len() - 1);
        assert_eq!(config.run.cam_weights, Some("my sess/a.pth.pth".into()));
        assert_eq!(config.run.irn_weights, Some("sess/res50_irn.pth".into()));
        assert_eq!(config.run.dir("sem_seg"), PathBuf::from("elsewhere/sem"));
        assert_eq!(config.run.dir("cam"), PathBuf::from("result/cam"));
        assert_eq!(config.data.infer_list, Some("val.txt".into()));
        assert_eq!(config.data.eval_list, Some("val.txt".into()));
        assert!(config.cam.write_npy);
    }

    #[test]
    fn every_flag_is_taken() {
        for (flag, meaning, _) in FLAGS {
            let value = match meaning {
                Number(_) => "3",
                Network => "net.resnet50_irn",
                Scales => "1.0,0.5",
                Steps(_) => "True",
                _ => "x",
            };
            let config = load(None, &overrides(&format!("--{flag} {value}")).unwrap());
            assert!(config.is_ok(), "--{flag}: {:#}", config.unwrap_err());
        }
    }

    #[test]
    fn what_the_original_does_not_have_is_refused_by_name() {
        let report = |text: &str| crate::error::report(&overrides(text).unwrap_err());
        let text = report("--cam_num_epochs 3");
        assert!(text.contains("--cam_num_epochs") && text.contains("--cam_num_epoches"), "{text}");
        assert!(report("--cam_num_epoches many").contains("'many'"));
        assert!(report("--cam_num_epoches").contains("needs a value"));
        assert!(report("--cam 3").contains("may be any of"));
        assert!(report("--train_cam_pass perhaps").contains("perhaps"));
        assert!(report("--cam_network net.vgg_cam").contains("net.vgg_cam"));
        assert!(report("--beta 'x").contains("quote"));
        assert_eq!(config("--cam_num 4").cam.train.epochs, 4);
    }
}
