//! PyTorch's file format before version 1.6: five pickles one after the other (magic number, protocol,
//! system, the object, names of storages), then the storages' values.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

use super::machine::{Allowed, Machine};
use super::torch;
use super::tree::{Id, Node, Tree};

/// The first 15 bytes: a pickled magic number.
const MAGIC: [u8; 15] =
    [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

/// Whether `bytes` begin as such a file does.
pub fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// A file of this format.
#[derive(Debug)]
pub struct Legacy<'a> {
    /// The objects.
    pub tree: Tree<'a>,
    /// The one that was saved.
    pub root: Id,
    /// Values of the storages by name.
    pub storages: HashMap<String, &'a [u8]>,
}

/// Reads a file.
///
/// # Errors
/// A damaged, truncated or big-endian file, or one that asks for other names than `allowed`.
pub fn read(bytes: &[u8], allowed: Allowed) -> Result<Legacy<'_>> {
    let behind = bytes.strip_prefix(&MAGIC).context("no file of PyTorch before 1.6")?;
    let mut machine = Machine::new(behind, allowed);
    let protocol = machine.value()?;
    ensure!(matches!(machine.tree().node(protocol), Node::Int(1001)), "another protocol than 1001");
    let system = machine.value()?;
    ensure!(is_little_endian(machine.tree(), system), "a big-endian file");
    let root = machine.value()?;
    let names = machine.value()?;
    let names: Vec<String> = name_list(machine.tree(), names).context("names of storages")?;
    let sizes = value_sizes(machine.tree());
    let mut storages = HashMap::new();
    for name in names {
        let size = sizes.get(&name).with_context(|| format!("storage {name} has no tensor"))?;
        let count = usize::try_from(machine.input().number::<8>()?)?;
        let length = count.checked_mul(*size).context("the length of a storage")?;
        let values = machine.input().bytes(length).with_context(|| format!("storage {name}"))?;
        storages.insert(name, values);
    }
    Ok(Legacy { tree: machine.into_tree(), root, storages })
}

fn is_little_endian(tree: &Tree, system: Id) -> bool {
    let Node::Dict(entries) = tree.node(system) else { return false };
    let big = |&(key, value): &(Id, Id)| {
        tree.text(key).is_ok_and(|key| key == "little_endian")
            && matches!(tree.node(value), Node::Bool(false))
    };
    !entries.iter().any(big)
}

fn name_list(tree: &Tree, names: Id) -> Result<Vec<String>> {
    let name = |&id: &Id| match tree.node(id) {
        Node::Int(number) => Ok(number.to_string()),
        Node::Text(_) | Node::Bytes(_) => Ok(tree.text(id)?.to_string()),
        other => bail!("{} as a name", other.what()),
    };
    tree.items(names)?.iter().map(name).collect()
}

/// Bytes per value of every storage that the pickle mentions.
fn value_sizes(tree: &Tree) -> HashMap<String, usize> {
    let persistent = tree.iter().filter(|(_, node)| matches!(node, Node::Persistent(_)));
    let storages = persistent.filter_map(|(id, _)| torch::storage(tree, id).ok());
    storages.map(|storage| (storage.key, storage.element.size())).collect()
}
