//! `irn-export web`: the page of `export/web` with the user's own models.
//!
//! The built page is a folder of plain files; what is added are the two models and `model.json`, which
//! tells the page their names and sizes before it loads them. `index.html` comes last, so that a folder
//! that was left half-written is no page yet.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use irn_models::error::Hint;
use prost::bytes::Bytes;
use serde_json::{Value, json};

use super::write;
use crate::form::Input;
use crate::info::{ModelInfo, NetworkKind};

/// The file that makes a folder a page.
const INDEX: &str = "index.html";
/// Where the built page lies, in a folder above the program or the working directory.
const PLACES: [&str; 2] = ["export/web/dist", ".deps/web"];
/// Least side of the photo that IRNet sees: the default of `irn.pad`.
const PAD: usize = 512;

/// Writes the page with both models into `out`; `page` is the built page where it lies elsewhere.
///
/// # Errors
/// No built page; a model that is missing, of the wrong network or in a form that the page can't run; a
/// folder that can't be written.
pub fn web(cam: &Path, irn: &Path, out: &Path, page: Option<&Path>) -> Result<bool> {
    let page = match page {
        Some(page) => named(page)?,
        None => built()?,
    };
    let cam = Model::read(cam, NetworkKind::Cam)?;
    let irn = Model::read(irn, NetworkKind::Irn)?;
    for file in files(&page)? {
        write(&out.join(&file), &fs_err::read(page.join(&file))?)?;
    }
    for model in [&cam, &irn] {
        write(&out.join(model.name()), &model.bytes)?;
    }
    let listing = json!({
        "format": 1,
        "classes": cam.info.classes,
        "pad": PAD,
        "cam": cam.entry(),
        "irn": irn.entry(),
    });
    write(&out.join("model.json"), serde_json::to_string_pretty(&listing)?.as_bytes())?;
    write(&out.join(INDEX), &fs_err::read(page.join(INDEX))?)?;
    println!("wrote the page to {}; any file server will do, for example", out.display());
    println!("  python3 -m http.server --directory {} 8000", out.display());
    println!("and open http://localhost:8000");
    Ok(true)
}

/// A model that the page can run.
struct Model {
    bytes: Bytes,
    info: ModelInfo,
    seal: String,
}

impl Model {
    fn read(path: &Path, kind: NetworkKind) -> Result<Self> {
        let bytes: Bytes = fs_err::read(path)
            .hint(format!("write it with `irn-export onnx CHECKPOINT --out {}`", path.display()))?
            .into();
        let of_file = || format!("failed to read {}", path.display());
        let (info, seal) = ModelInfo::read(&bytes).with_context(of_file)?;
        if info.network != kind {
            let other = info.network;
            return Err(anyhow!("{} holds the {other} network, not {kind}", path.display()))
                .hint(format!("--{kind} takes what `irn-export onnx` wrote of that network"));
        }
        runnable(&info).with_context(|| format!("the page can't run {}", path.display()))?;
        Ok(Self { bytes, info, seal })
    }

    /// Its file's name beside the page.
    fn name(&self) -> String {
        format!("{}.onnx", self.info.network)
    }

    /// Its entry of `model.json`.
    fn entry(&self) -> Value {
        let ModelInfo { backbone, classes, mean, std, stride, .. } = &self.info;
        json!({
            "file": self.name(),
            "bytes": self.bytes.len(),
            "sha256": self.seal,
            "backbone": backbone,
            "classes": classes,
            "mean": mean,
            "std": std,
            "stride": stride,
        })
    }
}

/// Photos of any size go in, normalised, and the weights are in the file.
fn runnable(info: &ModelInfo) -> Result<()> {
    let check = || -> Result<()> {
        ensure!(info.form.size.is_none(), "it takes photos of one size only");
        ensure!(info.form.input == Input::Normalised, "it normalises photos itself");
        ensure!(info.external.is_none(), "its weights are in a file of their own");
        Ok(())
    };
    check().hint("export it without --size, --embed-preprocessing and --external-data")
}

fn named(page: &Path) -> Result<PathBuf> {
    if page.join(INDEX).is_file() {
        return Ok(page.to_path_buf());
    }
    Err(anyhow!("{} holds no built page: {INDEX} is missing", page.display()))
        .hint("--page takes the folder that `npm run build` writes: export/web/dist")
}

