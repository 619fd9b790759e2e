//! Arrays as bytes in the file: little endian, checksummed, and (where it pays) byte-shuffled and
//! deflated just as HDF5's own filters do, but in the calling thread instead of under HDF5's lock.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use half::f16;
use ndarray::ArrayD;

use super::record::{Data, Kind};

/// The deflate level: 1 is three times as fast as 6 and hardly larger on shuffled maps.
pub(super) const LEVEL: u8 = 1;
/// Arrays smaller than this (bytes) are not compressed.
const SMALL: usize = 4096;
/// HDF5 counts the bytes of a chunk in 32 bits.
const LARGEST_CHUNK: usize = u32::MAX as usize;
/// Deflate never packs more than 1032 bytes into one; what claims more is damaged.
const DEFLATE_LIMIT: u64 = 1032;

/// An array ready to be written.
pub(super) struct Encoded {
    pub kind: Kind,
    pub shape: Vec<usize>,
    /// CRC-32 of the plain bytes.
    pub checksum: u32,
    pub deflated: bool,
    pub bytes: Vec<u8>,
}

impl Kind {
    /// Bytes of an element.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::U8 | Self::Bool => 1,
            Self::F16 => 2,
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }
}

/// Encodes an array; the costly part of writing.
///
/// # Errors
/// Compression fails.
pub(super) fn encode(data: &Data) -> Result<Encoded> {
    let (kind, shape) = (data.kind(), data.shape().to_vec());
    let plain = to_bytes(data);
    let checksum = crc32fast::hash(&plain);
    if (SMALL..=LARGEST_CHUNK).contains(&plain.len()) {
        let packed = deflate(&shuffle(&plain, kind.size()))?;
        if packed.len() < plain.len() / 10 * 9 {
            return Ok(Encoded { kind, shape, checksum, deflated: true, bytes: packed });
        }
    }
    Ok(Encoded { kind, shape, checksum, deflated: false, bytes: plain })
}

/// Undoes shuffle and deflate.
///
/// # Errors
/// Damaged bytes, or not exactly `length` of them after inflation.
pub(super) fn unpack(packed: &[u8], length: usize, size: usize) -> Result<Vec<u8>> {
    let plausible = length as u64 <= (packed.len() as u64 + 64).saturating_mul(DEFLATE_LIMIT);
    ensure!(plausible, "{} bytes can't hold {length}", packed.len());
    let mut shuffled = Vec::with_capacity(length);
    let limit = length as u64 + 1;
    ZlibDecoder::new(packed).take(limit).read_to_end(&mut shuffled).context("damaged bytes")?;
    ensure!(shuffled.len() == length, "{} bytes instead of {length}", shuffled.len());
    Ok(unshuffle(&shuffled, size))
}

/// Array of plain bytes, whose checksum was compared.
///
/// # Errors
/// `bytes` do not fill `shape`.
pub(super) fn decode(kind: Kind, shape: &[usize], bytes: &[u8]) -> Result<Data> {
    Ok(match kind {
        Kind::F32 => Data::F32(from_bytes(shape, bytes)?),
        Kind::F16 => Data::F16(from_bytes(shape, bytes)?),
        Kind::U8 => Data::U8(from_bytes(shape, bytes)?),
        Kind::Bool => Data::Bool(from_bytes(shape, bytes)?),
        Kind::I64 => Data::I64(from_bytes(shape, bytes)?),
    })
}

/// An element as little-endian bytes.
trait Element: Copy {
    type Bytes: AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>;
    fn to_little(self) -> Self::Bytes;
    fn from_little(bytes: Self::Bytes) -> Self;
}

macro_rules! element {
    ($($element:ty: $size:literal),*) => {$(
        impl Element for $element {
            type Bytes = [u8; $size];
            fn to_little(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            fn from_little(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}
element!(f32: 4, f16: 2, u8: 1, i64: 8);

impl Element for bool {
    type Bytes = [u8; 1];
    fn to_little(self) -> Self::Bytes {
        [u8::from(self)]
    }
    fn from_little(bytes: Self::Bytes) -> Self {
        bytes[0] != 0
    }
}

fn to_bytes(data: &Data) -> Vec<u8> {
    fn all<T: Element>(array: &ArrayD<T>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(array.len() * size_of::<T>());
        for element in array {
            bytes.extend_from_slice(element.to_little().as_ref());
        }
        bytes
    }
    match data {
        Data::F32(array) => all(array),
        Data::F16(array) => all(array),
        Data::U8(array) => all(array),
        Data::Bool(array) => all(array),
        Data::I64(array) => all(array),
    }
}

fn from_bytes<T: Element>(shape: &[usize], bytes: &[u8]) -> Result<ArrayD<T>> {
    let elements = bytes.chunks_exact(size_of::<T>());
    let elements = elements.filter_map(|element| T::Bytes::try_from(element).ok());
    let elements: Vec<T> = elements.map(T::from_little).collect();
    ArrayD::from_shape_vec(shape, elements).context("the shape does not fit")
}

/// All first bytes of the elements, then all second ones, ...
fn shuffle(plain: &[u8], size: usize) -> Vec<u8> {
    let count = plain.len() / size;
    let mut shuffled = vec![0; plain.len()];
    for (byte, column) in shuffled.chunks_exact_mut(count).enumerate() {
        for (target, element) in column.iter_mut().zip(plain.chunks_exact(size)) {
            *target = element[byte];
        }
    }
    shuffled
}

fn unshuffle(shuffled: &[u8], size: usize) -> Vec<u8> {
    let count = shuffled.len() / size;
    let mut plain = vec![0; shuffled.len()];
    for (byte, column) in shuffled.chunks_exact(count.max(1)).enumerate() {
        for (element, source) in plain.chunks_exact_mut(size).zip(column) {
            element[byte] = *source;
        }
    }
    plain
}

fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let half = Vec::with_capacity(bytes.len() / 2);
    let mut encoder = ZlibEncoder::new(half, Compression::new(u32::from(LEVEL)));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn packed_arrays_come_back() {
        let data: Data = Array3::from_shape_fn((2, 40, 50), |(c, y, x)| (c + y + x) as f32).into();
        let encoded = encode(&data).unwrap();
        assert!(encoded.deflated && encoded.bytes.len() < 8000);
        let plain = unpack(&encoded.bytes, 16000, 4).unwrap();
        assert_eq!(crc32fast::hash(&plain), encoded.checksum);
        assert_eq!(decode(Kind::F32, &[2, 40, 50], &plain).unwrap(), data);
    }

    #[test]
    fn false_lengths_are_refused() {
        let packed = deflate(&[7; 5000]).unwrap();
        for length in [0, 4999, 5001, usize::MAX / 2] {
            assert!(unpack(&packed, length, 1).is_err(), "{length}");
        }
        assert!(unpack(&packed[..packed.len() / 2], 5000, 1).is_err());
    }

    #[test]
    fn noise_is_kept_plain() {
        let noise = Array3::from_shape_simple_fn((1, 64, 65), rand::random::<u8>);
        assert!(!encode(&noise.into()).unwrap().deflated);
    }
}
