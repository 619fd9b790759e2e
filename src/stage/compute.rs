//! Where the networks run in this process, decided once and said: see [`irn_export::device`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};
use irn_export::device::{Decision, Place, decide};
use irn_export::form;
use rayon::prelude::*;
use serde_json::Value;

use crate::config::{Config, Precision};
use crate::data::dataset::Item;
use crate::data::photo::{ExifRule, size_of};
use crate::error::Hint;
use crate::runtime::{ModelInfo, SessionOptions, shares};
use crate::store::Stage;

/// The places and how sessions compute there.
#[derive(Debug)]
pub struct Compute {
    decision: Decision,
    precision: Precision,
    threads: usize,
    sessions: Vec<SessionOptions>,
    /// What each stage's network ran on.
    said: Mutex<BTreeMap<Stage, String>>,
}

impl Compute {
    /// What `run.device` comes to on this machine.
    ///
    /// # Errors
    /// A device that was asked for and can't be had; no ONNX Runtime.
    pub fn decide(config: &Config) -> Result<Self> {
        let decision = decide(&config.run.device)?;
        let (precision, threads) = (config.infer.precision, config.run.thread_count());
        let sessions = sessions(config, &decision.places);
        Ok(Self { decision, precision, threads, sessions, said: Mutex::default() })
    }

    /// Says what runs the network `info` of a stage, and keeps it for the report.
    ///
    /// # Errors
    /// Those of [`Self::describe`].
    pub fn say(&self, stage: Stage, info: &ModelInfo) -> Result<()> {
        let device = self.describe(info)?;
        eprintln!("{stage}: device: {device}");
        self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(stage, device);
        Ok(())
    }

    /// What was said of a stage; nothing of one without a network.
    pub fn said(&self, stage: Stage) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(&stage).cloned().unwrap_or_default()
    }

    /// One entry a session, those on different devices in turn.
    pub fn sessions(&self) -> &[SessionOptions] {
        &self.sessions
    }

    /// The one session of work that can't be shared out, with all threads.
    pub fn single(&self) -> SessionOptions {
        SessionOptions { threads: self.threads, ..self.sessions[0] }
    }

    /// How many of `shapes` shapes of photos that come in turn need a session of their own.
    pub fn shapes(&self, shapes: usize) -> usize {
        if self.is_gpu() { shapes } else { 1 }
    }

    /// The items, on a GPU those with photos of one size (as `size` brings it to a canvas) after another: a change
    /// of size costs time there. An item whose photo can't be read goes first and is found out later.
    pub fn gathered<'a, S: Ord>(
        &self,
        items: &'a [Item],
        exif: ExifRule,
        size: impl Fn((usize, usize)) -> S,
    ) -> Cow<'a, [Item]> {
        if !self.is_gpu() {
            return items.into();
        }
        gathered(items, exif, size).into()
    }

    fn is_gpu(&self) -> bool {
        self.decision.driver.is_some()
    }

    /// The device, the library and the provider that run the model `info`, for logs and reports.
    ///
    /// # Errors
    /// A model whose numbers are others than `infer.precision` wants; no ONNX Runtime.
    pub fn describe(&self, info: &ModelInfo) -> Result<String> {
        let form = info.form.precision;
        if self.precision == Precision::F16 && form != form::Precision::F16 {
            return Err(anyhow!(
                "infer.precision is f16, and the model of {} is not",
                info.network
            ))
            .hint(
                "export it with `irn-export onnx CHECKPOINT --half`, or set infer.precision=tf32",
            );
        }
        let word = match form {
            form::Precision::F16 => "f16",
            form::Precision::Int8 => "int8",
            form::Precision::F32 => self.precision.name(),
        };
        let line = self.decision.describe(self.threads, word)?;
        let for_nothing = self.precision == Precision::Tf32 && !self.is_gpu();
        Ok(line + if for_nothing { "; f32, since only a GPU has tf32" } else { "" })
    }

    /// `settings` of a stage with the precision, where it makes the numbers others than the model says. The
    /// device does not: what was begun on one machine goes on on another.
    pub fn with_precision(&self, mut settings: Value) -> Value {
        if self.precision == Precision::Tf32 {
            settings["precision"] = self.precision.name().into();
        }
        settings
    }
}

