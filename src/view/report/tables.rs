//! Key numbers, the per-class table, times and settings.

use std::fmt::Write as _;

use super::html::{Escaped, css, duration, finite, percent, sort_key};
use super::{Report, Scores, Timing};
use crate::view::palette;

/// The means of all measures, large, and the number of photos.
pub fn key_numbers(report: &Report) -> String {
    let mut tiles = String::new();
    for scores in report.scores.iter().filter(|scores| finite(scores.mean).is_some()) {
        let name = Escaped(&scores.name);
        let value = percent(scores.mean);
        let _ = write!(tiles, "<div><dt>{name}</dt><dd>{value}<small>%</small></dd></div>");
    }
    if !report.images.is_empty() {
        let count = report.images.len();
        let _ = write!(tiles, "<div><dt>photos shown</dt><dd>{count}</dd></div>");
    }
    let total: f64 = report.timings.iter().map(|timing| timing.seconds).sum();
    if total > 0.0 {
        let _ = write!(tiles, "<div><dt>time</dt><dd>{}</dd></div>", duration(total));
    }
    if tiles.is_empty() { tiles } else { format!("<dl class=\"key\">{tiles}</dl>\n") }
}

/// One row a class, one column a measure; headers sort.
pub fn per_class(report: &Report) -> String {
    if report.scores.is_empty() {
        return String::new();
    }
    let heads: String =
        report.scores.iter().map(|s| header(&Escaped(&s.name).to_string(), true)).collect();
    let has_background = report.scores.iter().any(|s| finite(s.background).is_some());
    let mut rows = String::new();
    if has_background {
        rows += &row("background", palette::label(0), &report.scores, |scores| scores.background);
    }
    let known = report.scores.iter().map(|scores| scores.classes.len()).max().unwrap_or(0);
    for key in 0..known.max(report.class_names.len()) {
        let name = class_name(report, key);
        rows += &row(&name, palette::class(key), &report.scores, |scores| {
            scores.classes.get(key).copied().flatten()
        });
    }
    let means: String =
        report.scores.iter().map(|s| format!("<td class=\"n\">{}</td>", percent(s.mean))).collect();
    format!(
        "<section id=\"classes\"><h2>Per class</h2><div class=\"scroll\"><table class=\"sortable\">\
         <caption>Percent; click a heading to sort.</caption>\
         <thead><tr>{}{heads}</tr></thead><tbody>{rows}</tbody>\
         <tfoot><tr><th scope=\"row\">mean</th>{means}</tr></tfoot></table></div></section>\n",
        header("class", false)
    )
}

/// Name of a class key, or its number.
pub fn class_name(report: &Report, key: usize) -> String {
    report.class_names.get(key).cloned().unwrap_or_else(|| format!("#{key}"))
}

/// A heading that sorts its column; `text` is escaped already.
fn header(text: &str, numeric: bool) -> String {
    let class = if numeric { "n" } else { "t" };
    format!("<th scope=\"col\" class=\"{class}\"><button type=\"button\">{text}</button></th>")
}

/// A row of the per-class table.
fn row(
    name: &str,
    colour: crate::view::Rgb,
    scores: &[Scores],
    value: impl Fn(&Scores) -> Option<f64>,
) -> String {
    let cells: String = scores.iter().map(|scores| bar(finite(value(scores)))).collect();
    let name = Escaped(name);
    let colour = css(colour);
    format!(
        "<tr><th scope=\"row\" data-v=\"{name}\"><i class=\"swatch\" style=\"--c:{colour}\"></i>\
         {name}</th>{cells}</tr>"
    )
}

/// A percentage with a bar of its size behind it.
fn bar(value: Option<f64>) -> String {
    let share = value.unwrap_or(0.0).clamp(0.0, 1.0);
    let (key, text) = (sort_key(value), percent(value));
    format!("<td class=\"n bar\" data-v=\"{key}\" style=\"--p:{share:.3}\">{text}</td>")
}

/// Seconds a stage, with bars of their share.
pub fn timings(timings: &[Timing]) -> String {
    if timings.is_empty() {
        return String::new();
    }
    let longest = timings.iter().map(|timing| timing.seconds).fold(f64::MIN_POSITIVE, f64::max);
    let mut rows = String::new();
    for timing in timings {
        let share = (timing.seconds / longest).clamp(0.0, 1.0);
        let count = timing.images.map_or_else(|| "–".to_owned(), |count| count.to_string());
        let rate = timing.images.filter(|_| timing.seconds > 0.0);
        let rate = rate.map(|count| count as f64 / timing.seconds);
        let _ = write!(
            rows,
            "<tr><th scope=\"row\">{}</th><td class=\"n bar\" data-v=\"{}\" style=\"--p:{share:.3}\">{}\
             </td><td class=\"n\" data-v=\"{}\">{count}</td><td class=\"n\" data-v=\"{}\">{}</td></tr>",
            Escaped(&timing.stage),
            sort_key(Some(timing.seconds)),
            duration(timing.seconds),
            sort_key(timing.images.map(|count| count as f64)),
            sort_key(rate),
            rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.2}")),
        );
    }
    let heads = [("stage", false), ("time", true), ("photos", true), ("photos/s", true)];
    let heads: String = heads.iter().map(|(text, numeric)| header(text, *numeric)).collect();
    format!(
        "<section id=\"times\"><h2>Times</h2><div class=\"scroll\"><table class=\"sortable\">\
         <thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )
}

/// The resolved settings, folded away.
pub fn settings(text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"settings\"><details><summary><h2>Settings</h2></summary>\
         <pre tabindex=\"0\">{}</pre></details></section>\n",
        Escaped(text)
    )
}
