//! What every stage needs: settings, the images, the store; and what it leaves: done, skipped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use anyhow::{Result, anyhow};
use rayon::ThreadPool;
use serde_json::Value;

use super::compute::Compute;
use super::source;
use crate::config::Config;
use crate::data::dataset::{Dataset, Item};
use crate::data::problems::Problem;
use crate::data::sbd;
use crate::error::Hint;
use crate::overlap::{self, overlapped};
use crate::progress::Progress;
use crate::store::{Identity, Record, Stage, StageSettings, Store};
use crate::timings::{self, Timing};

/// Warnings about one list that are printed in full.
const WARNINGS: usize = 10;

/// Settings, data and store of a run.
pub struct Context {
    /// The resolved settings.
    pub config: Config,
    /// The store below `run.out`.
    pub store: Store,
    /// Compute threads.
    pub pool: ThreadPool,
    /// Compute again what is there.
    pub force: bool,
    compute: OnceLock<Compute>,
    noted: Mutex<Noted>,
}

/// What a process remembers between its stages.
#[derive(Default)]
struct Noted {
    /// Stages computed by this process, which `force` does not throw away again.
    fresh: BTreeSet<Stage>,
    /// List entries that could not be used, with the reason.
    unusable: BTreeMap<String, String>,
    /// Warnings that were printed.
    warned: BTreeSet<String>,
    /// The lists read so far: COCO's take a while.
    sets: HashMap<PathBuf, Dataset>,
}

/// What a stage did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Images done now.
    pub done: usize,
    /// Images that were there before.
    pub present: usize,
    /// Images left out, with the reason.
    pub skipped: BTreeMap<String, String>,
}

impl Outcome {
    /// Adds another stage's skips.
    pub fn absorb(&mut self, other: Self) {
        self.done += other.done;
        self.present += other.present;
        self.skipped.extend(other.skipped);
    }
}

impl Context {
    /// Opens the store of `config`.
    ///
    /// # Errors
    /// An output directory that can't be written, a store of another data set or version, a data set whose
    /// classes can't be read where the settings name none.
    pub fn open(config: Config, force: bool) -> Result<Self> {
        let config = source::with_classes(config)?;
        let identity = Identity {
            dataset: config.data.root.display().to_string(),
            classes: config.data.classes.clone(),
            ..Identity::default()
        };
        let store = Store::create_or_open(&config.run.out.join("store"), &identity)?;
        fs_err::write(config.run.out.join("settings.yaml"), crate::config::to_yaml(&config)?)?;
        let pool = overlap::pool(config.run.thread_count())?;
        let (compute, noted) = Default::default();
        Ok(Self { config, store, pool, force, compute, noted })
    }

    /// Where the networks run; decided when it is first asked for.
    ///
    /// # Errors
    /// Those of [`Compute::decide`].
    pub fn compute(&self) -> Result<&Compute> {
        match self.compute.get() {
            Some(compute) => Ok(compute),
            // Another thread's decision is as good.
            None => Compute::decide(&self.config).map(|own| self.compute.get_or_init(|| own)),
        }
    }

    /// The list `list` of the data set, see `data.train_list`. Problems of
    /// single entries are warnings; entries that can't be used come back with [`Context::outcome`].
    ///
    /// # Errors
    /// A list or label file that can't be read.
    pub fn dataset(&self, list: &Path) -> Result<Dataset> {
        if let Some(known) = self.noted().sets.get(list) {
            return Ok(known.clone());
        }
        let augmented = self.augmented(list)?;
        let opened = augmented.as_deref().unwrap_or(list);
        let (set, problems) = source::open(&self.config.data, opened)?;
        let mut noted = self.noted();
        noted.sets.insert(list.to_path_buf(), set.clone());
        let fresh: Vec<&Problem> =
            problems.0.iter().filter(|problem| noted.warned.insert(problem.to_string())).collect();
        for problem in fresh.iter().take(WARNINGS) {
            eprintln!("warning: {problem}");
        }
        if fresh.len() > WARNINGS {
            eprintln!("warning: ... and {} more of {}", fresh.len() - WARNINGS, list.display());
        }
        for problem in fresh {
            if let Problem::MissingPhoto { entry } = problem {
                noted.unusable.insert(entry.clone(), "no such photo".to_string());
            }
        }
        Ok(set)
    }

    /// `OUT/train_aug.txt`, made of SBD's lists where that list is asked for and is nowhere.
    fn augmented(&self, list: &Path) -> Result<Option<PathBuf>> {
        let data = &self.config.data;
        let below = data.root.join("ImageSets/Segmentation").join(list);
        if !list.ends_with("train_aug.txt") || below.exists() || list.exists() {
            return Ok(None);
        }
        let Some(folder) = sbd::folder(&data.root, data.sbd.as_deref()) else { return Ok(None) };
        let names = sbd::train_aug(&data.root, &folder)?;
        let path = self.config.run.out.join("train_aug.txt");
        fs_err::write(&path, names.join("\n") + "\n")?;
        if self.noted().warned.insert(path.display().to_string()) {
            eprintln!("{}: {} names, from {}", path.display(), names.len(), folder.display());
        }
        Ok(Some(path))
    }