/// The built page above the program or the working directory.
fn built() -> Result<PathBuf> {
    let program = std::env::current_exe().ok();
    let directory = std::env::current_dir().ok();
    let starts = [program.as_deref().and_then(Path::parent), directory.as_deref()];
    let above = starts.into_iter().flatten().flat_map(Path::ancestors);
    let mut places = above.flat_map(|folder| PLACES.map(|place| folder.join(place)));
    places
        .find(|place| place.join(INDEX).is_file())
        .context("the built page was not found above the program or the working directory")
        .hint("build it with `make web` in the project's folder, or name it with --page FOLDER")
}

/// The page's files relative to it, sorted; those that are written anew for every page left out.
fn files(page: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![page.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(page)?.to_path_buf());
            }
        }
    }
    let anew = |path: &Path| {
        path == Path::new(INDEX)
            || path == Path::new("model.json")
            || path.extension().is_some_and(|extension| extension == "onnx")
    };
    found.retain(|path| !anew(path));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::form::Form;
    use crate::onnx::{GraphProto, ModelProto};

    fn model(path: &Path, kind: NetworkKind, form: Form) {
        let graph = GraphProto { name: kind.to_string(), ..Default::default() };
        let mut info = ModelInfo::new(kind, "resnet18", 0.125, vec!["cat".into(), "dog".into()]);
        info.form = form;
        let metadata_props = info.entries(&graph.encode_to_vec()).unwrap();
        let model =
            ModelProto { ir_version: 8, graph: Some(graph), metadata_props, ..Default::default() };
        fs_err::write(path, model.encode_to_vec()).unwrap();
    }

    /// A folder with a page and both models.
    fn workshop() -> (tempfile::TempDir, [PathBuf; 4]) {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["page", "a.onnx", "b.onnx", "out/site"].map(|name| folder.path().join(name));
        fs_err::create_dir_all(paths[0].join("ort")).unwrap();
        for file in [INDEX, "main.js", "ort/runtime.wasm", "model.json", "old.onnx"] {
            fs_err::write(paths[0].join(file), file).unwrap();
        }
        model(&paths[1], NetworkKind::Cam, Form::default());
        model(&paths[2], NetworkKind::Irn, Form::default());
        (folder, paths)
    }

    #[test]
    fn the_page_gets_the_models_and_what_they_say() {
        let (_folder, [page, cam, irn, out]) = workshop();
        assert!(web(&cam, &irn, &out, Some(&page)).unwrap());
        for (file, from) in [("cam.onnx", &cam), ("irn.onnx", &irn)] {
            assert_eq!(fs_err::read(out.join(file)).unwrap(), fs_err::read(from).unwrap());
        }
        assert_eq!(fs_err::read(out.join("ort/runtime.wasm")).unwrap(), b"ort/runtime.wasm");
        assert!(out.join(INDEX).is_file() && !out.join("old.onnx").exists());
        let text = fs_err::read_to_string(out.join("model.json")).unwrap();
        let listing: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(listing["classes"], json!(["cat", "dog"]));
        assert_eq!(listing["irn"]["stride"], 4);
        assert_eq!(listing["cam"]["bytes"], fs_err::metadata(&cam).unwrap().len());
    }

    #[test]
    fn models_that_the_page_cannot_run_are_refused_before_anything_is_written() {
        let (_folder, [page, cam, irn, out]) = workshop();
        let swapped = web(&irn, &cam, &out, Some(&page)).unwrap_err();
        assert!(format!("{swapped:#}").contains("holds the irn network, not cam"), "{swapped:#}");
        model(&irn, NetworkKind::Irn, Form { size: Some([1, 64, 64]), ..Form::default() });
        let fixed = web(&cam, &irn, &out, Some(&page)).unwrap_err();
        assert!(format!("{fixed:#}").contains("one size only"), "{fixed:#}");
        assert!(!out.exists());
    }

    #[test]
    fn a_folder_that_is_no_page_is_named() {
        let (folder, [_, cam, irn, out]) = workshop();
        let error = web(&cam, &irn, &out, Some(folder.path())).unwrap_err();
        assert!(format!("{error:#}").contains("no built page"), "{error:#}");
    }
}
