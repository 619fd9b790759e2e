//! Writes `.pth` files that upstream loads: every parameter under each of its names, all of them one
//! storage, so that `load_state_dict(torch.load(path), strict=True)` is content and the file is no larger.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Tensor;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::little_endian;
use super::names::{Family, Names};
use super::whole::write_whole;

/// Writes the f32 tensors of one of the networks, under our names, as PyTorch's zip form.
///
/// Batch norms get the `num_batches_tracked` (0) that PyTorch expects.
///
/// # Errors
/// Tensors that are not f32; what the file system refuses: the file at `path` is then the old one or none.
pub fn save_pth(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    write_whole(path, &encode(tensors)?)
}

fn encode(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>> {
    let names = Names::of(Family::of(tensors.keys().map(String::as_str)));
    let mut pickle = Pickle::new();
    let mut storages = Vec::new();
    for (name, tensor) in tensors {
        let place = Place { class: "FloatStorage", key: storages.len(), dims: tensor.dims() };
        storages.push(little_endian(tensor).with_context(|| name.clone())?);
        names.upstream(name).iter().for_each(|alias| pickle.entry(alias, &place));
        if let Some(norm) = name.strip_suffix(".running_var") {
            let place = Place { class: "LongStorage", key: storages.len(), dims: &[] };
            storages.push(0i64.to_le_bytes().to_vec());
            let counter = format!("{norm}.num_batches_tracked");
            names.upstream(&counter).iter().for_each(|alias| pickle.entry(alias, &place));
        }
    }
    archive(&pickle.finish(), &storages)
}

fn archive(pickle: &[u8], storages: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(64);
    let mut add = |name: &str, bytes: &[u8]| -> Result<()> {
        zip.start_file(format!("archive/{name}"), options)?;
        Ok(zip.write_all(bytes)?)
    };
    add("data.pkl", pickle)?;
    add("byteorder", b"little")?;
    for (key, bytes) in storages.iter().enumerate() {
        add(&format!("data/{key}"), bytes)?;
    }
    add("version", b"3\n")?;
    Ok(zip.finish()?.into_inner())
}

/// A tensor that fills its storage.
struct Place<'a> {
    class: &'a str,
    key: usize,
    dims: &'a [usize],
}

/// A pickle of protocol 2: an ordered dict of tensors.
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(b"\x80\x02ccollections\nOrderedDict\n)R(".to_vec())
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend(b"u.");
        self.0
    }

    /// `name: _rebuild_tensor_v2(storage, 0, dims, strides, False, OrderedDict())`.
    fn entry(&mut self, name: &str, place: &Place) {
        let count: usize = place.dims.iter().product();
        self.text(name);
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(format!("ctorch\n{}\n", place.class).bytes());
        self.text(&place.key.to_string());
        self.text("cpu");
        self.int(count);
        self.0.extend(b"tQK\x00");
        self.tuple(place.dims.iter().copied());
        let stride = |axis: usize| place.dims[axis + 1..].iter().product();
        self.tuple((0..place.dims.len()).map(stride));
        self.0.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }

    fn tuple(&mut self, sizes: impl Iterator<Item = usize>) {
        self.0.push(b'(');
        sizes.for_each(|size| self.int(size));
        self.0.push(b't');
    }

    /// PyTorch's restricted reader knows no long integers; a tensor has fewer values than 2^31.
    fn int(&mut self, value: usize) {
        self.0.push(b'J');
        self.0.extend((value as u32).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }
}
