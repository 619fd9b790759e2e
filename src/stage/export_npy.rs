//! The store's CAMs as the family's files: `<name>.npy` in the irn dialect.

use std::path::Path;

use anyhow::Result;
use ndarray::Ix3;

use super::each::each;
use super::{Context, Outcome, cam};
use crate::data::dataset::Dataset;
use crate::data::npy;

/// Writes the CAMs of `set` to `dir`; images without CAMs are skipped and listed.
///
/// # Errors
/// Ctrl-C. A file that can't be written counts as skipped.
pub fn run(context: &Context, set: &Dataset, dir: &Path) -> Result<Outcome> {
    let outcome = each(context, "export-npy", set, |item| write(context, &item.name, dir))?;
    eprintln!("wrote {} files to {}", outcome.done, dir.display());
    Ok(outcome)
}

fn write(context: &Context, name: &str, dir: &Path) -> Result<()> {
    let cam::Stored { keys, record, .. } = cam::read(context, name)?;
    let (cam, high_res) = (record.f32::<Ix3>("cam")?, record.f32::<Ix3>("high_res")?);
    npy::write_cam(&dir.join(format!("{name}.npy")), &keys, cam.view(), high_res.view())
}
