//! Text in HTML and SVG: escaping, numbers.

use std::fmt;

/// A text as it may stand in an element or a quoted attribute.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // NUL may not stand in HTML at all.
                '\0' => f.write_str("\u{fffd}")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// A fraction as a percentage with one decimal, or a dash.
pub fn percent(value: Option<f64>) -> String {
    finite(value).map_or_else(|| "–".to_owned(), |value| format!("{:.1}", 100.0 * value))
}

/// A number for a `data-` attribute, by which the script sorts; empty = sorts last.
pub fn sort_key(value: Option<f64>) -> String {
    finite(value).map_or_else(String::new, |value| format!("{value:.6}"))
}

/// The value, unless it is NaN or infinite.
pub fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => "–".to_owned(),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 119.5 => format!("{s:.0} s"),
        s if s < 7170.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A CSS colour.
pub fn css([r, g, b]: crate::view::Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        let text = Escaped("<b a='1' c=\"2\">&\0</b>").to_string();
        assert_eq!(text, "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\u{fffd}&lt;/b&gt;");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(Some(0.6234)), "62.3");
        assert_eq!((percent(None), percent(Some(f64::NAN))), ("–".into(), "–".into()));
        assert_eq!(sort_key(Some(f64::INFINITY)), "");
        let times: Vec<_> = [0.0, 12.4, 125.0, 9000.0, -1.0].map(duration).into();
        assert_eq!(times, ["0.0 s", "12 s", "2 min", "2.5 h", "–"]);
    }
}
