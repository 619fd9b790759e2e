//! What is worked on: the peer's own inputs and results where it could write them, look-alikes otherwise.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use irn::data::npy::{self, Array, Value};
use ndarray::{Array3, ArrayD, Dimension, Ix3};

use super::peer::Peer;

/// The folder with the arrays.
pub struct Inputs {
    folder: PathBuf,
}

/// A path given by an environment variable, or one beside the repository, in `../shared`.
pub fn beside(variable: &str, default: &str) -> PathBuf {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(default);
    std::env::var_os(variable).map_or(shared, PathBuf::from)
}

/// `target/bench`, wherever Cargo's target folder is.
pub fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).context("the program lies in target/release/deps")?;
    let folder = target.join("bench");
    fs_err::create_dir_all(&folder)?;
    Ok(folder)
}

impl Inputs {
    /// The folder that [`Self::prepare`] made.
    pub fn find() -> Result<Self> {
        Ok(Self { folder: folder()? })
    }

    /// Has the peer write its inputs, once; and exports the networks for ONNX Runtime.
    pub fn prepare(peer: Option<&Peer>) -> Result<()> {
        let folder = folder()?;
        let complete = folder.join("complete");
        if let (Some(peer), false) = (peer, complete.exists()) {
            println!("the peer writes its inputs and results ...");
            peer.script("inputs.py", &folder.to_string_lossy())?;
            fs_err::write(complete, "")?;
        }
        super::networks::export(&Self { folder })
    }

    /// The path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether the peer wrote the array `name`.
    pub fn has(&self, name: &str) -> bool {
        self.path(&format!("{name}.npy")).exists()
    }

    fn array(&self, name: &str) -> Result<Array> {
        match npy::read(&self.path(&format!("{name}.npy")))? {
            Value::Array(array) => Ok(array),
            other => bail!("{name} is {}", other.what()),
        }
    }

    /// An array of numbers.
    pub fn f32(&self, name: &str) -> Result<ArrayD<f32>> {
        Ok(self.array(name)?.to_f32())
    }

    /// The same with a known number of axes.
    pub fn maps<D: Dimension>(&self, name: &str) -> Result<ndarray::Array<f32, D>> {
        Ok(self.f32(name)?.into_dimensionality()?)
    }

    /// Whole numbers in a row.
    pub fn numbers(&self, name: &str) -> Result<Vec<usize>> {
        let whole = self.array(name)?.to_i64()?;
        whole.iter().map(|&number| usize::try_from(number).context("below zero")).collect()
    }

    /// Bytes.
    pub fn bytes(&self, name: &str) -> Result<ArrayD<u8>> {
        match self.array(name)? {
            Array::U8(bytes) => Ok(bytes),
            _ => bail!("{name} holds no bytes"),
        }
    }

    /// `count` masks of 375 x 500 that were written as bits.
    pub fn masks(&self, name: &str, count: usize) -> Result<Array3<bool>> {
        let bits = self.bytes(name)?;
        let bits = bits.as_slice().context("contiguous")?;
        let set = |pixel: usize| bits[pixel / 8] >> (7 - pixel % 8) & 1 == 1;
        let shape = (count, 375, 500);
        Ok(Array3::from_shape_vec(shape, (0..count * 375 * 500).map(set).collect())?)
    }

    /// The peer's picture, or waves in three colours.
    pub fn photo(&self) -> Result<Array3<u8>> {
        if self.has("cam_prep.photo") {
            return Ok(self.bytes("cam_prep.photo")?.into_dimensionality::<Ix3>()?);
        }
        let wave = |(y, x, c): (usize, usize, usize)| {
            let (y, x) = (y as f64, x as f64);
            let value = (y / (17.0 + c as f64)).sin() + (x / (29.0 - c as f64)).cos();
            (127.5 + 50.0 * value + ((y * 7.0 + x * 13.0) % 16.0)) as u8
        };
        Ok(Array3::from_shape_fn((375, 500, 3), wave))
    }
}

/// Largest difference of two lists of numbers, in words.
pub fn largest<'a>(
    what: &str,
    ours: impl IntoIterator<Item = &'a f32>,
    theirs: impl IntoIterator<Item = &'a f32>,
) -> String {
    let pairs = ours.into_iter().zip(theirs).map(|(a, b)| (a - b).abs());
    let (count, largest) = pairs.fold((0, 0f32), |(n, most), gap| (n + 1, most.max(gap)));
    format!("{what} differ by at most {largest:.1e} ({count} numbers)")
}

/// What is said where there is nothing to compare with.
pub fn alone() -> String {
    "the peer's results are not there to compare with".into()
}
