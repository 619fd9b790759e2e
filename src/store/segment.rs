//! A segment: an immutable file with some items of one stage, `/<stage>/<item>/<map>`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use hdf5::{Dataset, File, Group};

use super::codec::{self, Encoded};
use super::names::{escape, unescape};
use super::{Identity, Record, Stage, StageSettings, files, hdf};
use crate::Hint;

/// An item ready to be written.
pub(super) struct Item {
    pub name: String,
    link: String,
    arrays: Vec<(String, Encoded)>,
    texts: BTreeMap<String, String>,
    /// Bytes in the file, roughly.
    pub bytes: usize,
}

impl Item {
    /// Compresses a record; runs in the calling thread.
    pub(super) fn new(name: &str, record: &Record) -> Result<Self> {
        record.check()?;
        let mut arrays = Vec::with_capacity(record.maps().len());
        for (key, data) in record.maps() {
            let array = codec::encode(data).with_context(|| format!("map `{key}`"))?;
            arrays.push((key.clone(), array));
        }
        let texts = record.texts().clone();
        let bytes = 1024 + arrays.iter().map(|(_, array)| array.bytes.len()).sum::<usize>();
        Ok(Self { name: name.to_owned(), link: escape(name)?, arrays, texts, bytes })
    }

    fn write(&self, stage: &Group) -> Result<()> {
        let group = hdf::create_group(stage, &self.link)?;
        for (key, array) in &self.arrays {
            hdf::write_array(&group, key, array).with_context(|| format!("map `{key}`"))?;
        }
        for (key, text) in &self.texts {
            hdf::write_text(&group, key, text)?;
        }
        hdf::write_checksum(&group, checksum(&self.texts))
    }
}

/// A segment that is being filled, in memory.
pub(super) struct Draft {
    id: String,
    stage: Stage,
    file: File,
    group: Group,
    names: BTreeSet<String>,
    pub bytes: usize,
    pub started: Instant,
}

impl Draft {
    pub(super) fn new(stage: Stage, identity: &Identity, settings: &StageSettings) -> Result<Self> {
        let id = files::unique(stage.name());
        let file = hdf::create(&id)?;
        identity.write(&file)?;
        let group = hdf::create_group(&file, stage.name())?;
        settings.write(&group, stage)?;
        let (names, started) = (BTreeSet::new(), Instant::now());
        Ok(Self { id, stage, file, group, names, bytes: 0, started })
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn add(&mut self, item: Item) -> Result<()> {
        item.write(&self.group).with_context(|| format!("failed to add item {}", item.name))?;
        self.bytes += item.bytes;
        self.names.insert(item.name);
        Ok(())
    }

    /// Makes it a file that survives.
    pub(super) fn seal(self, dir: &Path) -> Result<()> {
        let count = i64::try_from(self.names.len())?;
        hdf::write_integer(&self.group, "items", count)?;
        let image = hdf::image(&self.file)?;
        let Self { id, stage, file, group, .. } = self;
        drop(group);
        file.close()?;
        let name = format!("{id}.h5");
        files::write_atomically(dir, &name, &name, &image)
            .with_context(|| format!("failed to seal {count} items of stage {stage}"))
    }
}

/// A sealed segment, open for reading.
pub(super) struct Segment {
    path: PathBuf,
    length: u64,
    stage: Stage,
    file: File,
}

impl Segment {
    pub(super) fn open(path: &Path, stage: Stage) -> Result<Self> {
        let length = fs_err::metadata(path)?.len();
        let file = hdf::open(path).context("truncated or damaged, or not HDF5")?;
        Ok(Self { path: path.to_owned(), length, stage, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn identity(&self) -> Result<Identity> {
        Identity::read(&self.file)
    }

    pub(super) fn settings(&self) -> Result<StageSettings> {
        StageSettings::read(&self.group()?)
    }

    /// Names of its items.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let group = self.group()?;
        let links = hdf::links(&group)?;
        let count = hdf::read_integer(&group, "items")?;
        ensure!(count == links.len() as i64, "{} items instead of {count}", links.len());
        links.iter().map(|link| unescape(link)).collect()
    }

    /// Reads an item and compares its checksums.
    pub(super) fn read(&self, name: &str) -> Result<Record> {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy();
        let record = self.read_item(name).with_context(|| {
            format!(
                "failed to read item {name} of stage {} from {}",
                self.stage,
                self.path.display()
            )
        });
        let mut record = record.hint(format!(
            "delete {file} and run the stage again: only its items are computed anew; \
             or run the stage with --force"
        ))?;
        record.origin = format!("{}/{name} in {}", self.stage, self.path.display());
        Ok(record)
    }

    fn group(&self) -> Result<Group> {
        let name = self.stage.name();
        self.file.group(name).with_context(|| format!("no group `{name}`"))
    }

    fn read_item(&self, name: &str) -> Result<Record> {
        let group = self.group()?.group(&escape(name)?).context("no such item")?;
        let mut record = Record::new();
        for key in hdf::links(&group)? {
            let array = self.read_array(&group, &key);
            record.insert(&key, array.with_context(|| format!("map `{key}`"))?);
        }
        for key in group.attr_names()?.iter().filter(|key| *key != hdf::CHECKSUM) {
            record.insert_text(key, hdf::read_text(&group, key)?);
        }
        ensure!(checksum(record.texts()) == hdf::read_checksum(&group)?, "texts: wrong checksum");
        Ok(record)
    }

    fn read_array(&self, group: &Group, key: &str) -> Result<super::Data> {
        let dataset = group.dataset(key)?;
        let (kind, shape) = (hdf::kind(&dataset)?, dataset.shape());
        let count = shape.iter().try_fold(kind.size(), |bytes, extent| bytes.checked_mul(*extent));
        let length = count.ok_or_else(|| anyhow!("impossible shape {shape:?}"))?;
        let plain =
            if length == 0 { Vec::new() } else { self.plain(&dataset, length, kind.size())? };
        let expected = hdf::read_checksum(&dataset)?;
        ensure!(crc32fast::hash(&plain) == expected, "wrong checksum: the file is damaged");
        codec::decode(kind, &shape, &plain)
    }

    /// The bytes of a dataset, read past HDF5 and unpacked outside of its lock.
    fn plain(&self, dataset: &Dataset, length: usize, size: usize) -> Result<Vec<u8>> {
        let extent = hdf::extent(dataset)?;
        let end = extent.start.checked_add(extent.length);
        ensure!(end.is_some_and(|end| end <= self.length), "its bytes lie outside of the file");
        ensure!(extent.deflated || extent.length == length as u64, "some of its bytes are missing");
        let mut bytes = vec![0; usize::try_from(extent.length)?];
        let mut file = fs_err::File::open(&self.path)?;
        file.seek(SeekFrom::Start(extent.start))?;
        file.read_exact(&mut bytes)?;
        if extent.deflated { codec::unpack(&bytes, length, size) } else { Ok(bytes) }
    }
}

/// CRC-32 of `name 0 text 0` of every text in the order of the names.
fn checksum(texts: &BTreeMap<String, String>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in texts.iter().flat_map(|(name, text)| [name, text]) {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize()
}
