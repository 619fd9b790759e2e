//! The flags of `run_sample.py`, what each means here, and how they may be written.

use anyhow::{Result, anyhow, ensure};

use crate::Hint;
use crate::config::Pass;

/// What a flag of the original means here.
#[derive(Clone, Copy)]
pub enum Meaning {
    /// A number of this setting.
    Number(&'static str),
    /// A path of this setting, whatever it is.
    Path(&'static str),
    /// An image list.
    List(&'static str),
    /// The list that is evaluated, by its name without folder and suffix.
    EvalSet,
    /// Scales as Python writes a tuple.
    Scales,
    /// `net.resnet50_cam`.
    Network,
    /// `sess/res50_cam.pth`, to which the original adds another `.pth`.
    CamWeights,
    /// A directory of results.
    Directory(&'static str),
    /// Whether steps run.
    Steps(&'static [Pass]),
    /// Nothing here; the reason.
    Nothing(&'static str),
}

use Meaning::{
    CamWeights, Directory, EvalSet, List, Network, Nothing, Number, Path, Scales, Steps,
};

/// The flags of `run_sample.py` in its order, with their defaults where ours differ.
pub const FLAGS: [(&str, Meaning, Option<&str>); 42] = [
    ("num_workers", Number("run.threads"), None),
    ("voc12_root", Path("data.root"), None),
    ("train_list", List("data.train_list"), Some("voc12/train_aug.txt")),
    ("val_list", List("data.val_list"), None),
    ("infer_list", List("data.infer_list"), Some("voc12/train.txt")),
    ("chainer_eval_set", EvalSet, Some("train")),
    ("cam_network", Network, None),
    ("cam_crop_size", Number("cam.train.crop"), None),
    ("cam_batch_size", Number("cam.train.batch"), None),
    ("cam_num_epoches", Number("cam.train.epochs"), None),
    ("cam_learning_rate", Number("cam.train.rate"), None),
    ("cam_weight_decay", Number("cam.train.weight_decay"), None),
    ("cam_eval_thres", Number("cam.eval_threshold"), None),
    ("cam_scales", Scales, None),
    ("conf_fg_thres", Number("ir_label.conf_fg"), None),
    ("conf_bg_thres", Number("ir_label.conf_bg"), None),
    ("irn_network", Network, None),
    ("irn_crop_size", Number("irn.train.crop"), None),
    ("irn_batch_size", Number("irn.train.batch"), None),
    ("irn_num_epoches", Number("irn.train.epochs"), None),
    ("irn_learning_rate", Number("irn.train.rate"), None),
    ("irn_weight_decay", Number("irn.train.weight_decay"), None),
    ("beta", Number("walk.beta"), None),
    ("exp_times", Number("walk.exp_times"), None),
    ("ins_seg_bg_thres", Number("ins_seg.background"), None),
    ("sem_seg_bg_thres", Number("sem_seg.background"), None),
    ("log_name", Nothing("figures are in OUT/eval and OUT/report.html"), None),
    ("cam_weights_name", CamWeights, Some("sess/res50_cam.pth")),
    ("irn_weights_name", Path("run.irn_weights"), Some("sess/res50_irn.pth")),
    ("cam_out_dir", Directory("run.dirs.cam"), Some("result/cam")),
    ("ir_label_out_dir", Directory("run.dirs.ir_label"), Some("result/ir_label")),
    ("sem_seg_out_dir", Directory("run.dirs.sem_seg"), Some("result/sem_seg")),
    ("ins_seg_out_dir", Directory("run.dirs.ins_seg"), Some("result/ins_seg")),
    ("train_cam_pass", Steps(&[Pass::TrainCam]), None),
    ("make_cam_pass", Steps(&[Pass::MakeCam]), None),
    ("eval_cam_pass", Steps(&[Pass::EvalCam]), None),
    ("cam_to_ir_label_pass", Steps(&[Pass::MakeIrLabel, Pass::EvalIrLabel]), None),
    ("train_irn_pass", Steps(&[Pass::TrainIrn]), None),
    ("make_ins_seg_pass", Steps(&[Pass::MakeInsSeg, Pass::Coco]), None),
    ("eval_ins_seg_pass", Steps(&[Pass::EvalInsSeg]), None),
    ("make_sem_seg_pass", Steps(&[Pass::MakeSemSeg]), None),
    ("eval_sem_seg_pass", Steps(&[Pass::EvalSemSeg]), None),
];

/// The flag itself or, as argparse allows, an abbreviation that only one flag begins with.
pub fn full_name(flag: &str) -> Result<&'static str> {
    let names = || FLAGS.iter().map(|(name, ..)| *name);
    if let Some(name) = names().find(|name| *name == flag) {
        return Ok(name);
    }
    let begun: Vec<&str> = names().filter(|name| name.starts_with(flag)).collect();
    if let ([name], false) = (begun.as_slice(), flag.is_empty()) {
        return Ok(*name);
    }
    ensure!(begun.len() < 2 || flag.is_empty(), "--{flag} may be any of {}", begun.join(", "));
    let close = |name: &str| strsim::jaro_winkler(flag, name);
    let nearest = names().max_by(|a, b| close(a).total_cmp(&close(b))).unwrap_or_default();
    Err(anyhow!("the original has no flag --{flag}"))
        .hint(format!("the nearest one is --{nearest}"))
}
