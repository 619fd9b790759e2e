//! Golden groups 1 and 2 by the way inference takes: exported, through ONNX Runtime, with the steps of
//! `irn::runtime` around the networks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use irn::runtime::{CamModel, IrnModel, Padding, cam_pair, irn_pair};
use irn_export::{ModelInfo, NetworkKind, export_cam, export_irn};
use irn_models::voc::VOC_CLASSES;
use ndarray::{Array4, ArrayBase, ArrayView4, Axis, Data, Dimension};

use crate::golden::case::{Case, Index, shaped};
use crate::golden::compare::{max_abs, rel_l2, within};
use crate::golden::weights;

/// Models by the seed of their weights: exporting one takes longer than running a case.
type Opened<M> = Mutex<BTreeMap<u64, M>>;

/// Logits and activation maps of a case of group 1.
pub fn check_cam(case: &Case) -> Result<()> {
    static OPENED: Opened<CamModel> = Mutex::new(BTreeMap::new());
    with(&OPENED, weights::seed_of(case)?, open_cam, |model| {
        let images: Array4<f32> = shaped(case.f32("in.x")?)?;
        let (_, logits) = model.run(images.view())?;
        agree(case, "out.logits", &logits)?;
        agree(case, "out.cam", &cam_pair(model, images.index_axis(Axis(0), 0))?)
    })
}

/// The raw outputs, or the padded and mirrored inference, of a case of group 2.
pub fn check_irn(case: &Case) -> Result<()> {
    static OPENED: Opened<IrnModel> = Mutex::new(BTreeMap::new());
    with(&OPENED, weights::seed_of(case)?, open_irn, |model| {
        let images: Array4<f32> = shaped(case.f32("in.x")?)?;
        if case.has("out.edge_logit") {
            check_raw(case, model, images.view())
        } else {
            check_inference(case, model, images.view())
        }
    })
}

fn check_raw(case: &Case, model: &mut IrnModel, images: ArrayView4<'_, f32>) -> Result<()> {
    let (edge, displacement) = model.relations(images)?;
    for (name, ours) in [("out.edge_logit", edge), ("out.dp_eval", displacement)] {
        let theirs = case.f32(name)?;
        ensure!(ours.shape() == theirs.shape(), "{name}: shape {:?}", ours.shape());
        within(name, rel_l2(&ours, &theirs)?, case.tolerance("rel_l2")?)?;
        within(name, max_abs(&ours, &theirs)?, case.tolerance("max_abs")?)?;
    }
    Ok(())
}

fn check_inference(case: &Case, model: &mut IrnModel, images: ArrayView4<'_, f32>) -> Result<()> {
    let crop = usize::try_from(case.params()["crop_size"].as_u64().unwrap_or(512))?;
    let (_, _, height, width) = images.dim();
    let image = images.index_axis(Axis(0), 0);
    let compat = irn_pair(model, image, Padding { crop, compat: true })?;
    let (edge, dp) = (case.f32("out.edge")?, case.f32("out.dp")?);
    ensure!(compat.edge.shape() == &edge.shape()[1..], "edge: shape {:?}", compat.edge.shape());
    ensure!(compat.displacement.shape() == dp.shape(), "{:?}", compat.displacement.shape());
    within("edge", max_abs(&compat.edge, &edge)?, case.tolerance("edge_max_abs")?)?;
    within("dp", max_abs(&compat.displacement, &dp)?, case.tolerance("dp_max_abs")?)?;
    let ours = irn_pair(model, image, Padding { crop, compat: false })?;
    if height <= crop && width <= crop {
        within("dp", rel_l2(&compat.displacement, &dp)?, case.tolerance("dp_rel_l2")?)?;
        ensure!(ours == compat, "photos up to the crop must not depend on the mode");
    } else {
        let whole = [(height - 1) / 4 + 1, (width - 1) / 4 + 1];
        ensure!(ours.edge.shape() == whole, "a large photo is not cropped: {:?}", ours.edge.dim());
    }
    Ok(())
}

fn agree<S, D>(case: &Case, name: &str, ours: &ArrayBase<S, D>) -> Result<()>
where
    S: Data<Elem = f32>,
    D: Dimension,
{
    let theirs = case.f32(name)?;
    ensure!(ours.shape() == theirs.shape(), "{name}: shape {:?}", ours.shape());
    within(name, rel_l2(ours, &theirs)?, case.tolerance("rel_l2")?)?;
    let largest = f64::from(theirs.iter().fold(0f32, |max, value| max.max(value.abs())));
    within(name, max_abs(ours, &theirs)?, case.tolerance("max_abs_over_max")? * largest)
}

fn with<M>(
    opened: &Opened<M>,
    seed: u64,
    open: fn(u64) -> Result<M>,
    check: impl FnOnce(&mut M) -> Result<()>,
) -> Result<()> {
    let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
    check(match opened.entry(seed) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(open(seed)?),
    })
}

fn open_cam(seed: u64) -> Result<CamModel> {
    let classes = VOC_CLASSES.map(String::from).to_vec();
    let info = ModelInfo::new(NetworkKind::Cam, "resnet50", 1., classes.clone());
    let file = tempfile::NamedTempFile::new()?;
    fs_err::write(file.path(), export_cam(&weights::cam_net(seed)?, &info)?)?;
    CamModel::open(file.path(), 2, Some(&classes))
}

fn open_irn(seed: u64) -> Result<IrnModel> {
    let info = ModelInfo::new(NetworkKind::Irn, "resnet50", 1., Vec::new());
    let file = tempfile::NamedTempFile::new()?;
    fs_err::write(file.path(), export_irn(&weights::irnet(seed)?, &info)?)?;
    IrnModel::open(file.path(), 2)
}

/// Runs `check` on every case of `group` and reports all failures together.
fn run_group(group: &str, check: fn(&Case) -> Result<()>) {
    let index = Index::open().expect("the golden index");
    let names = index.names_of(group);
    let run = |name: &String| index.case(name).and_then(|case| check(&case));
    let failures: Vec<String> = names
        .iter()
        .filter_map(|name| run(name).err().map(|e| format!("{name}: {}", irn::error::report(&e))))
        .collect();
    assert!(failures.is_empty() && !names.is_empty(), "{group}:\n{}", failures.join("\n"));
}

#[test]
fn group_01_cam_net_by_onnx_runtime() {
    run_group("1_cam_net", check_cam);
}

#[test]
fn group_02_irnet_by_onnx_runtime() {
    run_group("2_irnet", check_irn);
}
