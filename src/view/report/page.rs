//! The page as a whole: head, the sections in reading order, style and script.

use std::io::{Result, Write};

use super::html::Escaped;
use super::{Chart, Report, chart, gallery, tables};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing may be loaded, not even by a text that escaped our care.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Writes the page.
pub fn render(report: &Report, out: &mut impl Write) -> Result<()> {
    let title = Escaped(&report.title);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><header class=\"top\"><div><h1>{title}</h1>"
    )?;
    if !report.note.is_empty() {
        write!(out, "<p class=\"note\">{}</p>", Escaped(&report.note))?;
    }
    write!(
        out,
        "</div><button type=\"button\" id=\"theme\" hidden>theme: auto</button></header>\n<main>{}",
        tables::key_numbers(report)
    )?;
    out.write_all(tables::per_class(report).as_bytes())?;
    out.write_all(charts("evaluation", "Evaluation", &report.evaluation).as_bytes())?;
    gallery::render(report, out)?;
    out.write_all(charts("training", "Training", &report.training).as_bytes())?;
    out.write_all(tables::timings(&report.timings).as_bytes())?;
    out.write_all(tables::settings(&report.settings).as_bytes())?;
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        "</main><footer class=\"end\">Made by irn {version}.</footer>\
         <script>{SCRIPT}</script></body></html>"
    )
}

/// A section of charts, unless all are empty.
fn charts(id: &str, heading: &str, charts: &[Chart]) -> String {
    let figures: String = charts.iter().map(chart::figure).collect();
    if figures.is_empty() {
        return figures;
    }
    format!(
        "<section id=\"{id}\"><h2>{heading}</h2><div class=\"charts\">{figures}</div></section>\n"
    )
}
