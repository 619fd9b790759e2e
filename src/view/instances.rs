//! Instance masks (paper section 5.3): tinted regions, outlines, and tags with class and score.

use ndarray::{Array2, Array3, ArrayRef2, ArrayRef3, Axis, s};

use super::palette::VOID;
use super::{Picture, canvas, palette, text};

/// How much of the photo an instance's colour covers.
const COVER: f32 = 0.45;

/// A rectangle: top, left, height, width.
type Area = (usize, usize, usize, usize);

/// Instances over the photo, large ones below small ones, each with a tag.
///
/// `masks` is N x h x w (scaled to the photo), `classes` N keys into `names`, `scores` N numbers or
/// empty. What is missing is left out of the tag: an unknown class is shown by its number.
pub fn instances(
    photo: &ArrayRef3<u8>,
    masks: &ArrayRef3<bool>,
    classes: &[usize],
    scores: &[f32],
    names: &[impl AsRef<str>],
) -> Picture {
    let masks: Vec<_> = masks.axis_iter(Axis(0)).collect();
    let tags: Vec<String> = (0..masks.len())
        .map(|index| tag(classes.get(index).copied(), scores.get(index).copied(), names))
        .collect();
    let masks: Vec<_> =
        masks.iter().map(|mask| canvas::nearest(mask, canvas::size(photo))).collect();
    draw(photo, &masks, &tags)
}

/// Ground truth: VOC's object map (h x w: 0 background, 1.. objects, 255 void, shown white).
///
/// `label` is the semantic map of the same size, from which each object takes its class.
pub fn ground_truth_instances(
    photo: &ArrayRef3<u8>,
    objects: &ArrayRef2<u8>,
    label: &ArrayRef2<u8>,
    names: &[impl AsRef<str>],
) -> Picture {
    let objects = canvas::nearest(objects, canvas::size(photo));
    let (masks, classes) = split_objects(&objects, label);
    let masks: Vec<_> = masks.axis_iter(Axis(0)).map(|mask| mask.to_owned()).collect();
    let tags: Vec<_> = classes.iter().map(|class| tag(*class, None, names)).collect();
    let mut picture = draw(photo, &masks, &tags);
    for ((row, column), _) in objects.indexed_iter().filter(|(_, value)| **value == VOID) {
        canvas::blend(&mut picture, row, column, [255; 3], 0.9);
    }
    picture
}

/// Splits an object map into masks, N x h x w, and the class key of each by the semantic map.
pub fn split_objects(
    objects: &ArrayRef2<u8>,
    label: &ArrayRef2<u8>,
) -> (Array3<bool>, Vec<Option<usize>>) {
    let label = canvas::nearest(label, objects.dim());
    let mut present: Vec<u8> = objects.iter().copied().filter(|v| *v != 0 && *v != VOID).collect();
    present.sort_unstable();
    present.dedup();
    let mut masks = Array3::from_elem((present.len(), objects.dim().0, objects.dim().1), false);
    for (index, value) in present.iter().enumerate() {
        masks.slice_mut(s![index, .., ..]).assign(&objects.mapv(|v| v == *value));
    }
    let classes = masks.axis_iter(Axis(0)).map(|mask| class_of(&mask, &label)).collect();
    (masks, classes)
}

/// The class key that most pixels of the mask have.
fn class_of(mask: &ArrayRef2<bool>, label: &ArrayRef2<u8>) -> Option<usize> {
    let mut counts = [0usize; 256];
    for (_, value) in mask.iter().zip(label).filter(|(inside, _)| **inside) {
        counts[usize::from(*value)] += 1;
    }
    let best = (1..usize::from(VOID)).rev().max_by_key(|value| counts[*value])?;
    (counts[best] > 0).then(|| best - 1)
}

/// What the tag says.
fn tag(class: Option<usize>, score: Option<f32>, names: &[impl AsRef<str>]) -> String {
    let class = class.map_or_else(
        || "?".to_owned(),
        |key| names.get(key).map_or_else(|| format!("#{key}"), |name| name.as_ref().to_owned()),
    );
    match score {
        Some(score) => format!("{class} {score:.2}"),
        None => class,
    }
}

/// Fills, outlines and tags, in this order over all instances.
fn draw(photo: &ArrayRef3<u8>, masks: &[Array2<bool>], tags: &[String]) -> Picture {
    let mut picture = photo.to_owned();
    let areas: Vec<usize> =
        masks.iter().map(|mask| mask.iter().filter(|inside| **inside).count()).collect();
    let mut order: Vec<usize> = (0..masks.len()).filter(|index| areas[*index] > 0).collect();
    order.sort_by_key(|index| std::cmp::Reverse(areas[*index]));
    for index in &order {
        fill(&mut picture, &masks[*index], *index);
    }
    for index in &order {
        outline(&mut picture, &masks[*index], *index);
    }
    let mut taken = Vec::new();
    for index in &order {
        write_tag(&mut picture, &masks[*index], &tags[*index], *index, &mut taken);
    }
    picture
}

/// Tints the pixels of a mask.
fn fill(picture: &mut Picture, mask: &Array2<bool>, index: usize) {
    let colour = palette::instance(index);
    for ((row, column), _) in mask.indexed_iter().filter(|(_, inside)| **inside) {
        canvas::blend(picture, row, column, colour, COVER);
    }
}

/// The inner rim of a mask in its full colour, with a dark line outside it.
fn outline(picture: &mut Picture, mask: &Array2<bool>, index: usize) {
    let colour = palette::instance(index);
    let stroke = canvas::stroke(mask.dim());
    let rim = canvas::dilate(&canvas::edges(mask), stroke - 1);
    for ((row, column), _) in rim.indexed_iter().filter(|(_, rim)| **rim) {
        if mask[[row, column]] {
            canvas::set(picture, row, column, colour);
        } else {
            canvas::blend(picture, row, column, [0; 3], 0.45);
        }
    }
}

