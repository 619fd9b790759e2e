//! Writes `.npy` files: plain arrays, and dicts of arrays that `numpy.load(path,
//! allow_pickle=True).item()` returns. The layouts of `cam/*.npy` and `ins_seg/*.npy` are
//! upstream's (INTEROP sections 1 and 2).

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use ndarray::{Array1, Array3, ArrayView, Dimension, Ix1, Ix3};

use super::{Array, header};
use crate::data::atomic::write_atomically;

/// Writes a plain array.
///
/// # Errors
/// A file that can't be written.
pub fn write_array(path: &Path, array: &Array) -> Result<()> {
    write_atomically(path, |writer| {
        writer.write_all(&header::text_of(kind_of(array), array.shape()))?;
        Ok(write_data(writer, array)?)
    })
}

/// Writes a dict of arrays under text keys.
///
/// # Errors
/// A file that can't be written.
pub fn write_dict(path: &Path, entries: &[(&str, &Array)]) -> Result<()> {
    write_atomically(path, |writer| Ok(write_object(writer, entries)?))
}

/// Writes `cam/<name>.npy`: the 0-based class numbers present, their maps `[C, ceil(H/4),
/// ceil(W/4)]` and `[C, H, W]`.
///
/// # Errors
/// A file that can't be written.
pub fn write_cam(
    path: &Path,
    keys: &[usize],
    cam: ArrayView<f32, Ix3>,
    high_res: ArrayView<f32, Ix3>,
) -> Result<()> {
    let keys = Array::I64(keys.iter().map(|&key| key as i64).collect::<Array1<_>>().into_dyn());
    let (cam, high_res) = (f32_of(cam), f32_of(high_res));
    write_dict(path, &[("keys", &keys), ("cam", &cam), ("high_res", &high_res)])
}

/// Writes `ins_seg/<name>.npy`: scores, masks `[N, H, W]` and 0-based classes.
///
/// # Errors
/// A file that can't be written.
pub fn write_instances(
    path: &Path,
    score: ArrayView<f32, Ix1>,
    mask: Array3<bool>,
    class: &[usize],
) -> Result<()> {
    let class = Array::I64(class.iter().map(|&key| key as i64).collect::<Array1<_>>().into_dyn());
    let (score, mask) = (f32_of(score), Array::Bool(mask.into_dyn()));
    write_dict(path, &[("score", &score), ("mask", &mask), ("class", &class)])
}

fn f32_of<D: Dimension>(array: ArrayView<f32, D>) -> Array {
    Array::F32(array.to_owned().into_dyn())
}

pub(super) fn kind_of(array: &Array) -> &'static str {
    match array {
        Array::F32(_) => "<f4",
        Array::F64(_) => "<f8",
        Array::I64(_) => "<i8",
        Array::U8(_) => "|u1",
        Array::Bool(_) => "|b1",
    }
}

fn byte_count(array: &Array) -> u64 {
    let size = match array {
        Array::F32(_) => 4,
        Array::F64(_) | Array::I64(_) => 8,
        Array::U8(_) | Array::Bool(_) => 1,
    };
    size * array.shape().iter().product::<usize>() as u64
}

/// The elements row by row, little-endian.
pub(super) fn write_data(out: &mut impl Write, array: &Array) -> std::io::Result<()> {
    match array {
        Array::F32(array) => array.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
        Array::F64(array) => array.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
        Array::I64(array) => array.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
        Array::U8(array) => array.iter().try_for_each(|v| out.write_all(&[*v])),
        Array::Bool(array) => array.iter().try_for_each(|v| out.write_all(&[u8::from(*v)])),
    }
}

/// A 0-d object array around the dict, as a pickle of protocol 4.
///
/// Names are those of NumPy 1 (`numpy.core`), which NumPy 2 accepts too.
fn write_object(out: &mut impl Write, entries: &[(&str, &Array)]) -> std::io::Result<()> {
    out.write_all(&header::text_of("|O", &[]))?;
    out.write_all(b"\x80\x04")?;
    open_array(out, &[], "O8", "|")?;
    out.write_all(b"](}(")?;
    for (name, array) in entries {
        write_text(out, name)?;
        let kind = kind_of(array);
        open_array(out, array.shape(), &kind[1..], &kind[..1])?;
        out.write_all(b"\x8e")?;
        out.write_all(&byte_count(array).to_le_bytes())?;
        write_data(out, array)?;
        close_array(out)?;
    }
    out.write_all(b"ue")?;
    close_array(out)?;
    out.write_all(b".")
}

/// `_reconstruct(ndarray, (0,), b'b')` and its state up to the data: version, shape, type, order.
fn open_array(
    out: &mut impl Write,
    shape: &[usize],
    kind: &str,
    byte_order: &str,
) -> std::io::Result<()> {
    out.write_all(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R")?;
    out.write_all(b"(K\x01(")?;
    for &side in shape {
        out.write_all(b"\x8a\x08")?;
        out.write_all(&(side as i64).to_le_bytes())?;
    }
    out.write_all(b"tcnumpy\ndtype\n")?;
    write_text(out, kind)?;
    out.write_all(b"\x89\x88\x87R(K\x03")?;
    write_text(out, byte_order)?;
    out.write_all(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff")?;
    // Flags of a type: 63 tells NumPy that the elements are objects.
    out.write_all(if kind == "O8" { b"K\x3ftb\x89" } else { b"K\x00tb\x89" })
}

fn close_array(out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(b"tb")
}

fn write_text(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    out.write_all(b"X")?;
    out.write_all(&(text.len() as u32).to_le_bytes())?;
    out.write_all(text.as_bytes())
}
