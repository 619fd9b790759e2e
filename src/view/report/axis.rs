//! Axes of charts: round bounds, ticks and their labels.

/// A range of values and the ticks on it.
pub struct Axis {
    /// First value.
    pub low: f64,
    /// Last value.
    pub high: f64,
    step: f64,
}

impl Axis {
    /// Round bounds and a step of 1, 2 or 5 times a power of ten with about `count` ticks.
    ///
    /// `tight` keeps the bounds at the values themselves.
    pub fn covering(values: impl Iterator<Item = f64>, count: f64, tight: bool) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let rough = ((high - low) / count).max(f64::MIN_POSITIVE);
        let power = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= rough).unwrap_or(10.0);
        let step = factor * power;
        if tight {
            return Self { low, high, step };
        }
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
    }

    /// The place of `value` from 0 (low) to 1 (high).
    pub fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Tick values and their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let decimals = (-self.step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (self.low / self.step - 1e-9).ceil();
        let last = (self.high / self.step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 20.0) as usize;
        let values = (0..=count).map(|index| (first + index as f64) * self.step);
        values.map(|value| (value, label(value, self.step, decimals))).collect()
    }
}

/// A tick's label; very large and very small steps in scientific notation.
fn label(value: f64, step: f64, decimals: usize) -> String {
    // -0 would print its sign.
    let value = if value.abs() < step / 1e6 { 0.0 } else { value };
    let large = !(1e-4..1e6).contains(&step);
    if large && value != 0.0 { format!("{value:.1e}") } else { format!("{value:.decimals$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let labels = |axis: Axis| axis.ticks().into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(
            labels(Axis::covering([0.0, 0.93].into_iter(), 5.0, false)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels(Axis::covering([3.0].into_iter(), 2.0, true)), ["2.5", "3.0", "3.5"]);
        let tiny = Axis::covering([0.0, 3e-9].into_iter(), 3.0, false);
        assert_eq!(labels(tiny), ["0.000000000", "1.0e-9", "2.0e-9", "3.0e-9"]);
    }
}
