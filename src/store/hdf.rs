//! The few HDF5 calls that the store needs. Files are composed in memory (HDF5's core driver) and
//! written by us, so that HDF5 never meets a full disk; its error stack is never printed.

use std::path::Path;
use std::ptr;

use anyhow::{Context, Result, bail, ensure};
use hdf5::file::LibraryVersion;
use hdf5::filters::Filter;
use hdf5::types::{FloatSize, IntSize, TypeDescriptor};
use hdf5::{Dataset, Datatype, Extents, File, Group, Location};
use hdf5_sys::h5a::{H5Aread, H5Awrite};
use hdf5_sys::h5d::{H5Dwrite, H5Dwrite_chunk};
use hdf5_sys::h5f::H5Fget_file_image;
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::H5S_ALL;

use super::codec::{Encoded, LEVEL};
use super::record::Kind;

/// The attribute with the CRC-32 of an array's plain bytes, or of an item's texts.
pub(super) const CHECKSUM: &str = "crc32";
/// By how many bytes a file in memory grows.
const GROWTH: usize = 1 << 20;
/// More bytes than this in one attribute are a damaged file.
const LONGEST_TEXTS: usize = 64 << 20;

/// Creates a file in memory, in the format of HDF5 1.10: all that HDF5 parses has a checksum.
pub(super) fn create(name: &str) -> Result<File> {
    let mut options = File::with_options();
    options.with_fapl(|access| {
        access.core_options(GROWTH, false).libver_bounds(LibraryVersion::V110, LibraryVersion::V110)
    });
    options.create(name).context("failed to start an HDF5 file in memory")
}

/// Opens a finished file for reading, without locking it: it never changes.
pub(super) fn open(path: &Path) -> Result<File> {
    let mut options = File::with_options();
    options.with_fapl(|access| access.file_locking(false));
    Ok(options.open(path)?)
}

/// The bytes of a file in memory.
pub(super) fn image(file: &File) -> Result<Vec<u8>> {
    file.flush()?;
    hdf5::sync::sync(|| {
        // SAFETY: the handle is valid as long as `file`; no buffer asks for the length only.
        let length = unsafe { H5Fget_file_image(file.id(), ptr::null_mut(), 0) };
        let mut bytes = vec![0_u8; usize::try_from(length).context("HDF5 lost its file")?];
        // SAFETY: the buffer has the length that is passed.
        let copied =
            unsafe { H5Fget_file_image(file.id(), bytes.as_mut_ptr().cast(), bytes.len()) };
        ensure!(copied == length, "HDF5 gave {copied} of {length} bytes");
        Ok(bytes)
    })
}

/// Creates a group that records no times, so that equal content gives equal bytes.
pub(super) fn create_group(parent: &Group, name: &str) -> Result<Group> {
    Ok(parent.create_group_builder().obj_track_times(false).create(name)?)
}

/// Writes an array: its own bytes, in one piece.
pub(super) fn write_array(group: &Group, name: &str, array: &Encoded) -> Result<()> {
    let mut builder = group.new_dataset_builder().obj_track_times(false);
    if array.deflated {
        builder = builder.chunk(array.shape.clone()).shuffle().deflate(LEVEL);
    }
    let builder = builder.empty_as(descriptor(array.kind));
    let dataset = if array.shape.is_empty() {
        builder.shape(()).create(name)
    } else {
        builder.shape(array.shape.clone()).create(name)
    }?;
    if !array.bytes.is_empty() {
        write_bytes(&dataset, array)?;
    }
    write_checksum(&dataset, array.checksum)
}

fn write_bytes(dataset: &Dataset, array: &Encoded) -> Result<()> {
    let (bytes, length) = (array.bytes.as_ptr().cast(), array.bytes.len());
    let full: usize = array.shape.iter().product::<usize>() * array.kind.size();
    ensure!(array.deflated || length == full, "an array without some of its bytes");
    let kind = dataset.dtype()?;
    let status = hdf5::sync::sync(|| {
        if array.deflated {
            let start = vec![0_u64; array.shape.len()];
            // SAFETY: `start` has the dataset's number of dimensions, `bytes` has `length` bytes.
            unsafe { H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, 0, start.as_ptr(), length, bytes) }
        } else {
            // SAFETY: `bytes` has every byte of the dataset in the dataset's own type.
            unsafe { H5Dwrite(dataset.id(), kind.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) }
        }
    });
    ensure!(status >= 0, "HDF5 refused {length} bytes");
    Ok(())
}

/// The type in the file.
fn descriptor(kind: Kind) -> TypeDescriptor {
    match kind {
        Kind::F32 => TypeDescriptor::Float(FloatSize::U4),
        Kind::F16 => TypeDescriptor::Float(FloatSize::U2),
        Kind::U8 => TypeDescriptor::Unsigned(IntSize::U1),
        Kind::Bool => TypeDescriptor::Boolean,
        Kind::I64 => TypeDescriptor::Integer(IntSize::U8),
    }
}

/// The type of the elements, or an error for one that the store never writes.
pub(super) fn kind(dataset: &Dataset) -> Result<Kind> {
    let found = dataset.dtype()?.to_descriptor()?;
    let kinds = [Kind::F32, Kind::F16, Kind::U8, Kind::Bool, Kind::I64];
    let kind = kinds.into_iter().find(|kind| descriptor(*kind) == found);
    kind.with_context(|| format!("the type {found:?} is none of the store's"))
}

