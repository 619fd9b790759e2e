//! Pickled objects of `.npy` files: what the pickle's calls of NumPy's and PyTorch's constructors mean,
//! each in a few lines of Rust. Nothing is executed; names not on the list are refused.
//!
//! The conversion is bounded in depth and in size.

use anyhow::{Context, Result, bail, ensure};
use irn_models::pickle::{self, Allowed, Id, Machine, Node, Tree};

use super::array::{self, Kind};
use super::{Array, Value, tensor};

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 32;
/// Arrays may be this many times as large as the file: objects that occur several times are written
/// once, views share a storage.
const EXPANSION: usize = 4;

const ALLOWED: Allowed = Allowed { contains: is_known, file: "label or CAM" };

fn is_known(module: &str, name: &str) -> bool {
    match module {
        "numpy.core.multiarray" | "numpy._core.multiarray" => {
            matches!(name, "_reconstruct" | "scalar")
        }
        "numpy.core.numeric" | "numpy._core.numeric" => name == "_frombuffer",
        "numpy" => matches!(name, "ndarray" | "dtype"),
        "torch.storage" => name == "_load_from_bytes",
        _ => pickle::torch::contains(module, name),
    }
}

/// The object a pickle describes.
pub fn load(data: &[u8]) -> Result<Value> {
    let mut machine = Machine::new(data, ALLOWED);
    let root = machine.value()?;
    let budget = Budget {
        values: data.len().saturating_add(1 << 10),
        bytes: EXPANSION.saturating_mul(data.len()).saturating_add(1 << 16),
    };
    Expansion { tree: machine.tree(), budget }.value(root, 0)
}

/// How much more may be made of a file.
struct Budget {
    /// Objects.
    values: usize,
    /// Bytes in arrays and texts.
    bytes: usize,
}

struct Expansion<'a> {
    tree: &'a Tree<'a>,
    budget: Budget,
}

fn spend(budget: &mut usize, amount: usize) -> Result<()> {
    let left = budget.checked_sub(amount);
    *budget = left.context("refused: the objects are repeated too often")?;
    Ok(())
}

impl Expansion<'_> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Value> {
        ensure!(depth <= MAX_DEPTH, "refused: objects are nested more than {MAX_DEPTH} deep");
        spend(&mut self.budget.values, 1)?;
        Ok(match self.tree.node(id) {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Text(_) | Node::Bytes(_) => {
                let text = self.tree.text(id)?;
                spend(&mut self.budget.bytes, text.len())?;
                Value::Str(text.to_string())
            }
            Node::Tuple(items) => Value::Tuple(self.values(items, depth)?),
            Node::List(items) => Value::List(self.values(items, depth)?),
            Node::Dict(entries) => Value::Dict(self.entries(entries, depth)?),
            Node::Call(_) => self.called(id, depth)?,
            Node::Global(global) => bail!("{} on its own", global.name),
            Node::Persistent(_) => bail!("a storage that the file does not hold"),
        })
    }

    fn values(&mut self, ids: &[Id], depth: usize) -> Result<Vec<Value>> {
        ids.iter().map(|&id| self.value(id, depth + 1)).collect()
    }

    fn entries(&mut self, ids: &[(Id, Id)], depth: usize) -> Result<Vec<(Value, Value)>> {
        let entry = |&(key, value): &(Id, Id)| {
            Ok((self.value(key, depth + 1)?, self.value(value, depth + 1)?))
        };
        ids.iter().map(entry).collect()
    }

    /// What a call makes: an array, a number, a tensor.
    fn called(&mut self, id: Id, depth: usize) -> Result<Value> {
        if let Some(layout) = pickle::torch::layout(self.tree, id)? {
            let array = tensor::array(self.tree, &layout, self.budget.bytes)?;
            spend(&mut self.budget.bytes, array.len() * size_of::<f64>())?;
            return Ok(Value::Array(array));
        }
        let (global, arguments) = self.tree.call(id)?.context("a call expected")?;
        match (&*global.name, arguments) {
            ("_reconstruct", [class, _, _]) => {
                let plain =
                    matches!(self.tree.node(*class), Node::Global(c) if c.is("numpy", "ndarray"));
                ensure!(plain, "a subclass of ndarray");
                self.array(&described(self.tree, id)?, depth)
            }
            ("_frombuffer", &[data, kind, shape, order]) => {
                let kind = kind_of(self.tree, kind)?;
                let shape = self.tree.sizes(shape)?;
                let fortran_order = self.tree.text(order)? == "F";
                self.array(&Described { kind, shape, fortran_order, data }, depth)
            }
            ("scalar", &[kind, data]) => {
                let kind = kind_of(self.tree, kind)?;
                scalar(array::decode(&kind, &[], false, self.tree.bytes(data)?)?)
            }
            ("Size", &[sizes]) => self.value(sizes, depth + 1),
            (name, _) => bail!("{name} with {} arguments on its own", arguments.len()),
        }
    }

    fn array(&mut self, described: &Described, depth: usize) -> Result<Value> {
        let Described { kind, shape, fortran_order, data } = described;
        if kind.letter == 'O' {
            return self.objects(shape, *data, depth);
        }
        let data = self.tree.bytes(*data)?;
        spend(&mut self.budget.bytes, data.len())?;
        array::decode(kind, shape, *fortran_order, data)
    }

    /// An array of objects: the object itself for shape (), else a flat list.
    fn objects(&mut self, shape: &[usize], data: Id, depth: usize) -> Result<Value> {
        let Node::List(items) = self.tree.node(data) else { bail!("a list of objects expected") };
        match (shape, items.as_slice()) {
            ([], [item]) => self.value(*item, depth + 1),
            ([], _) => bail!("one object expected"),
            _ => Ok(Value::List(self.values(items, depth)?)),
        }
    }
}

