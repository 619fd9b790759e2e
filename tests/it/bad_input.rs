//! Bad input gets a clear error, costs nothing that was done, and shows in the exit code.

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, RgbImage};

use crate::programs::{INFER, Playground, TRAIN};

#[test]
fn odd_and_broken_photos() {
    let here = Playground::new(16);
    let photos = here.path("data/JPEGImages");
    let list = here.path("data/ImageSets/Segmentation/train.txt");
    let names: Vec<String> =
        fs_err::read_to_string(&list).unwrap().split_whitespace().map(String::from).collect();
    let photo = |i: usize| photos.join(format!("{}.jpg", names[i]));

    let bytes = fs_err::read(photo(0)).unwrap();
    fs_err::write(photo(0), &bytes[..bytes.len() / 2]).unwrap();
    fs_err::remove_file(photo(1)).unwrap();
    fs_err::write(photo(2), b"no photo at all").unwrap();
    GrayImage::from_pixel(50, 40, Luma([90])).save(photo(3)).unwrap();
    RgbImage::from_pixel(1, 60, image::Rgb([200, 10, 10])).save(photo(4)).unwrap();
    let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_pixel(40, 50, Luma([30000]));
    let png = photos.join("deep.png");
    DynamicImage::ImageLuma16(deep).save(&png).unwrap();
    fs_err::rename(&png, photo(5)).unwrap();
    fs_err::remove_file(here.path(&format!("data/Annotations/{}.xml", names[6]))).unwrap();
    fs_err::write(&list, format!("{}\nno_such_image\n", names.join("\n"))).unwrap();

    let out = here.run(TRAIN, &["run", "run.passes=[train_cam,make_cam,make_ir_label,train_irn]"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(3), "{said}");
    for bad in [&names[0], &names[1], &names[2], &names[6], "no_such_image"] {
        assert!(said.contains(&format!("  {bad}: ")), "{bad} is not listed:\n{said}");
    }
    for odd in [&names[3], &names[4], &names[5]] {
        assert!(!said.contains(&format!("  {odd}: ")), "{odd} is skipped:\n{said}");
    }
    let out = here.run(TRAIN, &["run"]);
    assert_eq!(out.status.code(), Some(3), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(here.path("out/coco.json").is_file());
}

#[test]
fn settings_and_files_that_do_not_fit() {
    let here = Playground::new(12);
    here.says(
        TRAIN,
        &["cam", "cam.train.epoch=1"],
        1,
        &["cam.train.epoch", "hint:", "cam.train.epochs"],
    );
    here.says(TRAIN, &["cam", "cam.train.batch=64"], 1, &["fewer than a batch of 64", "hint:"]);
    here.says(TRAIN, &["cam", "network.backbone=vgg"], 1, &["vgg", "resnet50"]);
    here.says(INFER, &["cam"], 1, &["cam.onnx", "hint:"]);
    here.says(INFER, &["sem-seg"], 1, &["irn.onnx", "hint:"]);
    fs_err::write(here.path("junk.pth"), b"not a checkpoint").unwrap();
    here.says(TRAIN, &["cam", "network.weights=junk.pth"], 1, &["junk.pth", "hint:"]);
    here.says(TRAIN, &["cam", "network.weights=absent.pth"], 1, &["absent.pth"]);
    fs_err::write(here.path("file"), b"in the way").unwrap();
    here.says(TRAIN, &["cam", "run.out=file/out"], 1, &["file/out"]);
    here.says(TRAIN, &["cam", "data.train_list=absent.txt"], 1, &["absent.txt"]);

    here.ok(TRAIN, &["run", "run.passes=[train_cam,make_cam]"]);
    let whole = fs_err::read(here.path("out/cam.safetensors")).unwrap();
    fs_err::write(here.path("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    here.says(
        TRAIN,
        &["cam", "network.weights=cut.safetensors", "run.out=b"],
        1,
        &["cut.safetensors"],
    );
    here.says(INFER, &["sem-seg", "run.irn_model=out/cam.onnx"], 1, &["cam.onnx", "hint:"]);
    here.says(INFER, &["cam", "data.classes=[one,two]"], 1, &["classes", "hint:"]);
    here.says(TRAIN, &["cam", "cam.train.epochs=3"], 1, &["other settings", "--force"]);
    let after = fs_err::read(here.path("out/cam.safetensors")).unwrap();
    assert!(whole == after, "a refused run changed the checkpoint");
}
