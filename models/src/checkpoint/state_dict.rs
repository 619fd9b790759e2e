//! The state dict in what was saved: the object itself, or a dict within a dict (`state_dict`, `model`).

use anyhow::{Context, Result, ensure};

use super::names::{Family, Names};
use crate::pickle::torch::{Layout, Storage, layout, storage};
use crate::pickle::{Allowed, Id, Machine, Node, Tree};

/// A state dict within a dict within a dict is searched, no deeper one.
const DEPTH: usize = 3;
/// Containers looked at on the way to the state dict.
const LOOKS: usize = 10_000;

/// A tensor of a state dict.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As the file has it.
    pub name: String,
    /// Where its values are in the storage.
    pub layout: Layout,
    /// The storage.
    pub storage: Storage,
}

impl Entry {
    /// Whether both are the same part of the same storage.
    pub fn is_same(&self, other: &Self) -> bool {
        let place = |entry: &Self| (entry.layout.offset, entry.storage.start);
        self.storage.key == other.storage.key
            && place(self) == place(other)
            && self.layout.dims == other.layout.dims
            && self.layout.strides == other.layout.strides
    }
}

/// The tensors in a pickle's state dict.
pub fn of_pickle(bytes: &[u8], allowed: Allowed) -> Result<Vec<Entry>> {
    let mut machine = Machine::new(bytes, allowed);
    let root = machine.value()?;
    entries(machine.tree(), root)
}

/// The tensors of the first dict that has parameters of our networks, or else of the first that has any.
pub fn entries(tree: &Tree, root: Id) -> Result<Vec<Entry>> {
    let mut level = vec![root];
    let mut looks = 0;
    let mut first = Vec::new();
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for id in level {
            let Node::Dict(items) = tree.node(id) else { continue };
            let found = tensors(tree, items)?;
            let names = Names::of(Family::of(found.iter().map(|entry| &*entry.name)));
            if found.iter().any(|entry| names.ours(&entry.name).is_some()) {
                return Ok(found);
            }
            if first.is_empty() {
                first = found;
            }
            next.extend(items.iter().map(|(_, value)| *value));
            looks += items.len();
            ensure!(looks < LOOKS, "no parameters among the first {LOOKS} entries");
        }
        level = next;
    }
    Ok(first)
}

fn tensors(tree: &Tree, items: &[(Id, Id)]) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    for &(key, value) in items {
        let Ok(name) = tree.text(key) else { continue };
        let entry = entry(tree, name, value).with_context(|| format!("tensor {name}"))?;
        found.extend(entry);
    }
    Ok(found)
}

fn entry(tree: &Tree, name: &str, id: Id) -> Result<Option<Entry>> {
    let Some(layout) = layout(tree, id)? else { return Ok(None) };
    let storage = storage(tree, layout.storage)?;
    Ok(Some(Entry { name: name.to_string(), layout, storage }))
}