/// An array as a pickle describes it.
struct Described {
    kind: Kind,
    shape: Vec<usize>,
    fortran_order: bool,
    data: Id,
}

/// The state of an array: version, shape, type, order, data.
fn described(tree: &Tree, id: Id) -> Result<Described> {
    let Node::Call(call) = tree.node(id) else { bail!("an array expected") };
    let state = call.state.context("an array without its state")?;
    let &[_, shape, kind, order, data] = tree.items(state)? else {
        bail!("an array whose state is no tuple of five");
    };
    Ok(Described {
        kind: kind_of(tree, kind)?,
        shape: tree.sizes(shape)?,
        fortran_order: matches!(tree.node(order), Node::Bool(true) | Node::Int(1)),
        data,
    })
}

/// An element type: its name, and its byte order in the state.
fn kind_of(tree: &Tree, id: Id) -> Result<Kind> {
    let Some((global, [name, ..])) = tree.call(id)? else {
        bail!("an element type expected, not {}", tree.node(id).what());
    };
    ensure!(global.is("numpy", "dtype"), "an element type expected, not {}", global.name);
    let kind = Kind::parse(tree.text(*name)?)?;
    let Node::Call(call) = tree.node(id) else { return Ok(kind) };
    let Some(state) = call.state else { return Ok(kind) };
    let [_, order, parts @ .., _, _, _] = tree.items(state)? else {
        bail!("an element type whose state is too short");
    };
    let plain = parts.iter().all(|&part| matches!(tree.node(part), Node::None));
    ensure!(plain, "a structured element type");
    Ok(Kind { big_endian: tree.text(*order)? == ">", ..kind })
}

/// A NumPy scalar as a plain value.
fn scalar(value: Value) -> Result<Value> {
    let Value::Array(array) = value else { return Ok(value) };
    let value = match &array {
        Array::F32(array) => array.first().map(|&v| Value::Float(f64::from(v))),
        Array::F64(array) => array.first().map(|&v| Value::Float(v)),
        Array::I64(array) => array.first().map(|&v| Value::Int(v)),
        Array::U8(array) => array.first().map(|&v| Value::Int(i64::from(v))),
        Array::Bool(array) => array.first().map(|&v| Value::Bool(v)),
    };
    value.context("an empty scalar")
}
