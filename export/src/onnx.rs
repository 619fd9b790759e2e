//! The part of `onnx.proto3` that a writer and a checker need, as hand-written prost messages:
//! no protoc, no build script. Tags are those of IR version 8.

use prost::bytes::Bytes;
use prost::{Message, Oneof};

/// Version of the operator set written unless another is asked for.
pub const OPSET: i64 = 17;
/// `TensorProto.DataType.FLOAT`.
pub const FLOAT: i32 = 1;
/// `TensorProto.DataType.UINT8`.
pub const UINT8: i32 = 2;
/// `TensorProto.DataType.INT8`.
pub const INT8: i32 = 3;
/// `TensorProto.DataType.INT32`.
pub const INT32: i32 = 6;
/// `TensorProto.DataType.FLOAT16`.
pub const FLOAT16: i32 = 10;
/// `TensorProto.DataType.BOOL`.
pub const BOOL: i32 = 9;
/// `TensorProto.DataType.INT64`.
pub const INT64: i32 = 7;

/// A whole file.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// Version of the file format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The program that wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The network.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Operator sets used.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// What the file says about itself.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// The same file read without building its graph: tag 7 stays bytes.
#[derive(Clone, PartialEq, Message)]
pub struct ModelEnvelope {
    /// See [`ModelProto::ir_version`].
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The encoded [`GraphProto`], shared with the file's bytes.
    #[prost(bytes = "bytes", tag = "7")]
    pub graph: Bytes,
    /// See [`ModelProto::metadata_props`].
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// An operator set and its version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// [`OPSET`].
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes in an order in which they can be run, and the constants they use.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// In order of execution.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Name of the network.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Weights.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// What is fed.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What is read.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types and shapes of what lies between.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of values; empty for an absent optional one.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values made.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Unique within the graph.
    #[prost(string, tag = "3")]
    pub name: String,
    /// `Conv`, `Relu`, ...
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Fixed settings of the operation.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// A fixed setting of an operation. Scalars are optional so that a zero is written, too.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// The setting's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type 1.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// Type 2.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// Type 3.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// Type 5: the body of a loop.
    #[prost(message, optional, boxed, tag = "6")]
    pub g: Option<Box<GraphProto>>,
    /// Type 7; unpacked, as `onnx.proto` declares it.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which of them counts.
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

/// A constant.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// [`FLOAT`] or [`INT64`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Unique within the graph.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian elements, row-major.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// `location`, `offset` and `length` of elements that lie in a file beside this one.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 1 where they do.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// Name, type and shape of a value.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The value's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Absent where the runtime is to infer it.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type: here always a tensor's.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// Element type and shape.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// A tensor's element type and shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// [`FLOAT`] or [`INT64`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// One entry an axis.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape, some of its sizes open.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// One entry an axis.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// The size of one axis.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// A number or a name.
    #[prost(oneof = "Dim", tags = "1, 2")]
    pub value: Option<Dim>,
}

/// A number, or the name of an open size.
#[derive(Clone, PartialEq, Oneof)]
pub enum Dim {
    /// Known at export.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// Known when the network runs.
    #[prost(string, tag = "2")]
    Param(String),
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::Param(name.into())
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Value(size as i64)
    }
}

impl NodeProto {
    /// What the bodies of loops use, their own values among them.
    pub fn captured(&self) -> impl Iterator<Item = String> {
        let bodies = self.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
        let nodes = bodies.flat_map(|body| &body.node);
        let outputs = self.attribute.iter().filter_map(|attribute| attribute.g.as_ref());
        let outputs = outputs.flat_map(|body| body.output.iter().map(|value| value.name.clone()));
        nodes.flat_map(|node| node.input.iter().cloned()).chain(outputs)
    }
}

impl ValueInfoProto {
    /// An f32 tensor of the given shape.
    pub fn float(name: &str, shape: Vec<Dim>) -> Self {
        Self::tensor(name, FLOAT, shape)
    }

    /// A tensor of the given element type and shape.
    pub fn tensor(name: &str, elem_type: i32, shape: Vec<Dim>) -> Self {
        let dim = shape.into_iter().map(|dim| DimensionProto { value: Some(dim) }).collect();
        let tensor = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) };
        Self { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
    }
}

impl TensorProto {
    /// An f32 constant.
    pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.into(), ..Self::raw(FLOAT, dims, raw_data) }
    }

    /// A constant of any type, yet without a name.
    pub fn raw(data_type: i32, dims: &[usize], raw_data: Vec<u8>) -> Self {
        Self { dims: signed(dims), data_type, raw_data, ..Self::default() }
    }

    /// The numbers of an f32 constant.
    pub fn to_floats(&self) -> Vec<f32> {
        let (values, _) = self.raw_data.as_chunks::<4>();
        values.iter().map(|&value| f32::from_le_bytes(value)).collect()
    }

    /// The same numbers in 16 bits, rounded to nearest even.
    pub fn halved(self) -> Self {
        let halves = self.to_floats().into_iter().map(half::f16::from_f32);
        let raw_data = halves.flat_map(half::f16::to_le_bytes).collect();
        Self { data_type: FLOAT16, raw_data, ..self }
    }

    /// An i64 vector, the form in which ONNX takes shapes.
    pub fn ints(name: &str, values: &[i64]) -> Self {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { name: name.into(), ..Self::raw(INT64, &[values.len()], raw_data) }
    }
}

fn signed(sizes: &[usize]) -> Vec<i64> {
    sizes.iter().map(|&size| size as i64).collect()
}

impl From<(&str, i64)> for AttributeProto {
    fn from((name, i): (&str, i64)) -> Self {
        Self { name: name.into(), i: Some(i), r#type: 2, ..Default::default() }
    }
}

impl From<(&str, f32)> for AttributeProto {
    fn from((name, f): (&str, f32)) -> Self {
        Self { name: name.into(), f: Some(f), r#type: 1, ..Default::default() }
    }
}

impl From<(&str, &str)> for AttributeProto {
    fn from((name, s): (&str, &str)) -> Self {
        Self { name: name.into(), s: Some(s.into()), r#type: 3, ..Default::default() }
    }
}

impl From<(&str, GraphProto)> for AttributeProto {
    fn from((name, graph): (&str, GraphProto)) -> Self {
        Self { name: name.into(), g: Some(Box::new(graph)), r#type: 5, ..Default::default() }
    }
}

impl From<(&str, &[usize])> for AttributeProto {
    fn from((name, ints): (&str, &[usize])) -> Self {
        Self { name: name.into(), ints: signed(ints), r#type: 7, ..Default::default() }
    }
}