fn gathered<S: Ord>(
    items: &[Item],
    exif: ExifRule,
    size: impl Fn((usize, usize)) -> S,
) -> Vec<Item> {
    let known = |item: &Item| size_of(&item.photo, exif).ok();
    let sizes: Vec<_> = items.par_iter().map(known).collect();
    let mut sized: Vec<_> = sizes.into_iter().map(|known| known.map(&size)).zip(items).collect();
    sized.sort_by(|(a, _), (b, _)| a.cmp(b));
    sized.into_iter().map(|(_, item)| item.clone()).collect()
}

fn sessions(config: &Config, places: &[Place]) -> Vec<SessionOptions> {
    let infer = &config.infer;
    let threads = config.run.thread_count();
    if places == [Place::Cpu] {
        let session = |threads| SessionOptions { threads, ..SessionOptions::default() };
        return shares(threads).map(session).collect();
    }
    let session = |&place: &Place| SessionOptions {
        threads: 1,
        place,
        tf32: infer.precision == Precision::Tf32,
        channels_last: infer.channels_last,
        memory_limit: infer.memory,
        bound: infer.pinned,
        padded: infer.canvas,
        ..SessionOptions::default()
    };
    (0..infer.sessions).flat_map(|_| places.iter().map(session)).collect()
}

#[cfg(test)]
mod tests {
    use irn_export::NetworkKind;
    use serde_json::json;

    use super::*;
    use crate::config::Device;
    use crate::data::photo::write_rgb_png;

    fn config() -> Config {
        let mut config = Config::default();
        (config.run.device, config.run.threads) = (Device::Cpu, 3);
        config
    }

    #[test]
    fn every_gpu_gets_its_sessions_in_turn() {
        let mut config = config();
        config.infer.sessions = 2;
        config.infer.precision = Precision::Tf32;
        let places = [Place::Cuda(0), Place::Cuda(2)];
        let sessions = sessions(&config, &places);
        let found: Vec<Place> = sessions.iter().map(|session| session.place).collect();
        assert_eq!(found, [places[0], places[1], places[0], places[1]]);
        assert!(sessions.iter().all(|session| session.tf32 && session.padded));
    }

    #[test]
    fn the_processor_is_shared_and_nothing_of_it_is_noted() {
        let compute = Compute::decide(&config()).unwrap();
        let threads: Vec<usize> =
            compute.sessions().iter().map(|session| session.threads).collect();
        assert_eq!((threads, compute.single().threads), (vec![1, 1, 1], 3));
        assert_eq!(compute.with_precision(json!({ "pad": 512 })), json!({ "pad": 512 }));
    }

    #[test]
    fn photos_of_one_size_follow_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let item = |(name, size): (&str, Option<(usize, usize)>)| {
            let path = dir.path().join(name).with_extension("png");
            if let Some((h, w)) = size {
                write_rgb_png(&path, ndarray::Array3::zeros((h, w, 3)).view()).unwrap();
            }
            Item::new(name, &path, dir.path(), None)
        };
        let sizes = [("a", Some((9, 5))), ("b", Some((5, 9))), ("c", None), ("d", Some((9, 5)))];
        let items: Vec<Item> = sizes.into_iter().map(item).collect();
        let names = |items: &[Item]| items.iter().map(|item| item.name.clone()).collect::<String>();
        assert_eq!(names(&super::gathered(&items, ExifRule::default(), |size| size)), "cbad");
        let compute = Compute::decide(&config()).unwrap();
        let kept = compute.gathered(&items, ExifRule::default(), |size| size);
        assert_eq!((names(&kept), compute.shapes(4)), ("abcd".to_string(), 1));
    }

    #[test]
    fn precision_is_said_noted_and_checked() {
        let mut config = config();
        let info = ModelInfo::new(NetworkKind::Irn, "resnet50", 1.0, Vec::new());
        let describe = |config: &Config| Compute::decide(config).unwrap().describe(&info);
        assert!(describe(&config).unwrap().starts_with("CPU (3 threads, ONNX Runtime"));
        config.infer.precision = Precision::Tf32;
        assert!(describe(&config).unwrap().contains("only a GPU has tf32"));
        let noted = Compute::decide(&config).unwrap().with_precision(json!({}));
        assert_eq!(noted, json!({ "precision": "tf32" }));
        config.infer.precision = Precision::F16;
        let error = crate::error::report(&describe(&config).unwrap_err());
        assert!(error.contains("--half") && error.contains("infer.precision"), "{error}");
    }
}
