//! The stages: what runs, what it is compared with, what is asked for.

use anyhow::{Context, Result};

use super::inputs::Inputs;
use super::measure::Measured;
use super::peer::Work;
use super::{evaluation, labels, networks, photos, training};

/// A stage of ours.
pub struct Stage {
    /// Its name on the command line; where the peer has it too, the same name.
    pub name: &'static str,
    /// The peer's.
    pub peer: Work,
    /// How many times as fast as the peer ours has to be.
    pub target: Option<f64>,
    /// Threads of ours.
    pub threads: usize,
    /// Measures it.
    pub run: fn(&Inputs, usize) -> Result<Measured>,
}

impl Stage {
    /// The stage called `name`.
    pub fn named(name: &str) -> Result<&'static Self> {
        let found = STAGES.iter().find(|stage| stage.name == name);
        found.with_context(|| format!("no stage is called {name}; --list names them"))
    }
}

const fn stage(
    name: &'static str,
    peer: Work,
    target: f64,
    threads: usize,
    run: fn(&Inputs, usize) -> Result<Measured>,
) -> Stage {
    Stage { name, peer, target: Some(target), threads, run }
}

/// A stage without a peer, to see how it grows.
const fn alone(name: &'static str, run: fn(&Inputs, usize) -> Result<Measured>) -> Stage {
    Stage { name, peer: Work::Nothing, target: None, threads: 2, run }
}

/// All, in the order in which they run.
pub const STAGES: &[Stage] = &[
    stage("random_walk", Work::Dense, 8000.0, 2, labels::walk),
    stage("random_walk_sparse_way", Work::Stage("random_walk_sparse_way"), 10.0, 2, labels::walk),
    alone("random_walk_500x375", |_, _| labels::walk_at(94, 125)),
    alone("random_walk_800x600", |_, _| labels::walk_at(150, 200)),
    alone("random_walk_1024x768", |_, _| labels::walk_at(192, 256)),
    alone("random_walk_1536x1152", |_, _| labels::walk_at(288, 384)),
    alone("random_walk_2048x1536", |_, _| labels::walk_at(384, 512)),
    stage("crf_labels", Work::Stage("crf_labels"), 10.0, 2, labels::crf),
    stage("crf_labels_1_thread", Work::Stage("crf_labels"), 6.0, 1, labels::crf),
    stage("cam_train_512", Work::Stage("cam_train_512"), 1.3, 2, |i, _| training::cam(i, 512)),
    stage("cam_train_256", Work::Stage("cam_train_256"), 1.3, 2, |i, _| training::cam(i, 256)),
    stage("irn_train_512", Work::Stage("irn_train_512"), 2.0, 2, |i, _| training::irn(i)),
    stage("irn_train_512_tf32", Work::Stage("irn_train_512"), 2.0, 2, |i, _| training::irn_tf32(i)),
    stage("cam_50_photos", Work::Both("cam_infer", "cam_prep"), 1.15, 2, photos::cam),
    stage("irn_50_photos", Work::Stage("irn_infer"), 1.0, 2, photos::irn),
    stage("instance_post", Work::Stage("instance_post"), 10.0, 2, labels::instances),
    stage("evaluate_100", Work::Stage("evaluate_100"), 5.0, 2, evaluation::hundred),
    stage("cam_prep", Work::Stage("cam_prep"), 3.0, 2, networks::prepare),
];
