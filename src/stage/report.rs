//! The report page: key numbers, curves, the table of classes, and every image with its pictures.

use anyhow::Result;

use super::eval::{self, Summary, What};
use super::{Context, Outcome, figures, ins_seg, sem_seg};
use crate::config::to_yaml;
use crate::data::dataset::{Dataset, Item};
use crate::eval::semantic::Confusion;
use crate::overlap::overlapped;
use crate::store::Stage;
use crate::timings;
use crate::view::report::{Chart, Panel, Report, ReportImage, Scores, Series, Timing};

/// Longest side of a picture on the page, pixels.
const PANEL_SIDE: usize = 320;

/// Writes `report.html` with the first `run.report_images` images of `set`.
///
/// # Errors
/// A directory that can't be written, Ctrl-C. Single images that fail are skipped and listed.
pub fn run(context: &Context, set: &Dataset) -> Result<Outcome> {
    let config = &context.config;
    let summaries = summaries(context)?;
    let mut outcome = Outcome::default();
    let mut report = Report {
        title: "irn: masks from image-level labels".into(),
        note: format!(
            "{}, {} images, {}{}",
            config.data.root.display(),
            set.items.len(),
            config.network.backbone,
            devices(context)?
        ),
        class_names: config.data.classes.clone(),
        scores: summaries.iter().flat_map(scores).collect(),
        evaluation: sweep_chart(&summaries).into_iter().collect(),
        training: training_charts(context)?,
        timings: timings(context)?,
        images: Vec::new(),
        settings: to_yaml(config)?,
    };
    let shown = set.items.iter().take(config.run.report_images);
    let work = |item: &Item| (item.name.clone(), image(context, item));
    let lookahead = 2 * config.run.thread_count();
    overlapped(&context.pool, lookahead, shown, work, |(name, drawn)| {
        match drawn {
            Ok(image) => {
                outcome.done += 1;
                report.images.push(image);
            }
            Err(error) => drop(outcome.skipped.insert(name, format!("{error:#}"))),
        }
        Ok(())
    })?;
    let path = config.run.out.join("report.html");
    report.write(&path)?;
    eprintln!("report: {} ({} images)", path.display(), outcome.done);
    Ok(outcome)
}

fn summaries(context: &Context) -> Result<Vec<Summary>> {
    let dir = context.config.run.out.join("eval");
    let read = What::ALL.into_iter().map(|what| eval::read(&dir, what.name()));
    Ok(read.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// The columns of an evaluation; label evaluations have a background row, AP has none.
fn scores(summary: &Summary) -> Vec<Scores> {
    let with_background = summary.rows.first().is_some_and(|row| row.class == "background");
    let column = |(i, name): (usize, &String)| {
        let values: Vec<Option<f64>> = summary.rows.iter().map(|row| row.values[i]).collect();
        let background = if with_background { values[0] } else { None };
        let classes = values[usize::from(with_background)..].to_vec();
        let name = if with_background { format!("{} {name}", summary.what) } else { name.clone() };
        Scores { name, background, classes, mean: summary.means[i] }
    };
    summary.columns.iter().enumerate().map(column).collect()
}

fn sweep_chart(summaries: &[Summary]) -> Option<Chart> {
    let series: Vec<Series> = summaries
        .iter()
        .filter(|summary| !summary.sweep.is_empty())
        .map(|summary| {
            let point =
                |&(threshold, miou): &(f32, Option<f64>)| Some((f64::from(threshold), miou?));
            Series {
                name: summary.what.clone(),
                points: summary.sweep.iter().filter_map(point).collect(),
            }
        })
        .collect();
    (!series.is_empty()).then(|| Chart {
        title: "mIoU by background threshold".into(),
        x_label: "background threshold".into(),
        y_label: "mIoU".into(),
        series,
        mark_best: true,
    })
}

/// The loss curves that the training logs hold, terms of one training in one chart.
fn training_charts(context: &Context) -> Result<Vec<Chart>> {
    let mut charts = Vec::new();
    for (name, title) in [("cam", "CAM training"), ("irn", "IRNet training")] {
        let path = context.config.run.out.join("log").join(format!("{name}.jsonl"));
        let mut series: Vec<Series> = Vec::new();
        for (step, loss, value) in losses(&path)? {
            let point = (step as f64, value);
            match series.iter_mut().find(|series| series.name == loss) {
                Some(series) => series.points.push(point),
                None => series.push(Series { name: loss, points: vec![point] }),
            }
        }
        if !series.is_empty() {
            let (x_label, y_label) = ("step".into(), "loss".into());
            charts.push(Chart { title: title.into(), x_label, y_label, series, mark_best: false });
        }
    }
    Ok(charts)
}

/// Step, term and value of every line of a training log.
fn losses(path: &std::path::Path) -> Result<Vec<(usize, String, f64)>> {
    let entries = crate::log::read(path)?;
    let of = |entry: crate::log::Entry| {
        entry.losses.into_iter().map(move |(name, value)| (entry.step, name, value))
    };
    Ok(entries.into_iter().flat_map(of).collect())
}

fn timings(context: &Context) -> Result<Vec<Timing>> {
    let timing = |known: timings::Timing| Timing {
        stage: known.stage,
        seconds: known.seconds,
        images: Some(known.images),
    };
    Ok(timings::read(&context.config.run.out)?.into_iter().map(timing).collect())
}

/// What the networks ran on, as the stages said it.
fn devices(context: &Context) -> Result<String> {
    Ok(timings::by_device(&timings::read(&context.config.run.out)?))
}

fn image(context: &Context, item: &Item) -> Result<ReportImage> {
    let panels = figures::panels(context, item)?;
    let panels = panels.into_iter().map(|(kind, picture)| Panel::new(kind, &picture, PANEL_SIDE));
    let scores = if context.store.has(Stage::InsSeg, &item.name)? {
        ins_seg::read(context, &item.name)?.score.into_iter().filter(|&score| score > 0.0).collect()
    } else {
        Vec::new()
    };
    Ok(ReportImage {
        name: item.name.clone(),
        classes: item.classes.clone().unwrap_or_default(),
        iou: iou(context, item)?,
        scores,
        panels: panels.collect::<Result<_>>()?,
    })
}

/// Mean IoU of the semantic mask over the labels of this image.
fn iou(context: &Context, item: &Item) -> Result<Option<f64>> {
    if !item.has_semantic_truth() || !context.store.has(Stage::SemSeg, &item.name)? {
        return Ok(None);
    }
    let mut confusion = Confusion::default();
    confusion
        .add(sem_seg::read(context, &item.name)?.label.view(), item.semantic_truth()?.view())?;
    Ok(confusion.scores(false).miou)
}
