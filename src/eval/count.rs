//! How many pixels there are of each kind (ground truth, prediction): eight at a time where they are alike,
//! which most are.

use crate::vectors::widest;

/// The largest label, 255 aside.
pub fn highest(labels: &[u8]) -> u8 {
    // One more than the label, which brings 255 to 0.
    #[inline(always)]
    fn highest(labels: &[u8]) -> u8 {
        labels.iter().fold(0, |most, label| most.max(label.wrapping_add(1)))
    }
    widest!(highest(labels: &[u8]) -> u8).saturating_sub(1)
}

/// Pixels that are looked at together: mostly they are all alike.
const STRIDE: usize = 8;

/// The numbers of pixels of each kind (ground truth, prediction) that are not ignored. All labels but 255
/// are below `labels`.
pub fn counted(
    pred: &[u8],
    truth: &[u8],
    labels: usize,
) -> impl Iterator<Item = ((usize, usize), u64)> {
    // A row and a column more for 255, whatever it stands for.
    let side = labels + 1;
    let mut table = vec![0u64; side * side];
    let place =
        |truth: u8, pred: u8| usize::from(truth).min(labels) * side + usize::from(pred).min(labels);
    for (pred, truth) in pred.chunks(STRIDE).zip(truth.chunks(STRIDE)) {
        if alike(pred) && alike(truth) {
            table[place(truth[0], pred[0])] += pred.len() as u64;
        } else {
            pred.iter().zip(truth).for_each(|(&pred, &truth)| table[place(truth, pred)] += 1);
        }
    }
    let cells = (0..labels).flat_map(move |truth| (0..side).map(move |pred| (truth, pred)));
    let background = move |pred| if pred == labels { 0 } else { pred };
    cells.map(move |(truth, pred)| ((truth, background(pred)), table[truth * side + pred]))
}

fn alike(labels: &[u8]) -> bool {
    match labels.first_chunk::<STRIDE>() {
        Some(eight) => *eight == [eight[0]; STRIDE],
        None => labels.iter().all(|label| *label == labels[0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_counting_one_by_one() {
        for length in [0, 1, 7, 8, 9, 64, 1003] {
            let label = |at: usize, period: usize| [0, 0, 0, 3, 255, 2][at / period % 6];
            let pred: Vec<u8> = (0..length).map(|at| label(at, 13)).collect();
            let truth: Vec<u8> = (0..length).map(|at| label(at, 11)).collect();
            let mut expected = [[0u64; 4]; 4];
            for (&pred, &truth) in pred.iter().zip(&truth).filter(|(_, truth)| **truth != 255) {
                expected[usize::from(truth)][usize::from(if pred == 255 { 0 } else { pred })] += 1;
            }
            let mut found = [[0u64; 4]; 4];
            for ((truth, pred), pixels) in counted(&pred, &truth, 4) {
                found[truth][pred] += pixels;
            }
            assert_eq!(found, expected, "{length}");
            assert!(length < 64 || highest(&truth) == 3);
        }
        assert_eq!(highest(&[255, 255]), 0);
    }
}