/// Writes the tag where it hides little and no other tag lies.
fn write_tag(
    picture: &mut Picture,
    mask: &Array2<bool>,
    words: &str,
    index: usize,
    taken: &mut Vec<Area>,
) {
    let scale = text_scale(mask.dim());
    let pad = 2 * scale;
    let words = text::fit(words, mask.dim().1.saturating_sub(2 * pad), scale);
    let (height, width) = text::extent(&words, scale);
    let area = place(mask, (height + 2 * pad, width + 2 * pad), taken);
    let colour = palette::instance(index);
    canvas::rectangle(picture, (area.0, area.1), (area.2, area.3), colour);
    let corner = (area.0 + pad, area.1 + pad);
    text::write(picture, &words, corner, scale, palette::ink_on(colour));
    taken.push(area);
}

/// Dots per font dot on a picture of this size.
fn text_scale((height, width): (usize, usize)) -> usize {
    (height.max(width) / 250).clamp(1, 6)
}

/// Where a tag of `size` goes: inside a large mask, above or below a small one, else further down.
fn place(mask: &Array2<bool>, size: (usize, usize), taken: &[Area]) -> Area {
    let (top, left, height, width) = bounds(mask);
    let (rows, columns) = mask.dim();
    let roomy = width > size.1 && height > 3 * size.0;
    let centre = left + width / 2;
    let wishes = [top + height / 2, top + size.0, top, top + height].into_iter();
    let wishes = wishes.map(|row| if roomy { row.saturating_sub(size.0 / 2) } else { row });
    let above = top.saturating_sub(size.0);
    let first = if roomy { None } else { Some(above) };
    let further = (0..rows).step_by(size.0.max(1));
    let mut candidates = first.into_iter().chain(wishes).chain(further).map(|row| {
        let row = row.min(rows.saturating_sub(size.0));
        let column = centre.saturating_sub(size.1 / 2).min(columns.saturating_sub(size.1));
        (row, column, size.0, size.1)
    });
    let fallback = (above, left.min(columns.saturating_sub(size.1)), size.0, size.1);
    candidates.find(|area| !taken.iter().any(|other| overlap(*area, *other))).unwrap_or(fallback)
}

/// Top, left, height and width of the mask's bounding box; zeros for an empty mask.
fn bounds(mask: &Array2<bool>) -> Area {
    let mut inside = mask.indexed_iter().filter(|(_, inside)| **inside).map(|(place, _)| place);
    let Some((row, column)) = inside.next() else { return (0, 0, 0, 0) };
    let (mut bottom, mut left, mut right) = (row, column, column);
    for (row, column) in inside {
        bottom = row;
        (left, right) = (left.min(column), right.max(column));
    }
    (row, left, bottom - row + 1, right - left + 1)
}

/// Whether two rectangles share a pixel.
fn overlap(a: Area, b: Area) -> bool {
    a.0 < b.0 + b.2 && b.0 < a.0 + a.2 && a.1 < b.1 + b.3 && b.1 < a.1 + a.3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_boxes() -> Array3<bool> {
        let mut masks = Array3::from_elem((2, 50, 60), false);
        masks.slice_mut(s![0, 5..45, 4..34]).fill(true);
        masks.slice_mut(s![1, 20..30, 30..56]).fill(true);
        masks
    }

    #[test]
    fn every_instance_gets_colour_and_tag() {
        let photo = canvas::filled((100, 120), [100; 3]);
        let names = ["cat", "dog"];
        let picture = instances(&photo, &two_boxes(), &[0, 7], &[0.9, 0.25], &names);
        let has =
            |colour| (0..100).any(|row| (0..120).any(|x| canvas::get(&picture, row, x) == colour));
        assert!(has(palette::instance(0)) && has(palette::instance(1)));
        assert_eq!(canvas::get(&picture, 99, 119), [100; 3]);
        assert_eq!(tag(Some(7), Some(0.25), &names), "#7 0.25");
        assert_eq!(tag(Some(1), None, &names), "dog");
    }

    #[test]
    fn missing_lists_and_tiny_photos_do_no_harm() {
        let photo = canvas::filled((3, 1), [100; 3]);
        let none: [&str; 0] = [];
        assert_eq!(instances(&photo, &two_boxes(), &[], &[], &none).dim(), (3, 1, 3));
        let empty = Array3::from_elem((0, 3, 1), true);
        assert_eq!(instances(&photo, &empty, &[1], &[1.0], &none), photo);
    }

    #[test]
    fn tags_do_not_cover_each_other() {
        let mask = Array2::from_shape_fn((100, 100), |(row, _)| row > 90);
        let mut taken = Vec::new();
        for _ in 0..4 {
            let area = place(&mask, (11, 60), &taken);
            assert!(!taken.iter().any(|other| overlap(area, *other)), "{area:?} in {taken:?}");
            assert!(area.0 + area.2 <= 100 && area.1 + area.3 <= 100);
            taken.push(area);
        }
    }

    #[test]
    fn objects_take_the_class_of_their_pixels() {
        let objects = ndarray::array![[1, 1, 0], [1, VOID, 2]];
        let label = ndarray::array![[4, 4, 0], [VOID, VOID, 9]];
        let (masks, classes) = split_objects(&objects, &label);
        assert_eq!((masks.dim(), classes), ((2, 2, 3), vec![Some(3), Some(8)]));
        let photo = canvas::filled((20, 30), [100; 3]);
        let picture = ground_truth_instances(&photo, &objects, &label, &["a"]);
        assert!(canvas::get(&picture, 15, 15)[0] > 230);
    }
}
