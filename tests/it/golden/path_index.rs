//! Group 3: pixel pairs and the paths between them.

use anyhow::{Context, Result, bail, ensure};
use irn_models::pairs::{Direction, Sources, affinity, directions};
use ndarray::ArrayD;

use super::case::Case;
use super::compare::{max_abs, within};

pub fn run(case: &Case) -> Result<()> {
    let radius = case.params()["radius"].as_u64().context("radius")? as usize;
    let edge = case.f32("in.edge")?;
    let &[batch, _, height, width] = edge.shape() else { bail!("edge is not 4-D") };
    let all = directions(radius);
    let sources = Sources::new(radius, height, width);
    let groups: Vec<&[Direction]> = all.chunk_by(|a, b| a.path.len() == b.path.len()).collect();
    check_params(case, &all, &groups)?;
    for name in case.tensor_names()?.iter().filter(|name| name.starts_with("out.")) {
        let group = name.rsplit('_').next().and_then(|number| number.parse::<usize>().ok());
        match (name.as_str(), group) {
            ("out.search_dst", _) => {
                let ours = all.iter().flat_map(|d| [d.dy as i64, d.dx as i64]).collect();
                integers(case, name, ours)?;
            }
            ("out.src_indices", _) => integers(case, name, moved(&sources, (0, 0)))?,
            ("out.dst_indices", _) => {
                integers(
                    case,
                    name,
                    all.iter().flat_map(|d| moved(&sources, (d.dy, d.dx))).collect(),
                )?;
            }
            ("out.affinity", _) => {
                let maps = edge.as_slice().context("contiguous")?.chunks_exact(height * width);
                let ours: Vec<f32> =
                    maps.flat_map(|map| affinity(map, (height, width), radius)).collect();
                let theirs = case.f32(name)?;
                ensure!(theirs.shape()[..2] == [batch, all.len()], "shape of {name}");
                let ours = ArrayD::from_shape_vec(theirs.shape(), ours)?;
                within(name, max_abs(&ours, &theirs)?, case.tolerance("affinity")?)?;
            }
            (paths, Some(i)) if paths.starts_with("out.search_paths_") => {
                let group = groups.get(i).context("a group more than ours")?;
                let cells = group.iter().flat_map(|d| &d.path);
                integers(case, name, cells.flat_map(|&(y, x)| [y as i64, x as i64]).collect())?;
            }
            (paths, Some(i)) if paths.starts_with("out.path_indices_") => {
                let group = groups.get(i).context("a group more than ours")?;
                let cells = group.iter().flat_map(|d| &d.path);
                integers(case, name, cells.flat_map(|&cell| moved(&sources, cell)).collect())?;
            }
            _ => bail!("unknown output {name}"),
        }
    }
    Ok(())
}

fn check_params(case: &Case, all: &[Direction], groups: &[&[Direction]]) -> Result<()> {
    ensure!(case.params()["n_dst"].as_u64() == Some(all.len() as u64), "number of directions");
    let ours: Vec<[usize; 2]> =
        groups.iter().map(|group| [group.len(), group[0].path.len()]).collect();
    let theirs: Vec<[usize; 2]> =
        serde_json::from_value(case.params()["groups_n_and_len"].clone())?;
    ensure!(ours == theirs, "groups {ours:?}, not {theirs:?}");
    Ok(())
}

fn moved(sources: &Sources, offset: (isize, isize)) -> Vec<i64> {
    sources.moved(offset).into_iter().map(|i| i as i64).collect()
}

fn integers(case: &Case, name: &str, ours: Vec<i64>) -> Result<()> {
    ensure!(case.tolerance("indices")? == 0.0, "indices have no tolerance");
    let theirs = case.i64(name)?;
    ensure!(ours.len() == theirs.len(), "{name}: {} values of {}", ours.len(), theirs.len());
    ensure!(ours.iter().eq(theirs.iter()), "{name} differs");
    Ok(())
}
