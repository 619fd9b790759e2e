//! Colours: the VOC colour map for files, and even, distinct colours for pictures.
//!
//! Drawn colours come from OKLCh (Ottosson 2020), where equal steps look equal; the heat map is
//! matplotlib's inferno, whose lightness grows steadily, so that it survives grey printing.

use std::f32::consts::TAU;

use super::Rgb;

/// Label value of pixels nobody judged.
pub const VOID: u8 = 255;

/// Turn of hue between neighbours in a list: the golden angle, which never repeats itself.
const GOLDEN_ANGLE: f32 = 2.399_963_2;

/// Inferno at eleven even steps.
const INFERNO: [Rgb; 11] = [
    [0, 0, 4],
    [22, 11, 57],
    [66, 10, 104],
    [106, 23, 110],
    [147, 38, 103],
    [188, 55, 84],
    [221, 81, 58],
    [243, 120, 25],
    [252, 165, 10],
    [246, 215, 70],
    [252, 255, 164],
];

/// The VOC devkit's colour of a label value: bits of the index spread over the high bits of R, G, B.
pub fn voc(value: u8) -> Rgb {
    let mut colour = [0; 3];
    for place in 0..8 {
        if value >> place & 1 == 1 {
            colour[place % 3] |= 0x80 >> (place / 3);
        }
    }
    colour
}

/// A vivid colour for class key `class` (0-based); the first dozens are well apart.
///
/// Not the VOC colours: those are too dark and too close together to lie on a photo.
pub fn class(class: usize) -> Rgb {
    // Hues come close again after 5, 8 and 13 classes; a period of three tells those apart.
    let lightness = [0.76, 0.60, 0.86][class % 3];
    oklch(lightness, 0.19, 0.5 + class as f32 * GOLDEN_ANGLE)
}

/// Colour of a label value in pictures: dark background, light grey void, else [`class`].
pub fn label(value: u8) -> Rgb {
    match value {
        0 => [28, 28, 34],
        VOID => [214, 214, 214],
        _ => class(usize::from(value) - 1),
    }
}

/// A colour for the `index`-th instance of a photo.
pub fn instance(index: usize) -> Rgb {
    let lightness = [0.70, 0.82, 0.62][index % 3];
    oklch(lightness, 0.18, 0.9 + index as f32 * GOLDEN_ANGLE)
}

/// Heat of `value` in 0..=1, black over red to pale yellow; values outside are clamped, NaN is 0.
pub fn heat(value: f32) -> Rgb {
    let steps = INFERNO.len() - 1;
    let place = value.clamp(0.0, 1.0).max(0.0) * steps as f32;
    let low = (place as usize).min(steps - 1);
    mix(INFERNO[low], INFERNO[low + 1], place - low as f32)
}

/// Signed `value` in -1..=1: blue below zero, near white at zero, red above.
pub fn diverging(value: f32) -> Rgb {
    let strong = if value < 0.0 { [33, 102, 172] } else { [178, 24, 43] };
    mix([247, 247, 247], strong, value.abs())
}

/// Direction and strength of a vector: hue = direction, paleness falls with `strength` (0..=1).
///
/// Right is red, down yellow-green, left cyan, up violet; `dy` points down, as rows do.
pub fn direction(dy: f32, dx: f32, strength: f32) -> Rgb {
    let strength = strength.clamp(0.0, 1.0).max(0.0);
    let hue = if strength > 0.0 { dy.atan2(dx) + 0.35 } else { 0.0 };
    oklch(0.97 - 0.29 * strength, 0.2 * strength, hue)
}

/// Straight mixture of two colours; `amount` (clamped to 0..=1) of `b`.
pub fn mix(a: Rgb, b: Rgb, amount: f32) -> Rgb {
    let amount = amount.clamp(0.0, 1.0).max(0.0);
    std::array::from_fn(|i| {
        (f32::from(a[i]) + (f32::from(b[i]) - f32::from(a[i])) * amount).round() as u8
    })
}

/// Black or white, whichever reads better on `background`.
pub fn ink_on(background: Rgb) -> Rgb {
    let [r, g, b] = background.map(f32::from);
    if 0.299 * r + 0.587 * g + 0.114 * b > 140.0 { [0, 0, 0] } else { [255, 255, 255] }
}

/// sRGB of an OKLCh colour (hue in radians); out-of-gamut colours lose chroma until they fit.
fn oklch(lightness: f32, chroma: f32, hue: f32) -> Rgb {
    let (sin, cos) = (hue % TAU).sin_cos();
    let linear = |chroma: f32| oklab_to_linear(lightness, chroma * cos, chroma * sin);
    let fits = |chroma: f32| linear(chroma).iter().all(|v| (-0.001..=1.001).contains(v));
    let mut fitting = chroma;
    if !fits(chroma) {
        // Bisection, since coarser steps show as bands in smooth fields.
        let mut beyond = chroma;
        fitting = 0.0;
        for _ in 0..10 {
            let middle = (fitting + beyond) / 2.0;
            if fits(middle) {
                fitting = middle;
            } else {
                beyond = middle;
            }
        }
    }
    linear(fitting).map(|v| (255.0 * gamma(v.clamp(0.0, 1.0))).round() as u8)
}

/// Ottosson's inverse: OKLab to linear sRGB.
fn oklab_to_linear(lightness: f32, a: f32, b: f32) -> [f32; 3] {
    let l = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let m = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let s = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * l - 3.307_711_6 * m + 0.230_969_94 * s,
        -1.268_438 * l + 2.609_757_4 * m - 0.341_319_38 * s,
        -0.004_196_086 * l - 0.703_418_6 * m + 1.707_614_7 * s,
    ]
}

/// The sRGB transfer curve.
fn gamma(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voc_colours_are_the_devkits() {
        let named = [(0, [0, 0, 0]), (1, [128, 0, 0]), (8, [64, 0, 0]), (15, [192, 128, 128])];
        for (value, colour) in named {
            assert_eq!(voc(value), colour);
        }
        assert_eq!(voc(255), [224, 224, 192]);
    }

    #[test]
    fn eighty_classes_and_fifty_instances_differ() {
        let apart = |colours: Vec<Rgb>, least: i32| {
            for (i, a) in colours.iter().enumerate() {
                for b in &colours[..i] {
                    let gap: i32 = (0..3).map(|c| (i32::from(a[c]) - i32::from(b[c])).abs()).sum();
                    assert!(gap >= least, "{a:?} and {b:?}");
                }
            }
        };
        apart((0..80).map(class).collect(), 8);
        apart((0..20).map(class).collect(), 50);
        apart((0..50).map(instance).collect(), 8);
    }

    #[test]
    fn heat_grows_lighter_and_takes_any_number() {
        let light = |c: Rgb| 299 * u32::from(c[0]) + 587 * u32::from(c[1]) + 114 * u32::from(c[2]);
        let values: Vec<u32> = (0..=100).map(|i| light(heat(i as f32 / 100.0))).collect();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(heat(f32::NAN), heat(0.0));
        assert_eq!(heat(f32::INFINITY), heat(1.0));
        assert_eq!(diverging(0.0), [247; 3]);
        assert_eq!(diverging(f32::NAN), [247; 3]);
    }

    #[test]
    fn opposite_directions_look_different() {
        assert_eq!(direction(0.0, 1.0, 0.0), direction(1.0, 0.0, 0.0));
        let (right, left) = (direction(0.0, 1.0, 1.0), direction(0.0, -1.0, 1.0));
        assert!(right[0] > left[0] + 80 && left[2] > right[2]);
    }
}
