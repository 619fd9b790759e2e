//! Line charts as inline SVG: axes, ticks, labels, legend; colours come from the style sheet.

use std::fmt::Write as _;

use super::axis::Axis;
use super::html::{Escaped, finite};
use super::{Chart, Series};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
/// Space for tick labels and axis titles: left, right, top, bottom.
const MARGIN: [f64; 4] = [62.0, 14.0, 14.0, 46.0];
/// Lines of the style sheet.
const COLOURS: usize = 8;
/// More points than this are shown as a smoothed line over a faint raw one.
const CALM: usize = 120;
/// A line is thinned to this many points.
const MOST_POINTS: usize = 600;

/// The chart as a `<figure>`; nothing if no point is finite.
pub fn figure(chart: &Chart) -> String {
    let lines: Vec<Vec<(f64, f64)>> = chart.series.iter().map(finite_points).collect();
    let all = || lines.iter().flatten().copied();
    if all().next().is_none() {
        return String::new();
    }
    let across = Axis::covering(all().map(|point| point.0), 7.0, true);
    let up = Axis::covering(all().map(|point| point.1), 5.0, false);
    let mut svg = frame(chart, &across, &up);
    for (index, line) in lines.iter().enumerate() {
        svg += &series(&chart.series[index].name, index, line, &across, &up);
    }
    if chart.mark_best {
        svg += &lines
            .iter()
            .enumerate()
            .map(|(i, line)| best(i, line, &across, &up))
            .collect::<String>();
    }
    format!(
        "<figure class=\"chart\"><h3>{}</h3>{svg}</svg>{}</figure>\n",
        Escaped(&chart.title),
        legend(chart)
    )
}

/// The points that can be drawn.
fn finite_points(series: &Series) -> Vec<(f64, f64)> {
    series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

/// Opens the SVG and draws grid, ticks and axis titles.
fn frame(chart: &Chart, across: &Axis, up: &Axis) -> String {
    let [left, right, top, bottom] = MARGIN;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
         data-x=\"{} {}\" data-y=\"{} {}\" data-box=\"{left} {} {top} {}\">",
        Escaped(&summary(chart)),
        across.low,
        across.high,
        up.low,
        up.high,
        WIDTH - right,
        HEIGHT - bottom,
    );
    for (value, label) in up.ticks() {
        let y = y_of(up, value);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{left}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - right,
            left - 8.0,
            y + 4.0
        );
    }
    let floor = HEIGHT - bottom;
    for (value, label) in across.ticks() {
        let x = x_of(across, value);
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{floor}\" y2=\"{}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            floor + 5.0,
            floor + 19.0
        );
    }
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{left}\" x2=\"{}\" y1=\"{floor}\" y2=\"{floor}\"/>\
         <text class=\"title\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
         <text class=\"title\" transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        WIDTH - right,
        (left + WIDTH - right) / 2.0,
        HEIGHT - 6.0,
        Escaped(&chart.x_label),
        (top + floor) / 2.0,
        Escaped(&chart.y_label)
    );
    svg
}

/// A line; long ones as a smoothed line over the faint raw one.
fn series(name: &str, index: usize, points: &[(f64, f64)], across: &Axis, up: &Axis) -> String {
    let colour = index % COLOURS;
    let name = Escaped(name);
    if points.len() <= CALM {
        let path = path(points, across, up);
        return format!(
            "<polyline class=\"line c{colour}\" data-name=\"{name}\" points=\"{path}\"/>"
        );
    }
    format!(
        "<polyline class=\"line raw c{colour}\" points=\"{}\"/>\
         <polyline class=\"line c{colour}\" data-name=\"{name}\" points=\"{}\"/>",
        path(&thinned(points), across, up),
        path(&thinned(&smoothed(points)), across, up)
    )
}

/// Points as SVG coordinates.
fn path(points: &[(f64, f64)], across: &Axis, up: &Axis) -> String {
    let mut text = String::new();
    for (x, y) in points {
        let _ = write!(text, "{:.1},{:.1} ", x_of(across, *x), y_of(up, *y));
    }
    text
}

/// At most `MOST_POINTS` points, evenly taken; the last one stays.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MOST_POINTS).max(1);
    let mut kept: Vec<_> = points.iter().step_by(step).copied().collect();
    if !(points.len() - 1).is_multiple_of(step) {
        kept.extend(points.last());
    }
    kept
}

