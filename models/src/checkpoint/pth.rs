//! PyTorch's `.pth`: a pickle that describes tensors, and their storages, in a zip archive or (before
//! version 1.6) one after the other.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};

use super::pickle::{Node, Reader, Value};
use super::{bounded_count, names};

/// The legacy form's first 15 bytes: a pickled magic number.
const LEGACY: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
/// A state dict within a dict within a dict is searched, no deeper one.
const DEPTH: usize = 3;
/// Containers looked at on the way to the state dict.
const LOOKS: usize = 10_000;

pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

pub fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(&LEGACY)
}

/// The parameters of our networks in a file of either form, as f32.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    if is_zip(bytes) { read_zip(bytes) } else { read_legacy(bytes) }
}

fn read_zip(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).context("zip archive")?;
    let mut entries = archive.file_names().filter_map(std::result::Result::ok).map(String::from);
    let pickle = entries.find(|name| name.ends_with("data.pkl"));
    drop(entries);
    let pickle = pickle.context("the archive holds no data.pkl")?;
    let folder = pickle.trim_end_matches("data.pkl").to_string();
    let order = entry(&mut archive, &format!("{folder}byteorder"), bytes.len());
    ensure!(order.is_err() || order.is_ok_and(|order| order == b"little"), "big-endian file");
    let text = entry(&mut archive, &pickle, bytes.len())?;
    let mut reader = Reader::new(&text);
    let root = reader.value()?;
    let infos = tensors(&reader.nodes, &root)?;
    let mut storages = HashMap::new();
    for info in &infos {
        if !storages.contains_key(&info.storage.key) {
            let name = format!("{folder}data/{}", info.storage.key);
            let storage = entry(&mut archive, &name, bytes.len())?;
            storages.insert(info.storage.key.clone(), Cow::Owned(storage));
        }
    }
    build(&infos, &storages, bytes.len())
}

/// An entry, which as a stored one can't be longer than the file.
fn entry(
    archive: &mut zip::ZipArchive<Cursor<&[u8]>>,
    name: &str,
    limit: usize,
) -> Result<Vec<u8>> {
    let file = archive.by_name(name).with_context(|| format!("entry {name}"))?;
    let mut content = Vec::new();
    file.take(limit as u64).read_to_end(&mut content).with_context(|| format!("entry {name}"))?;
    Ok(content)
}

fn read_legacy(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>> {
    let mut reader = Reader::new(bytes);
    reader.value()?;
    let protocol = reader.value()?;
    ensure!(matches!(protocol, Value::Int(1001)), "legacy protocol {protocol:?}");
    reader.value()?;
    let root = reader.value()?;
    let keys = reader.value()?;
    let Value::At(keys) = keys else { bail!("no list of storages") };
    let sizes = storage_sizes(&reader.nodes);
    let infos = tensors(&reader.nodes, &root)?;
    let keys: Vec<String> = sequence(&reader.nodes, &Value::At(keys))?
        .iter()
        .map(|key| text(key).map(str::to_string))
        .collect::<Result<_>>()?;
    let mut storages = HashMap::new();
    for key in keys {
        let size = sizes.get(&key).with_context(|| format!("storage {key} has no tensor"))?;
        let count = reader.number(8)?;
        let length = count.checked_mul(*size).context("the length of a storage")?;
        storages.insert(key, Cow::Borrowed(reader.take(length)?));
    }
    build(&infos, &storages, bytes.len())
}

/// Where a tensor's values are.
#[derive(Clone, Debug)]
struct Storage {
    kind: String,
    key: String,
}

/// A tensor of the pickle.
#[derive(Debug)]
struct Info {
    name: String,
    storage: Storage,
    offset: usize,
    dims: Vec<usize>,
    strides: Vec<usize>,
}

/// Bytes per value and the type of floating-point ones.
fn element(kind: &str) -> Result<(usize, Option<DType>)> {
    Ok(match kind {
        "FloatStorage" => (4, Some(DType::F32)),
        "DoubleStorage" => (8, Some(DType::F64)),
        "HalfStorage" => (2, Some(DType::F16)),
        "BFloat16Storage" => (2, Some(DType::BF16)),
        "LongStorage" | "ComplexFloatStorage" => (8, None),
        "IntStorage" => (4, None),
        "ShortStorage" => (2, None),
        "ByteStorage" | "CharStorage" | "BoolStorage" | "UntypedStorage" => (1, None),
        _ => bail!("unknown storage type {kind}"),
    })
}

fn text(value: &Value) -> Result<&str> {
    match value {
        Value::Text(text) => Ok(text),
        _ => bail!("{value:?} is not a text"),
    }
}

fn sequence<'a>(nodes: &'a [Node], value: &Value) -> Result<&'a [Value]> {
    match value {
        Value::At(i) => match &nodes[*i] {
            Node::Sequence(items) => Ok(items),
            node => bail!("{node:?} is not a tuple"),
        },
        _ => bail!("{value:?} is not a tuple"),
    }
}

