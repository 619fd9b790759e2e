//! The photos: one card each with all its panels, and the tools to find one.

use std::io::{Result, Write};

use super::html::{Escaped, css, percent, sort_key};
use super::tables::class_name;
use super::{Panel, Report, ReportImage};
use crate::view::{encode, palette};

/// Writes the section, photo by photo, so that the page never lies in memory as a whole.
pub fn render(report: &Report, out: &mut impl Write) -> Result<()> {
    if report.images.is_empty() {
        return Ok(());
    }
    write!(out, "<section id=\"photos\"><h2>Photos</h2>{}<div id=\"cards\">", tools(report))?;
    for image in &report.images {
        card(report, image, out)?;
    }
    writeln!(out, "</div><p id=\"none\" hidden>No photo matches.</p></section>{LIGHTBOX}")
}

/// The enlarged view.
const LIGHTBOX: &str = "<dialog id=\"box\" aria-label=\"Enlarged picture\">\
    <header><p id=\"box-title\"></p><button type=\"button\" id=\"box-close\" aria-label=\"Close\">\
    &times;</button></header><img alt=\"\"><footer>\
    <button type=\"button\" data-go=\"up\">&uarr; photo</button>\
    <button type=\"button\" data-go=\"left\">&larr; panel</button>\
    <button type=\"button\" data-go=\"right\">panel &rarr;</button>\
    <button type=\"button\" data-go=\"down\">photo &darr;</button></footer></dialog>";

/// Filter, class, order, and a switch for each kind of panel.
fn tools(report: &Report) -> String {
    let mut present: Vec<usize> = report.images.iter().flat_map(|i| i.classes.clone()).collect();
    present.sort_unstable();
    present.dedup();
    let options: String = present
        .iter()
        .map(|key| {
            format!("<option value=\"{key}\">{}</option>", Escaped(&class_name(report, *key)))
        })
        .collect();
    let mut kinds: Vec<&str> = Vec::new();
    for panel in report.images.iter().flat_map(|image| &image.panels) {
        if !kinds.contains(&panel.kind.as_str()) {
            kinds.push(&panel.kind);
        }
    }
    let switches: String = kinds
        .iter()
        .map(|kind| {
            let kind = Escaped(kind);
            format!("<label><input type=\"checkbox\" checked value=\"{kind}\">{kind}</label>")
        })
        .collect();
    format!(
        "<form class=\"tools\" role=\"search\" autocomplete=\"off\">\
         <label>Filter<input type=\"search\" id=\"find\" placeholder=\"name or class\"></label>\
         <label>Class<select id=\"class\"><option value=\"\">all</option>{options}</select></label>\
         <label>Sort by<select id=\"order\"><option value=\"name\">name</option>\
         <option value=\"iou\">IoU</option><option value=\"score\">best score</option>\
         <option value=\"count\">number of instances</option></select></label>\
         <button type=\"button\" id=\"turn\" aria-pressed=\"false\">ascending</button>\
         <output id=\"shown\" aria-live=\"polite\"></output>\
         <fieldset><legend>Panels</legend>{switches}</fieldset></form>"
    )
}

/// One photo.
fn card(report: &Report, image: &ReportImage, out: &mut impl Write) -> Result<()> {
    let best = image.scores.iter().copied().filter(|s| s.is_finite()).reduce(f32::max);
    let best = best.map(f64::from);
    let keys: String = image.classes.iter().map(|key| format!(" {key} ")).collect();
    let names: Vec<_> = image.classes.iter().map(|key| class_name(report, *key)).collect();
    write!(
        out,
        "<article class=\"card\" data-name=\"{}\" data-words=\"{}\" data-classes=\"{keys}\" \
         data-iou=\"{}\" data-score=\"{}\" data-count=\"{}\"><header><h3>{}</h3><ul class=\"chips\">",
        Escaped(&image.name),
        Escaped(&names.join(" ")),
        sort_key(image.iou),
        sort_key(best),
        image.scores.len(),
        Escaped(&image.name),
    )?;
    for (key, name) in image.classes.iter().zip(&names) {
        let colour = css(palette::class(*key));
        let name = Escaped(name);
        write!(out, "<li><i class=\"swatch\" style=\"--c:{colour}\"></i>{name}</li>")?;
    }
    write!(out, "</ul><p class=\"facts\">{}</p></header><div class=\"panels\">", facts(image))?;
    for panel in &image.panels {
        figure(&image.name, panel, out)?;
    }
    writeln!(out, "</div></article>")
}

/// The photo's numbers in words.
fn facts(image: &ReportImage) -> String {
    let mut facts = Vec::new();
    if image.iou.is_some() {
        facts.push(format!("<span>IoU <b>{}</b></span>", percent(image.iou)));
    }
    if !image.scores.is_empty() {
        let mut scores = image.scores.clone();
        scores.sort_by(|a, b| b.total_cmp(a));
        let listed: Vec<_> = scores.iter().take(5).map(|score| format!("{score:.2}")).collect();
        let more = if scores.len() > 5 { " …" } else { "" };
        let word = if scores.len() == 1 { "instance" } else { "instances" };
        facts.push(format!(
            "<span><b>{}</b> {word}: {}{more}</span>",
            scores.len(),
            listed.join(", ")
        ));
    }
    facts.concat()
}

/// One picture, which opens when clicked.
fn figure(name: &str, panel: &Panel, out: &mut impl Write) -> Result<()> {
    let kind = Escaped(&panel.kind);
    let media = if panel.bytes.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
    write!(
        out,
        "<figure data-kind=\"{kind}\"><button type=\"button\" class=\"open\">\
         <img loading=\"lazy\" decoding=\"async\" width=\"{}\" height=\"{}\" alt=\"{kind} of {}\" \
         src=\"data:image/{media};base64,{}\"></button><figcaption>{kind}</figcaption></figure>",
        panel.width,
        panel.height,
        Escaped(name),
        encode::base64(&panel.bytes)
    )
}
