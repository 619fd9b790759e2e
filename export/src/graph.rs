//! A graph under construction: nodes and constants by name, none of them twice.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use candle_core::{Result, bail};

use crate::onnx::{AttributeProto, GraphProto, INT64, NodeProto, TensorProto, ValueInfoProto};

#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    between: BTreeMap<String, ValueInfoProto>,
}

/// The graph as seen from one part of it, whose name all that is added here begins with.
#[derive(Clone, Default)]
pub struct Builder {
    graph: Rc<RefCell<Graph>>,
    constants: Rc<RefCell<BTreeMap<String, TensorProto>>>,
    scope: String,
}

impl Builder {
    /// The same graph, names beginning with this part's and `part`.
    pub fn within(&self, part: &str) -> Self {
        Self { scope: self.scoped(part), ..self.clone() }
    }

    /// A graph of its own within this one, the body of a loop: it shares constants, which stay in this
    /// one, and names begin with `part`.
    pub fn body(&self, part: &str) -> Self {
        Self { graph: Rc::default(), ..self.within(part) }
    }

    /// The full name of what is called `name` here.
    pub fn scoped(&self, name: &str) -> String {
        if self.scope.is_empty() { name.into() } else { format!("{}/{name}", self.scope) }
    }

    /// Adds an input, whose name is taken as it is.
    pub fn input(&self, info: ValueInfoProto) -> Value {
        let name = info.name.clone();
        self.graph.borrow_mut().inputs.push(info);
        self.value(name)
    }

    /// A value that exists, by its full name.
    pub fn value(&self, name: String) -> Value {
        Value { builder: self.clone(), name }
    }

    /// Adds a node named after the value it makes, which is returned. A node that exists already is not
    /// repeated.
    ///
    /// # Errors
    /// Another node of this name.
    pub fn node(
        &self,
        name: &str,
        op: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> Result<Value> {
        let name = self.scoped(name);
        let node = NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.into(),
            attribute,
        };
        self.add(node)?;
        Ok(self.value(name))
    }

    /// Adds a node of any number of outputs.
    ///
    /// # Errors
    /// Another node of this name.
    pub fn add(&self, node: NodeProto) -> Result<()> {
        let mut graph = self.graph.borrow_mut();
        match graph.nodes.iter().find(|other| other.name == node.name) {
            Some(other) if *other == node => {}
            Some(_) => bail!("two different values of the graph are called {}", node.name),
            None => graph.nodes.push(node),
        }
        Ok(())
    }

    /// Adds a constant, named within this part.
    ///
    /// # Errors
    /// Another constant of this name.
    pub fn constant(&self, mut tensor: TensorProto) -> Result<Value> {
        tensor.name = self.scoped(&tensor.name);
        let name = tensor.name.clone();
        let mut constants = self.constants.borrow_mut();
        match constants.get(&name) {
            Some(other) if *other != tensor => bail!("two different constants are called {name}"),
            Some(_) => {}
            None => drop(constants.insert(name.clone(), tensor)),
        }
        Ok(self.value(name))
    }

    /// A vector of whole numbers, named after its content.
    ///
    /// # Errors
    /// None in practice: equal names have equal content.
    pub fn ints(&self, values: &[i64]) -> Result<Value> {
        let text: Vec<String> = values.iter().map(|&value| number(value)).collect();
        self.root().constant(TensorProto::ints(&format!("ints.{}", text.join(".")), values))
    }

    /// A single number, a scalar.
    ///
    /// # Errors
    /// None in practice: equal names have equal content.
    pub fn scalar(&self, value: f32) -> Result<Value> {
        self.root().constant(TensorProto::floats(&format!("number.{value:e}"), &[], &[value]))
    }

    /// A single whole number, a scalar.
    ///
    /// # Errors
    /// None in practice: equal names have equal content.
    pub fn whole(&self, value: i64) -> Result<Value> {
        let tensor = TensorProto::raw(INT64, &[], value.to_le_bytes().to_vec());
        self.root().constant(TensorProto { name: format!("whole.{}", number(value)), ..tensor })
    }

    fn root(&self) -> Self {
        Self { scope: String::new(), ..self.clone() }
    }

    /// States type and shape of a value.
    pub fn describe(&self, info: ValueInfoProto) {
        self.graph.borrow_mut().between.insert(info.name.clone(), info);
    }

    /// Makes `value` an output called `name`; its node keeps its own name.
    pub fn output(&self, value: &Value, info: ValueInfoProto) {
        let mut graph = self.graph.borrow_mut();
        for node in &mut graph.nodes {
            for used in node.input.iter_mut().chain(&mut node.output) {
                if *used == value.name {
                    used.clone_from(&info.name);
                }
            }
        }
        graph.between.remove(&value.name);
        graph.outputs.push(info);
    }

    /// Ends the construction: what no output needs is left out.
    pub fn finish(self, name: &str) -> GraphProto {
        let constants = self.constants.take();
        let mut needed = HashSet::new();
        let graph = self.close(name, &mut needed);
        let constants = constants.into_values().filter(|tensor| needed.contains(&tensor.name));
        GraphProto { initializer: constants.collect(), ..graph }
    }

    /// Ends the construction of a loop's body.
    pub fn finish_body(self, name: &str) -> GraphProto {
        self.close(name, &mut HashSet::new())
    }

    /// Nodes that lead to an output; the names of all that is used are left in `needed`.
    fn close(&self, name: &str, needed: &mut HashSet<String>) -> GraphProto {
        let Graph { mut nodes, inputs, outputs, between } = self.graph.take();
        needed.extend(outputs.iter().map(|value| value.name.clone()));
        let mut node = Vec::new();
        while let Some(last) = nodes.pop() {
            if last.output.iter().any(|value| needed.contains(value)) {
                needed.extend(last.input.iter().cloned());
                needed.extend(last.captured());
                node.push(last);
            }
        }
        node.reverse();
        let value_info = between.into_values().filter(|info| needed.contains(&info.name));
        GraphProto {
            node,
            name: name.into(),
            initializer: Vec::new(),
            input: inputs,
            output: outputs,
            value_info: value_info.collect(),
        }
    }
}

/// A number as part of a name.
fn number(value: i64) -> String {
    match value {
        i64::MAX => "end".into(),
        i64::MIN => "begin".into(),
        value => value.to_string(),
    }
}

/// A value of the graph, and the part of the graph in which operations on it are named.
#[derive(Clone)]
pub struct Value {
    builder: Builder,
    /// Its full name.
    pub name: String,
}

impl Value {
    /// `op` of this value and `others`, called `name` within the part of this value.
    ///
    /// # Errors
    /// Another node of this name.
    pub fn op(
        &self,
        name: &str,
        op: &str,
        others: &[&Self],
        attributes: Vec<AttributeProto>,
    ) -> Result<Self> {
        let mut inputs = vec![&*self.name];
        inputs.extend(others.iter().map(|other| &*other.name));
        self.builder.node(name, op, &inputs, attributes)
    }

    /// The graph that it belongs to.
    pub fn builder(&self) -> &Builder {
        &self.builder
    }

    /// The same value; operations on it are named within `builder`'s part.
    pub fn within(&self, builder: &Builder) -> Self {
        builder.value(self.name.clone())
    }
}