fn size(value: &Value) -> Result<usize> {
    match value {
        Value::Int(size) => Ok(usize::try_from(*size)?),
        _ => bail!("{value:?} is not a size"),
    }
}

/// The parameters of our networks in the first dict that has any.
fn tensors(nodes: &[Node], root: &Value) -> Result<Vec<Info>> {
    let mut level = vec![root.clone()];
    let mut looks = 0;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for value in level {
            let Value::At(i) = value else { continue };
            let Node::Dict(items) = &nodes[i] else { continue };
            let infos = of_dict(nodes, items)?;
            if !infos.is_empty() {
                return Ok(infos);
            }
            next.extend(items.iter().map(|(_, value)| value.clone()));
            looks += items.len();
            ensure!(looks < LOOKS, "no parameters among the first {LOOKS} entries");
        }
        level = next;
    }
    Ok(Vec::new())
}

fn of_dict(nodes: &[Node], items: &[(Value, Value)]) -> Result<Vec<Info>> {
    let mut infos = Vec::new();
    for (key, value) in items {
        let Some(name) = text(key).ok().and_then(names::ours) else { continue };
        let info = tensor(nodes, value, &name).with_context(|| format!("tensor {name}"))?;
        infos.extend(info.filter(|info| element(&info.storage.kind).is_ok_and(|e| e.1.is_some())));
    }
    Ok(infos)
}

