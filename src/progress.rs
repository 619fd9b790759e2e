//! Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of one stage.
pub struct Progress {
    label: String,
    total: u64,
    done: u64,
    unit: &'static str,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
    message: String,
}

impl Progress {
    /// Starts counting to `total`; `unit` names what is counted, e.g. `images`.
    pub fn new(label: &str, total: usize, unit: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(label, total as u64, unit));
        let (now, total, message) = (Instant::now(), total as u64, String::new());
        Self {
            label: label.into(),
            total,
            done: 0,
            unit,
            started: now,
            last_line: now,
            bar,
            message,
        }
    }

    /// Counts `n` more.
    pub fn advance(&mut self, n: usize) {
        self.done += n as u64;
        match &self.bar {
            Some(bar) => bar.inc(n as u64),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                eprintln!("{}", self.line());
            }
            None => {}
        }
    }

    /// Shows `message` (a loss, say) beside the count.
    pub fn message(&mut self, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message.clone());
        }
        self.message = message;
    }

    /// Ends the display and prints one closing line.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let Self { label, done, unit, message, .. } = &self;
        eprintln!("{label}: {done} {unit} in {seconds:.1} s ({rate:.2} {unit}/s) {message}");
    }

    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-9);
        let Self { label, done, total, unit, message, .. } = self;
        format!("{label}: {done}/{total} {unit}, {rate:.2}/s, {left:.0} s left {message}")
    }
}

fn bar(label: &str, total: u64, unit: &str) -> ProgressBar {
    let template =
        format!("{{prefix}} {{wide_bar}} {{pos}}/{{len}} {unit} {{per_sec}} ETA {{eta}} {{msg}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_prefix(label.to_string())
}