    /// `outcome` and the list entries that could not be used.
    pub fn outcome(&self, mut outcome: Outcome) -> Outcome {
        outcome.skipped.extend(self.noted().unusable.clone());
        outcome
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The images that get masks.
    ///
    /// # Errors
    /// Those of [`Context::dataset`].
    pub fn infer_set(&self) -> Result<Dataset> {
        let data = &self.config.data;
        self.dataset(data.infer_list.as_ref().unwrap_or(&data.train_list))
    }

    /// The images both networks train on.
    ///
    /// # Errors
    /// Those of [`Context::dataset`].
    pub fn train_set(&self) -> Result<Dataset> {
        self.dataset(&self.config.data.train_list)
    }

    /// The images that are evaluated.
    ///
    /// # Errors
    /// Those of [`Context::dataset`].
    pub fn eval_set(&self) -> Result<Dataset> {
        let data = &self.config.data;
        let list = data.eval_list.as_ref().or(data.infer_list.as_ref());
        self.dataset(list.unwrap_or(&data.train_list))
    }

    /// All images that are trained on, get masks or are evaluated, each once. Photos that nobody labelled have
    /// neither a training nor an evaluation list: a warning says that there is none.
    ///
    /// # Errors
    /// Those of [`Context::dataset`] for the images that get masks.
    pub fn every_set(&self) -> Result<Dataset> {
        let infer = self.infer_set()?;
        let mut all = Dataset { items: Vec::new(), ..infer.clone() };
        let mut names = BTreeSet::new();
        for set in [self.train_set(), Ok(infer), self.eval_set()] {
            match set {
                Ok(set) => {
                    let fresh =
                        set.items.into_iter().filter(|item| names.insert(item.name.clone()));
                    all.items.extend(fresh);
                }
                Err(error) => eprintln!("warning: {error:#}"),
            }
        }
        Ok(all)
    }

    /// The directory `name` below the output directory (or that of `run.dirs`), made if it is missing.
    ///
    /// # Errors
    /// A directory that can't be made.
    pub fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.config.run.dir(name);
        fs_err::create_dir_all(&dir)?;
        Ok(dir)
    }

    /// `settings` of a stage with the name of `run.method`, where one is set.
    pub fn with_method(&self, mut settings: Value) -> Value {
        if let Some(method) = self.config.run.method {
            settings["method"] = method.name().into();
        }
        settings
    }

    /// What `stage` was computed with; null where there is nothing of it.
    ///
    /// # Errors
    /// A store that can't be read.
    pub fn settings_of(&self, stage: Stage) -> Result<Value> {
        let known = self.store.stage_settings(stage)?;
        Ok(known.first().map_or(Ok(Value::Null), |known| serde_json::from_str(&known.settings))?)
    }

    fn expect_settings(&self, stage: Stage, settings: &Value) -> Result<()> {
        let text = settings.to_string();
        match self.store.stage_settings(stage)?.iter().find(|known| known.settings != text) {
            None => Ok(()),
            Some(_) => {
                Err(anyhow!("the store's {stage} maps were made with other settings or models"))
                    .hint("--force makes them again; or choose another run.out")
            }
        }
    }

    /// Makes the missing records of `stage` for `items`: `prepare` on the pool's threads, `finish` on
    /// this one, in the items' order. An image that fails is skipped and listed.
    ///
    /// # Errors
    /// A store that can't be written, Ctrl-C.
    pub fn make<P: Send>(
        &self,
        stage: Stage,
        settings: &Value,
        items: &[Item],
        prepare: impl Fn(&Item) -> Result<P> + Sync,
        mut finish: impl FnMut(&Item, P) -> Result<Record>,
    ) -> Result<Outcome> {
        if self.force && self.noted().fresh.insert(stage) {
            self.store.remove_stage(stage)?;
        }
        self.expect_settings(stage, settings)?;
        let there = self.store.names(stage)?;
        let missing: Vec<&Item> = items.iter().filter(|item| !there.contains(&item.name)).collect();
        let mut outcome = Outcome { present: items.len() - missing.len(), ..Outcome::default() };
        if missing.is_empty() {
            eprintln!("{stage}: all {} images were there", items.len());
            return Ok(outcome);
        }
        let started = Instant::now();
        let model = settings["model"].as_str().unwrap_or_default().to_string();
        let settings = StageSettings { settings: settings.to_string(), model };
        let writer = self.store.writer(stage, settings)?;
        let mut progress = Progress::new(&stage.to_string(), missing.len(), "images");
        let lookahead = 2 * self.config.run.thread_count();
        let work = |item| (item, prepare(item));
        let run = overlapped(&self.pool, lookahead, missing, work, |(item, prepared)| {
            progress.advance(1);
            match prepared.and_then(|prepared| finish(item, prepared)) {
                Ok(record) => {
                    outcome.done += 1;
                    writer.put(&item.name, &record)
                }
                Err(error) => {
                    outcome.skipped.insert(item.name.clone(), format!("{error:#}"));
                    Ok(())
                }
            }
        });
        writer.finish()?;
        progress.finish();
        let seconds = started.elapsed().as_secs_f64();
        let device = self.compute.get().map(|compute| compute.said(stage)).unwrap_or_default();
        let timing = Timing { stage: stage.to_string(), seconds, images: outcome.done, device };
        timings::append(&self.config.run.out, &timing)?;
        run.map(|()| outcome)
    }
}