/// Centred moving mean over a twenty-fifth of the line, cut at its ends.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sums = vec![0.0];
    for (_, y) in points {
        sums.push(sums[sums.len() - 1] + y);
    }
    let reach = points.len() / 50;
    let mean = |index: usize| {
        let (from, to) = (index.saturating_sub(reach), (index + reach + 1).min(points.len()));
        (sums[to] - sums[from]) / (to - from) as f64
    };
    points.iter().enumerate().map(|(index, (x, _))| (*x, mean(index))).collect()
}

/// A dot on the highest point, and a label below it.
fn best(index: usize, points: &[(f64, f64)], across: &Axis, up: &Axis) -> String {
    let Some((x, y)) = highest(points) else { return String::new() };
    let (left, top) = (x_of(across, x), y_of(up, y));
    let anchor = if left > WIDTH / 2.0 { ("end", left - 8.0) } else { ("start", left + 8.0) };
    format!(
        "<circle class=\"dot c{}\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"4.5\"/>\
         <text class=\"best c{}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{} at {}</text>",
        index % COLOURS,
        index % COLOURS,
        anchor.1,
        // Above the axis, one line a series, so that labels meet neither each other nor the highest points.
        HEIGHT - MARGIN[3] - 8.0 - 16.0 * (index % 4) as f64,
        anchor.0,
        short(y),
        short(x)
    )
}

/// The first of the highest points.
fn highest(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    points.iter().copied().reduce(|best, point| if point.1 > best.1 { point } else { best })
}

/// What the chart says, for those who do not see it.
fn summary(chart: &Chart) -> String {
    let mut text = format!("{}: {} over {}.", chart.title, chart.y_label, chart.x_label);
    for series in &chart.series {
        let points = finite_points(series);
        let (Some(last), Some(best)) = (points.last(), highest(&points)) else { continue };
        let _ = write!(
            text,
            " {}: highest {} at {}, last {}.",
            series.name,
            short(best.1),
            short(best.0),
            short(last.1)
        );
    }
    text
}

/// Names and colours of the lines; a single line needs none.
fn legend(chart: &Chart) -> String {
    if chart.series.len() < 2 {
        return String::new();
    }
    let items = chart.series.iter().enumerate().map(|(index, series)| {
        format!("<li><i class=\"c{}\"></i>{}</li>", index % COLOURS, Escaped(&series.name))
    });
    format!("<ul class=\"legend\">{}</ul>", items.collect::<String>())
}

/// Four significant digits, without trailing zeros.
fn short(value: f64) -> String {
    let value = finite(Some(value)).unwrap_or(0.0);
    if value != 0.0 && (value.abs() < 1e-3 || value.abs() >= 1e6) {
        return format!("{value:.2e}");
    }
    let decimals = (3.0 - value.abs().max(1.0).log10().floor()).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Horizontal coordinate.
fn x_of(axis: &Axis, value: f64) -> f64 {
    MARGIN[0] + axis.place(value) * (WIDTH - MARGIN[0] - MARGIN[1])
}

/// Vertical coordinate.
fn y_of(axis: &Axis, value: f64) -> f64 {
    HEIGHT - MARGIN[3] - axis.place(value) * (HEIGHT - MARGIN[2] - MARGIN[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.into(), points: points.to_vec() }
    }

    #[test]
    fn broken_points_are_left_out() {
        let chart = Chart {
            series: vec![line("a", &[(f64::NAN, 1.0), (0.0, f64::INFINITY)])],
            ..Chart::default()
        };
        assert_eq!(figure(&chart), "");
        assert_eq!(figure(&Chart::default()), "");
        let chart = Chart { series: vec![line("a", &[(1.0, 2.0)])], ..chart };
        assert!(!figure(&chart).contains("NaN"));
    }

    #[test]
    fn the_best_point_is_named_and_names_are_escaped() {
        let series = vec![line("<i>", &[(0.1, 0.4), (0.2, 0.55), (0.3, 0.5)]), line("b", &[])];
        let chart = Chart { title: "sweep".into(), series, mark_best: true, ..Chart::default() };
        let text = figure(&chart);
        assert!(
            text.contains(">0.55 at 0.2<") && text.contains("&lt;i&gt;") && !text.contains("<i>")
        );
    }

    #[test]
    fn long_lines_are_thinned_and_keep_their_ends() {
        let points: Vec<_> = (0..5000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let calm = smoothed(&points);
        assert!(calm[100..4900].iter().all(|(_, y)| (y - 0.5).abs() < 0.01));
        let few = thinned(&points);
        assert!(few.len() <= MOST_POINTS + 1);
        assert_eq!((few[0], few[few.len() - 1]), (points[0], points[4999]));
    }
}
