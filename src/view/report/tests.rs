//! The page as text: what is embedded, what is escaped, what is left out.

use super::*;

/// A report in which every text tries to break out.
fn hostile() -> Report {
    let evil = "\"><script>alert('x')</script><img src=x onerror=alert(1)>".to_owned();
    let scores = Scores {
        name: evil.clone(),
        background: Some(0.9),
        classes: vec![Some(0.5), None],
        mean: Some(0.7),
    };
    let series = vec![Series { name: evil.clone(), points: vec![(0.0, 1.0), (1.0, 0.5)] }];
    let chart = Chart {
        title: evil.clone(),
        x_label: evil.clone(),
        y_label: evil.clone(),
        series,
        mark_best: true,
    };
    let panel = Panel::new(evil.clone(), &canvas::filled((4, 6), [9; 3]), 100).unwrap();
    let image = ReportImage {
        name: evil.clone(),
        classes: vec![0, 5],
        iou: Some(0.5),
        scores: vec![0.9, f32::NAN],
        panels: vec![panel],
    };
    Report {
        title: evil.clone(),
        note: evil.clone(),
        class_names: vec![evil.clone(), evil.clone()],
        scores: vec![scores],
        evaluation: vec![chart.clone()],
        training: vec![chart],
        timings: vec![Timing { stage: evil.clone(), seconds: 3.0, images: Some(0) }],
        images: vec![image],
        settings: evil,
    }
}

fn page(report: &Report) -> String {
    let mut bytes = Vec::new();
    report.render(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_text_becomes_markup() {
    let text = page(&hostile());
    assert_eq!(text.matches("<script").count(), 1);
    assert!(!text.contains("<img src=x") && !text.contains("alert('x')"));
    assert!(text.contains("&lt;script&gt;alert(&#39;x&#39;)"));
}

#[test]
fn the_page_stands_alone() {
    let text = page(&hostile());
    let outside = ["src=\"http", "href=", "url(", "@import", "src=\"//", "<link", "<iframe"];
    for reference in outside {
        assert!(!text.contains(reference), "{reference}");
    }
    assert!(text.contains("src=\"data:image/png;base64,iVBORw0KGgo"));
}

#[test]
fn what_is_missing_is_left_out() {
    let text = page(&Report { title: "empty".into(), ..Report::default() });
    for section in ["<section", "<table", "<svg", "<article", "<dialog id"] {
        assert!(!text.contains(section), "{section}");
    }
    let image = ReportImage { name: "a".into(), ..ReportImage::default() };
    let text = page(&Report { images: vec![image], ..Report::default() });
    assert!(text.contains("data-iou=\"\"") && !text.contains("IoU <b>"));
}

#[test]
fn panels_choose_their_encoding() {
    let flat = Panel::new("label", &canvas::filled((50, 100), [1, 2, 3]), 40).unwrap();
    assert_eq!((flat.width, flat.height), (40, 20));
    assert!(flat.bytes.starts_with(b"\x89PNG"));
    let photo = canvas::from_fn((50, 100), |row, column| [row as u8, column as u8, 0]);
    assert!(Panel::new("photo", &photo, 400).unwrap().bytes.starts_with(&[0xff, 0xd8]));
    assert!(Panel::new("none", &canvas::filled((0, 5), [0; 3]), 40).is_err());
}

#[test]
fn a_failed_write_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    hostile().write(&path).unwrap();
    assert!(fs_err::read_to_string(&path).unwrap().ends_with("</html>\n"));
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    let error = Report::default().write(&folder.path().join("no/such.html")).unwrap_err();
    assert!(crate::error::report(&error).contains("such.html"));
}
