//! The golden vectors: every case of `index.json` (directory `IRN_GOLDEN`, default `tests/golden`) is
//! run by its group. A group without a runner, a case that can't be run, a value out of tolerance: all fail.

mod cam_net;
pub mod case;
mod coco;
pub mod compare;
mod crf;
mod eval;
#[cfg(feature = "cuda")]
mod gpu;
mod images;
mod instances;
mod interpolate;
mod irn_loss;
mod irnet;
mod labels;
mod make_cam;
mod path_index;
mod random_walk;
mod training;
pub mod weights;

use anyhow::Result;
use case::{Case, Index};

/// What runs one case of a group.
type Runner = fn(&Case) -> Result<()>;

const GROUPS: [(&str, Runner); 15] = [
    ("0_weights", weights::run),
    ("1_cam_net", cam_net::run),
    ("2_irnet", irnet::run),
    ("3_path_index", path_index::run),
    ("4_irn_loss", irn_loss::run),
    ("5_training", training::run),
    ("6_make_cam", make_cam::run),
    ("7_crf", crf::run),
    ("8_instances", instances::run),
    ("9_random_walk", random_walk::run),
    ("10_labels", labels::run),
    ("11_eval", eval::run),
    ("12_images", images::run),
    ("13_interpolate", interpolate::run),
    ("14_coco", coco::run),
];

/// Runs every case of `group` and reports all failures together.
fn run_group(group: &str) {
    let index = Index::open().expect("the golden index");
    let run = GROUPS.iter().find(|(name, _)| *name == group).expect("a group of the table").1;
    let names = index.names_of(group);
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let outcome = index.case(name).and_then(|case| run(&case));
            outcome.err().map(|error| format!("{name}: {error:#}"))
        })
        .collect();
    println!("{group}: {} of {} cases agree", names.len() - failures.len(), names.len());
    assert!(failures.is_empty(), "{group}:\n{}", failures.join("\n"));
}

#[test]
fn every_group_has_a_runner() {
    let index = Index::open().expect("the golden index");
    for group in index.groups() {
        assert!(GROUPS.iter().any(|(name, _)| *name == group), "no runner for group {group}");
    }
    assert!(!index.groups().is_empty(), "an empty index proves nothing");
}

macro_rules! group_tests {
    ($($test:ident => $group:literal),* $(,)?) => {
        $(#[test] fn $test() { run_group($group); })*
    };
}

group_tests! {
    group_00_weights => "0_weights",
    group_01_cam_net => "1_cam_net",
    group_02_irnet => "2_irnet",
    group_03_path_index => "3_path_index",
    group_04_irn_loss => "4_irn_loss",
    group_05_training => "5_training",
    group_06_make_cam => "6_make_cam",
    group_07_crf => "7_crf",
    group_08_instances => "8_instances",
    group_09_random_walk => "9_random_walk",
    group_10_labels => "10_labels",
    group_11_eval => "11_eval",
    group_12_images => "12_images",
    group_13_interpolate => "13_interpolate",
    group_14_coco => "14_coco",
}