/// What a rebuilding call describes; `None` for anything else.
fn tensor(nodes: &[Node], value: &Value, name: &str) -> Result<Option<Info>> {
    let mut value = value.clone();
    // A parameter wraps a tensor, a subclass wraps a call; neither is nested in practice.
    for _ in 0..DEPTH {
        let Value::At(i) = value else { return Ok(None) };
        let Node::Call(Value::Global(_, function), arguments) = &nodes[i] else { return Ok(None) };
        let arguments = sequence(nodes, arguments)?;
        match (&**function, arguments) {
            ("_rebuild_parameter", [inner, ..]) => value = inner.clone(),
            ("_rebuild_tensor" | "_rebuild_tensor_v2", [at, offset, dims, strides, ..]) => {
                let sizes = |value| -> Result<Vec<usize>> {
                    sequence(nodes, value)?.iter().map(size).collect()
                };
                let (dims, strides) = (sizes(dims)?, sizes(strides)?);
                ensure!(dims.len() == strides.len(), "{dims:?} with strides {strides:?}");
                let (storage, offset) = (storage(nodes, at)?, size(offset)?);
                return Ok(Some(Info { name: name.into(), storage, offset, dims, strides }));
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn storage(nodes: &[Node], value: &Value) -> Result<Storage> {
    let Value::At(i) = value else { bail!("no storage") };
    let Node::Persistent(id) = &nodes[*i] else { bail!("no storage") };
    match sequence(nodes, id)? {
        [Value::Text(tag), Value::Global(_, kind), Value::Text(key), ..] if &**tag == "storage" => {
            Ok(Storage { kind: kind.to_string(), key: key.to_string() })
        }
        other => bail!("storage {other:?}"),
    }
}

/// Bytes per value of every storage that the pickle mentions.
fn storage_sizes(nodes: &[Node]) -> HashMap<String, usize> {
    let persistent = (0..nodes.len()).filter(|&i| matches!(nodes[i], Node::Persistent(_)));
    let storages = persistent.filter_map(|i| storage(nodes, &Value::At(i)).ok());
    storages.filter_map(|s| Some((s.key, element(&s.kind).ok()?.0))).collect()
}

fn build(
    infos: &[Info],
    storages: &HashMap<String, Cow<[u8]>>,
    file: usize,
) -> Result<BTreeMap<String, Tensor>> {
    // Names may share storages, but not so often that a small file fills the memory.
    let mut budget = 4 * file;
    let mut tensors = BTreeMap::new();
    for info in infos {
        let bytes = storages.get(&info.storage.key).context("a storage is missing")?;
        let tensor = gather(info, bytes).with_context(|| format!("tensor {}", info.name))?;
        let size = tensor.elem_count() * tensor.dtype().size_in_bytes();
        budget = budget.checked_sub(size).context("more values than the file can hold")?;
        tensors.insert(info.name.clone(), tensor.to_dtype(DType::F32)?);
    }
    Ok(tensors)
}

/// Copies a tensor out of its storage through its strides.
fn gather(info: &Info, bytes: &[u8]) -> Result<Tensor> {
    let (width, dtype) = element(&info.storage.kind)?;
    let dtype = dtype.context("not a floating-point tensor")?;
    let stored = bytes.len() / width;
    let count = bounded_count(&info.dims, stored)?;
    let reach =
        info.dims.iter().zip(&info.strides).try_fold(info.offset, |reach, (&dim, stride)| {
            reach.checked_add(dim.saturating_sub(1).checked_mul(*stride)?)
        });
    ensure!(count == 0 || reach.is_some_and(|reach| reach < stored), "outside of its storage");
    let mut values = Vec::with_capacity(count * width);
    let mut index = vec![0; info.dims.len()];
    for _ in 0..count {
        let along: usize = index.iter().zip(&info.strides).map(|(i, stride)| i * stride).sum();
        let at = (info.offset + along) * width;
        values.extend_from_slice(&bytes[at..at + width]);
        for (i, &dim) in index.iter_mut().zip(&info.dims).rev() {
            *i += 1;
            if *i < dim {
                break;
            }
            *i = 0;
        }
    }
    Ok(Tensor::from_raw_buffer(&values, dtype, &info.dims, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/../tests/fixtures/pth/{name}", env!("CARGO_MANIFEST_DIR"));
        fs_err::read(path).unwrap()
    }

    /// Both files hold the same: see `tests/fixtures/pth/make.py`.
    #[test]
    fn both_forms_hold_the_same() {
        for name in ["zip.pth", "legacy.pth", "nested.pth", "parameters.pth"] {
            let tensors = read(&fixture(name)).unwrap();
            let names: Vec<_> = tensors.keys().map(String::as_str).collect();
            let expected = [
                "classifier.weight",
                "mean_shift.running_mean",
                "resnet50.bn1.running_var",
                "resnet50.conv1.weight",
                "resnet50.layer1.0.conv1.weight",
            ];
            assert_eq!(names, expected, "{name}");
            let flat = |key: &str| tensors[key].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(tensors["classifier.weight"].dims(), [2, 3, 1, 1]);
            assert_eq!(flat("classifier.weight"), [0., 1., 2., 3., 4., 5.]);
            // Half precision, then a transposed view, then a part of a larger storage.
            assert_eq!(flat("resnet50.bn1.running_var"), [0.5, 1.5]);
            assert_eq!(flat("resnet50.conv1.weight"), [0., 2., 4., 1., 3., 5.]);
            assert_eq!(flat("resnet50.layer1.0.conv1.weight"), [7., 8., 9.]);
            assert_eq!(flat("mean_shift.running_mean"), [-1., 2.]);
        }
    }

    #[test]
    fn damage_is_an_error_or_harmless_but_never_a_panic() {
        for name in ["zip.pth", "legacy.pth"] {
            let bytes = fixture(name);
            for length in 0..bytes.len() {
                assert!(read(&bytes[..length]).is_err(), "{name}: {length} bytes");
            }
            for position in 0..bytes.len() {
                for value in [0, 0xff, bytes[position] ^ 1, b'(', b't', 0x85] {
                    let mut damaged = bytes.clone();
                    damaged[position] = value;
                    drop(read(&damaged));
                }
            }
        }
    }
}
