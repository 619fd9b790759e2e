//! Calls that only make plain containers: ordered dicts, sets, and bytes as protocol 2 writes them.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};

use super::tree::{Global, Id, Node, Tree};

/// Whether a name is that of a plain container.
pub fn contains(module: &str, name: &str) -> bool {
    match module {
        "collections" => matches!(name, "OrderedDict" | "defaultdict"),
        "_codecs" => name == "encode",
        "__builtin__" | "builtins" => {
            matches!(name, "bytes" | "bytearray" | "dict" | "list" | "set" | "frozenset")
        }
        _ => false,
    }
}

/// What the call makes; `None` for calls of anything but plain containers.
pub fn made<'a>(tree: &Tree<'a>, global: &Global, arguments: &[Id]) -> Result<Option<Node<'a>>> {
    if !contains(&global.module, &global.name) {
        return Ok(None);
    }
    let node = match (&*global.name, arguments) {
        ("OrderedDict" | "dict", []) => Node::Dict(Vec::new()),
        // Python 2 writes the entries of an ordered dict as a list of pairs.
        ("OrderedDict" | "dict", [entries]) => Node::Dict(entries_of(tree, *entries)?),
        // The argument makes the values of absent keys.
        ("defaultdict", _) => Node::Dict(Vec::new()),
        ("list" | "set" | "frozenset", []) => Node::List(Vec::new()),
        ("list" | "set" | "frozenset", [items]) => Node::List(tree.items(*items)?.to_vec()),
        ("bytes" | "bytearray", []) => Node::Bytes(Cow::Borrowed(&[])),
        ("encode", [text, coding]) => latin1(tree.text(*text)?, tree.text(*coding)?)?,
        (name, arguments) => bail!("{name} with {} arguments", arguments.len()),
    };
    Ok(Some(node))
}

fn entries_of(tree: &Tree, list: Id) -> Result<Vec<(Id, Id)>> {
    let entry = |&pair: &Id| match tree.items(pair)? {
        [key, value] => Ok((*key, *value)),
        _ => bail!("an entry of a dict is no pair"),
    };
    tree.items(list)?.iter().map(entry).collect()
}

/// Bytes written as text, one character each.
fn latin1(text: &str, coding: &str) -> Result<Node<'static>> {
    ensure!(matches!(coding, "latin1" | "latin-1"), "bytes written as {coding}");
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
    Ok(Node::Bytes(Cow::Owned(bytes.collect::<Result<_, _>>().context("not latin-1")?)))
}
