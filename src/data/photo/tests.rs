//! Photos as Pillow wrote them (`tests/fixtures/make.py`); all show the picture of `rgb.png`.

use std::path::PathBuf;

use ndarray::{Array2, Array3};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photo").join(name)
}

fn photo(name: &str) -> Array3<u8> {
    read_photo(&fixture(name), ExifRule::Apply).unwrap_or_else(|error| panic!("{error:#}"))
}

fn distance(a: &Array3<u8>, b: &Array3<u8>) -> u8 {
    assert_eq!(a.dim(), b.dim());
    a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b)).max().unwrap()
}

/// The picture itself.
fn smooth() -> Array3<u8> {
    Array3::from_shape_fn((24, 32, 3), |(y, x, c)| {
        [8 * x, 10 * y, 255 - (4 * x + 5 * y).min(255)][c] as u8
    })
}

#[test]
fn every_format_shows_the_same_picture() {
    for name in ["rgb.png", "rgb.bmp", "rgb.tiff", "rgb.webp", "alpha.png"] {
        assert_eq!(distance(&photo(name), &smooth()), 0, "{name}");
    }
    for name in ["progressive.jpg", "cmyk.jpg"] {
        let worst = distance(&photo(name), &smooth());
        assert!(worst <= 6, "{name}: {worst}");
    }
    assert!(distance(&photo("palette.png"), &smooth()) < 60);
}

#[test]
fn grey_is_repeated() {
    for name in ["grey.jpg", "grey16.png"] {
        let picture = photo(name);
        assert!(picture.rows().into_iter().all(|p| p[0] == p[1] && p[1] == p[2]), "{name}");
    }
    assert_eq!(photo("grey16.png")[[3, 5, 1]], 40);
}

#[test]
fn orientation_is_undone_or_ignored() {
    let stored = photo("turned1.jpg");
    for orientation in 1..=8 {
        let path = fixture(&format!("turned{orientation}.jpg"));
        assert_eq!(read_photo(&path, ExifRule::Ignore).unwrap(), stored);
        let turned = read_photo(&path, ExifRule::Apply).unwrap();
        let (h, w, _) = turned.dim();
        assert_eq!(size_of(&path, ExifRule::Apply).unwrap(), (h, w));
        assert_eq!((h, w), if orientation < 5 { (24, 32) } else { (32, 24) });
        // Where the stored picture's first pixel belongs (Exif 2.3, tag 0x0112).
        let corner = [(0, 0), (0, w - 1), (h - 1, w - 1), (h - 1, 0)];
        let (y, x) = corner[[0, 1, 2, 3, 0, 1, 2, 3][orientation - 1]];
        assert_eq!(turned[[y, x, 2]], stored[[0, 0, 2]], "orientation {orientation}");
    }
}

#[test]
fn palette_labels_keep_their_indices_at_every_depth() {
    for (bits, most) in [(1, 1), (2, 3), (4, 3), (8, 3)] {
        let expected = Array2::from_shape_fn((24, 31), |(y, x)| ((x + y) % 2 * 3).min(most) as u8);
        assert_eq!(read_label(&fixture(&format!("label{bits}.png"))).unwrap(), expected, "{bits}");
    }
    let grey = read_label(&fixture("label_grey.png")).unwrap();
    assert_eq!((grey[[0, 0]], grey[[0, 1]]), (0, 3));
    let one_bit = read_label(&fixture("label_one_bit.png")).unwrap();
    assert_eq!((one_bit[[0, 0]], one_bit[[0, 1]]), (0, 255));
}

#[test]
fn truncated_photos_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["rgb.png", "rgb.bmp", "rgb.tiff", "rgb.webp", "progressive.jpg", "cmyk.jpg"];
    for name in names.into_iter().chain(["grey.jpg", "turned6.jpg"]) {
        let whole = fs_err::read(fixture(name)).unwrap();
        let path = folder.path().join(format!("cut {name}"));
        for length in [0, 1, 20, whole.len() / 2, whole.len() * 3 / 4] {
            fs_err::write(&path, &whole[..length]).unwrap();
            let error = read_photo(&path, ExifRule::Apply).unwrap_err();
            let report = crate::error::report(&error);
            assert!(report.contains(&format!("cut {name}")), "{report}");
            assert!(report.contains("hint:"), "{report}");
        }
    }
}

#[test]
fn a_missing_photo_is_named() {
    let error = read_photo(&fixture("nowhere.jpg"), ExifRule::Apply).unwrap_err();
    assert!(crate::error::report(&error).contains("nowhere.jpg"));
}

#[test]
fn a_tiny_file_that_claims_a_huge_picture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.bmp");
    let mut bytes = fs_err::read(fixture("rgb.bmp")).unwrap();
    bytes[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    fs_err::write(&path, &bytes).unwrap();
    let message = format!("{:#}", read_photo(&path, ExifRule::Apply).unwrap_err());
    assert!(message.contains("60000 x 60000"), "{message}");
}

#[test]
fn damaged_pictures_never_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged");
    let names = ["rgb.bmp", "rgb.tiff", "rgb.webp", "progressive.jpg", "cmyk.jpg", "label2.png"];
    for name in names {
        let whole = fs_err::read(fixture(name)).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            fs_err::write(&path, &bytes).unwrap();
            drop(read_photo(&path, ExifRule::Apply));
            drop(read_label(&path));
        }
    }
}
