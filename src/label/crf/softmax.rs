//! The last part of a mean-field step: from messages to probabilities, for a block of pixels.

#![expect(clippy::needless_range_loop, reason = "lanes by index: the shape that becomes vectors")]

use super::simplex::{BLOCK, Lanes};

/// The channels of one run in a block of pixels.
pub struct Odds<'a> {
    /// By class: first what the pixels receive, in the end their probabilities.
    pub classes: &'a mut [Lanes<f32>],
    /// In the end the probability of the background.
    pub background: &'a mut Lanes<f32>,
}

impl Odds<'_> {
    /// Turns messages into probabilities. `reach` is what the pixels receive of all labels together;
    /// the energy of each pixel's given label, from `labels`, is lower by `margin`.
    #[inline(always)]
    pub fn update(&mut self, reach: &Lanes<f32>, labels: &Lanes<u8>, margin: f32) {
        self.add_energies(reach, labels, margin);
        self.subtract_largest();
        exponentials(self.background);
        self.classes.iter_mut().for_each(exponentials);
        self.normalise();
    }

    /// Log-odds of the classes against the background.
    #[inline(always)]
    fn add_energies(&mut self, reach: &Lanes<f32>, labels: &Lanes<u8>, margin: f32) {
        let mut common = [0.0; BLOCK];
        for odds in &*self.classes {
            for lane in 0..BLOCK {
                common[lane] += odds[lane];
            }
        }
        for lane in 0..BLOCK {
            common[lane] -= reach[lane] + if labels[lane] == 0 { margin } else { 0.0 };
        }
        for (class, odds) in self.classes.iter_mut().enumerate() {
            for lane in 0..BLOCK {
                let given = usize::from(labels[lane]) == class + 1;
                odds[lane] += common[lane] + if given { margin } else { 0.0 };
            }
        }
    }

    /// Makes the largest of each pixel 0, the background included.
    #[inline(always)]
    fn subtract_largest(&mut self) {
        let mut largest = [0.0; BLOCK];
        for odds in &*self.classes {
            for lane in 0..BLOCK {
                largest[lane] = if odds[lane] > largest[lane] { odds[lane] } else { largest[lane] };
            }
        }
        for odds in &mut *self.classes {
            for lane in 0..BLOCK {
                odds[lane] -= largest[lane];
            }
        }
        for lane in 0..BLOCK {
            self.background[lane] = -largest[lane];
        }
    }

    #[inline(always)]
    fn normalise(&mut self) {
        let mut factors = *self.background;
        for odds in &*self.classes {
            for lane in 0..BLOCK {
                factors[lane] += odds[lane];
            }
        }
        for factor in &mut factors {
            *factor = 1.0 / *factor;
        }
        for odds in &mut *self.classes {
            for lane in 0..BLOCK {
                odds[lane] *= factors[lane];
            }
        }
        for lane in 0..BLOCK {
            self.background[lane] *= factors[lane];
        }
    }
}

/// e^x in place, for x <= 0: within 2e-7 of it relatively, in plain operations that vectorise; below
/// -60 as for -60, for the filters would be slow on subnormal numbers.
#[inline(always)]
fn exponentials(values: &mut Lanes<f32>) {
    for value in values {
        *value = exponential(*value);
    }
}

#[inline(always)]
fn exponential(x: f32) -> f32 {
    // Cephes: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts, polynomial in r.
    const SHIFT: f32 = (3 << 22) as f32;
    let x = x.clamp(-60.0, 0.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for factor in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = series * r + factor;
    }
    let fraction = series * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(SHIFT.to_bits()) << 23;
    f32::from_bits(fraction.to_bits().wrapping_add(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_formula() {
        let received = |class: usize, lane: usize| ((lane * 7 + class * 5) % 13) as f32 * 0.5;
        let mut classes: Vec<Lanes<f32>> =
            (0..3).map(|class| std::array::from_fn(|lane| received(class, lane))).collect();
        let (mut background, margin) = ([0.0; BLOCK], 1.25);
        let labels = std::array::from_fn(|lane| (lane % 4) as u8);
        let mut odds = Odds { classes: &mut classes, background: &mut background };
        odds.update(&[13.0; BLOCK], &labels, margin);
        for lane in 0..BLOCK {
            let of_classes: [f32; 3] = std::array::from_fn(|class| received(class, lane));
            let of_background = 13.0 - of_classes.iter().sum::<f32>();
            let all = [of_background, of_classes[0], of_classes[1], of_classes[2]];
            let favour = |label: usize| if label == lane % 4 { margin } else { 0.0 };
            let powers: [f64; 4] =
                std::array::from_fn(|label| f64::from(all[label] + favour(label)).exp());
            let total: f64 = powers.iter().sum();
            assert!((f64::from(background[lane]) - powers[0] / total).abs() < 1e-6);
            for (class, odds) in classes.iter().enumerate() {
                assert!((f64::from(odds[lane]) - powers[class + 1] / total).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_exponential_is_exact_to_single_precision() {
        for step in 0..60_000 {
            let x = step as f32 * -0.001;
            let (ours, exact) = (f64::from(exponential(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 2e-7, "exp({x}) = {ours}, not {exact}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(-1e9) < 1e-26);
    }
}