/// Where the bytes of a dataset lie in the file.
pub(super) struct Extent {
    /// Position of the first byte.
    pub start: u64,
    /// Number of bytes in the file.
    pub length: u64,
    /// Whether they are shuffled and deflated.
    pub deflated: bool,
}

/// Finds the bytes of a dataset that [`write_array`] wrote.
pub(super) fn extent(dataset: &Dataset) -> Result<Extent> {
    if !dataset.is_chunked() {
        let start = dataset.offset().context("no bytes are stored")?;
        return Ok(Extent { start, length: dataset.storage_size(), deflated: false });
    }
    let whole = dataset.chunk().is_some_and(|chunk| chunk == dataset.shape());
    let packed = matches!(dataset.filters()[..], [Filter::Shuffle, Filter::Deflate(_)]);
    ensure!(whole && packed, "not one shuffled and deflated piece");
    let chunk = dataset.chunk_info(0).context("no bytes are stored")?;
    ensure!(chunk.filter_mask == 0, "a filter was left out");
    Ok(Extent { start: chunk.addr, length: chunk.size, deflated: true })
}

/// Names of the links of a group.
pub(super) fn links(group: &Group) -> Result<Vec<String>> {
    let names = group.member_names()?.into_iter();
    // The crate does not look whether a name from a file is UTF-8.
    names.map(|name| Ok(String::from_utf8(name.into_bytes())?)).collect()
}

pub(super) fn write_checksum(place: &Location, checksum: u32) -> Result<()> {
    Ok(place.new_attr::<u32>().create(CHECKSUM)?.write_scalar(&checksum)?)
}

pub(super) fn read_checksum(place: &Location) -> Result<u32> {
    place.attr(CHECKSUM).and_then(|found| found.read_scalar()).context("no checksum")
}

pub(super) fn write_integer(place: &Location, name: &str, value: i64) -> Result<()> {
    Ok(place.new_attr::<i64>().create(name)?.write_scalar(&value)?)
}

pub(super) fn read_integer(place: &Location, name: &str) -> Result<i64> {
    let value = place.attr(name).and_then(|found| found.read_scalar());
    value.with_context(|| format!("no attribute `{name}`"))
}

/// Writes a text as a fixed-length string, which lies in the checksummed header of its object.
/// HDF5's variable-length strings do not, and a flipped bit there can make HDF5 loop for ever.
pub(super) fn write_text(place: &Location, name: &str, text: &str) -> Result<()> {
    write_strings(place, name, &[text], ().into())
}

pub(super) fn read_text(place: &Location, name: &str) -> Result<String> {
    let text = read_strings(place, name)?.pop();
    text.with_context(|| format!("attribute `{name}` is empty"))
}

pub(super) fn write_texts(place: &Location, name: &str, texts: &[String]) -> Result<()> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    write_strings(place, name, &texts, texts.len().into())
}

pub(super) fn read_texts(place: &Location, name: &str) -> Result<Vec<String>> {
    read_strings(place, name)
}

/// Texts of one attribute, each padded with zeros to the length of the longest.
fn write_strings(place: &Location, name: &str, texts: &[&str], shape: Extents) -> Result<()> {
    ensure!(!texts.iter().any(|text| text.contains('\0')), "`{name}`: a text with a zero byte");
    let width = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
    let mut bytes = vec![0_u8; width * texts.len()];
    for (slot, text) in bytes.chunks_exact_mut(width).zip(texts) {
        slot[..text.len()].copy_from_slice(text.as_bytes());
    }
    let kind = Datatype::from_descriptor(&TypeDescriptor::FixedUnicode(width))?;
    let builder = place.new_attr_builder().empty_as(TypeDescriptor::FixedUnicode(width));
    let found = builder.shape(shape).create(name)?;
    let status = hdf5::sync::sync(|| {
        // SAFETY: `bytes` has `width` bytes for every element of the attribute.
        unsafe { H5Awrite(found.id(), kind.id(), bytes.as_ptr().cast()) }
    });
    ensure!(status >= 0, "HDF5 refused the attribute `{name}`");
    Ok(())
}

fn read_strings(place: &Location, name: &str) -> Result<Vec<String>> {
    let found = place.attr(name).with_context(|| format!("no attribute `{name}`"))?;
    let kind = found.dtype()?;
    let TypeDescriptor::FixedUnicode(width) = kind.to_descriptor()? else {
        bail!("attribute `{name}` is not text");
    };
    let count = found.shape().iter().try_fold(1_usize, |all, extent| all.checked_mul(*extent));
    let length = count.and_then(|count| count.checked_mul(width));
    let length = length.filter(|length| *length <= LONGEST_TEXTS && width > 0);
    let mut bytes = vec![0_u8; length.with_context(|| format!("`{name}` is too long"))?];
    let status = hdf5::sync::sync(|| {
        // SAFETY: `bytes` has `width` bytes for every element of the attribute.
        unsafe { H5Aread(found.id(), kind.id(), bytes.as_mut_ptr().cast()) }
    });
    ensure!(status >= 0, "HDF5 failed to read the attribute `{name}`");
    let texts = bytes.chunks_exact(width).map(|slot| {
        let end = slot.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Ok(String::from_utf8(slot[..end].to_vec())?)
    });
    texts.collect()
}
