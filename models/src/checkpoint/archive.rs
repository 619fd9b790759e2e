//! The zip archive that PyTorch writes since 1.6: `NAME/data.pkl` and one entry a storage, none of them
//! compressed.

use std::io::{Cursor, Read};

use anyhow::{Context, Result, ensure};
use zip::ZipArchive;

/// An opened archive.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    length: usize,
}

impl<'a> Archive<'a> {
    /// Whether `bytes` begin as an archive does.
    pub fn is_zip(bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK\x03\x04")
    }

    /// Finds `data.pkl`; its folder holds the rest.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes)).context("zip archive")?;
        let mut entries = zip.file_names().filter_map(std::result::Result::ok);
        let pickle = entries.find(|name| name.ends_with("data.pkl")).map(String::from);
        drop(entries);
        let pickle = pickle.context("the archive holds no data.pkl")?;
        let folder = pickle.trim_end_matches("data.pkl").to_string();
        let mut archive = Self { zip, folder, length: bytes.len() };
        let order = archive.entry("byteorder", archive.length);
        ensure!(order.is_err() || order.is_ok_and(|order| order == b"little"), "big-endian file");
        Ok(archive)
    }

    /// The pickle that describes the tensors.
    pub fn pickle(&mut self) -> Result<Vec<u8>> {
        self.entry("data.pkl", self.length)
    }

    /// The bytes of a storage, at most `limit`.
    pub fn storage(&mut self, key: &str, limit: usize) -> Result<Vec<u8>> {
        self.entry(&format!("data/{key}"), limit)
    }

    /// An entry, which as a stored one can't be longer than the file.
    fn entry(&mut self, name: &str, limit: usize) -> Result<Vec<u8>> {
        let name = format!("{}{name}", self.folder);
        let file = self.zip.by_name(&name).with_context(|| format!("entry {name}"))?;
        let mut content = Vec::new();
        let read = file.take(limit as u64).read_to_end(&mut content);
        read.with_context(|| format!("entry {name}"))?;
        Ok(content)
    }
}
