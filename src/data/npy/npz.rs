//! Writes `.npz` files: arrays by name in one zip archive, deflated, as `numpy.savez_compressed`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::write::{kind_of, write_data};
use super::{Array, header};
use crate::data::atomic::write_atomically;

/// 1 January 1980, the zip format's first day: the bytes depend on the arrays alone.
const DATE: u16 = 0x21;

/// A file of the archive.
struct Member {
    name: String,
    sum: u32,
    packed: Vec<u8>,
    size: u32,
}

/// Writes the arrays under their names.
///
/// # Errors
/// An array of 4 GiB or more, a file that can't be written.
pub fn write(path: &Path, entries: &[(&str, Array)]) -> Result<()> {
    let members = entries.iter().map(|(name, array)| member(name, array));
    let members: Vec<Member> = members.collect::<Result<_>>()?;
    write_atomically(path, |file| Ok(archive(file, &members)?))
}

fn member(name: &str, array: &Array) -> Result<Member> {
    let mut bytes = header::text_of(kind_of(array), array.shape());
    write_data(&mut bytes, array)?;
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes)?;
    let size = u32::try_from(bytes.len()).with_context(|| format!("array {name} is too large"))?;
    let (packed, sum) = (encoder.finish()?, crc32fast::hash(&bytes));
    Ok(Member { name: format!("{name}.npy"), sum, packed, size })
}

fn archive(out: &mut impl Write, members: &[Member]) -> std::io::Result<()> {
    let (mut directory, mut offset) = (Vec::new(), 0u32);
    for member in members {
        let local = local_header(member);
        out.write_all(b"PK\x03\x04")?;
        out.write_all(&local)?;
        out.write_all(member.name.as_bytes())?;
        out.write_all(&member.packed)?;
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&local);
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(member.name.as_bytes());
        offset += (4 + local.len() + member.name.len() + member.packed.len()) as u32;
    }
    out.write_all(&directory)?;
    let count = (members.len() as u16).to_le_bytes();
    out.write_all(b"PK\x05\x06\x00\x00\x00\x00")?;
    out.write_all(&[count, count].concat())?;
    out.write_all(&(directory.len() as u32).to_le_bytes())?;
    out.write_all(&offset.to_le_bytes())?;
    out.write_all(&[0, 0])
}

/// What the header of a member and its entry in the directory share.
fn local_header(member: &Member) -> Vec<u8> {
    let mut header = Vec::with_capacity(26);
    // Version 2.0, no flags, deflated, midnight.
    for word in [20u16, 0, 8, 0, DATE] {
        header.extend(word.to_le_bytes());
    }
    for word in [member.sum, member.packed.len() as u32, member.size] {
        header.extend(word.to_le_bytes());
    }
    for word in [member.name.len() as u16, 0] {
        header.extend(word.to_le_bytes());
    }
    header
}
