//! Photos and sizes as values of the graph.

use anyhow::Result;

use crate::export::normalised;
use crate::graph::{Builder, Value};
use crate::info::ModelInfo;
use crate::onnx::AttributeProto;

/// A photo as the graph works on it.
pub struct Photo {
    /// u8 `(1, 3, height, width)`.
    pub pixels: Value,
    /// i64 `(2,)`: height and width.
    pub size: Value,
    /// i64 `(2,)`: height and width of the maps at a quarter of the size, rounded up.
    pub quarter: Value,
}

/// Makers of the operations that several parts need.
pub struct Tools<'a> {
    graph: &'a Builder,
}

impl<'a> Tools<'a> {
    /// For operations in `graph`'s part.
    pub fn new(graph: &'a Builder) -> Self {
        Self { graph }
    }

    /// The photo `(height, width, 3)`, channels first.
    pub fn photo(&self, photo: &Value) -> Result<Photo> {
        let photo = photo.within(&self.graph.within("photo"));
        let order: &[usize] = &[2, 0, 1];
        let planes = photo.op("planes", "Transpose", &[], vec![("perm", order).into()])?;
        let pixels = planes.op("pixels", "Unsqueeze", &[&self.graph.ints(&[0])?], vec![])?;
        let shape = photo.op("shape", "Shape", &[], vec![])?;
        let size = self.slice(&shape, "size", (0, 2), 0)?;
        let three = size.op("size.plus3", "Add", &[&self.graph.ints(&[3])?], vec![])?;
        let quarter = three.op("quarter", "Div", &[&self.graph.ints(&[4])?], vec![])?;
        Ok(Photo { pixels, size, quarter })
    }

    /// From `begin` to `end` along an axis.
    pub fn slice(
        &self,
        x: &Value,
        name: &str,
        (begin, end): (i64, i64),
        axis: i64,
    ) -> Result<Value> {
        let [begin, end, axis] = [begin, end, axis].map(|value| self.graph.ints(&[value]));
        Ok(x.op(name, "Slice", &[&begin?, &end?, &axis?], vec![])?)
    }

    /// The mirror image: the last of four axes reversed.
    pub fn mirror(&self, x: &Value, name: &str) -> Result<Value> {
        let [begin, end, axis, step] =
            [-1, i64::MIN + 1, 3, -1].map(|value| self.graph.ints(&[value]));
        Ok(x.op(name, "Slice", &[&begin?, &end?, &axis?, &step?], vec![])?)
    }

    /// The rows and columns of `x` up to `size`, i64 `(2,)`.
    pub fn crop(&self, x: &Value, name: &str, size: &Value) -> Result<Value> {
        let (starts, axes) = (self.graph.ints(&[0, 0])?, self.graph.ints(&[2, 3])?);
        Ok(x.op(name, "Slice", &[&starts, size, &axes], vec![])?)
    }

    /// Bilinear resizing of `(1, channels, h, w)` to `size`, i64 `(2,)`.
    pub fn resize(&self, x: &Value, name: &str, size: &Value) -> Result<Value> {
        let shape = x.op(&format!("{name}.shape"), "Shape", &[], vec![])?;
        let channels = self.slice(&shape, &format!("{name}.channels"), (0, 2), 0)?;
        let axis = vec![("axis", 0i64).into()];
        let sizes = channels.op(&format!("{name}.sizes"), "Concat", &[size], axis)?;
        let none = self.graph.value(String::new());
        Ok(x.op(name, "Resize", &[&none, &none, &sizes], bilinear())?)
    }

    /// Photo and mirror image as the network wants them, f32 `(2, 3, h, w)`.
    pub fn normalised_pair(&self, pixels: &Value, info: &ModelInfo) -> Result<Value> {
        let x = normalised(self.graph, pixels, "photo", info)?;
        let mirror = self.mirror(&x, "mirror")?;
        Ok(x.op("pair", "Concat", &[&mirror], vec![("axis", 0i64).into()])?)
    }

    /// The first of a pair of maps, and the second mirrored back, both `(1, channels, h, w)`.
    pub fn unpair(&self, pair: &Value) -> Result<(Value, Value)> {
        let first = self.slice(pair, "first", (0, 1), 0)?;
        let second = self.slice(pair, "second", (1, 2), 0)?;
        Ok((first, self.mirror(&second, "unmirrored")?))
    }
}

/// PyTorch's `align_corners=False`.
pub fn bilinear() -> Vec<AttributeProto> {
    vec![("coordinate_transformation_mode", "half_pixel").into(), ("mode", "linear").into()]
}
