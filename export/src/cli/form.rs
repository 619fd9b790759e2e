//! The form of the graph as the command line says it.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use irn_models::error::Hint;

use super::{photos, write};
use crate::external;
use crate::form::{Form, Input, Precision};
use crate::info::ModelInfo;
use crate::quantize::quantize;

/// Which graph is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Graph {
    /// The network of the checkpoint.
    #[default]
    Network,
    /// From photo and class vector to semantic scores and label map; takes two checkpoints, CAM and IRN.
    Labels,
}

/// How it is written.
#[derive(Debug, Default, Args)]
pub struct FormArgs {
    /// Operator set, 13 to 21; 17 (18 for --graph labels) where absent.
    #[arg(long, value_name = "VERSION")]
    opset: Option<i64>,
    /// Fix the photos' size: HEIGHTxWIDTH or BATCHxHEIGHTxWIDTH. irn-infer takes open sizes only.
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// 16-bit weights and maps; group norms, inputs and outputs stay f32.
    #[arg(long)]
    half: bool,
    /// 8-bit weights and maps, by their ranges on (at most 32 of) the photos of a folder.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["half", "embed_preprocessing"])]
    int8: Option<PathBuf>,
    /// Take u8 photos (batch, height, width, 3) and normalise them in the graph.
    #[arg(long)]
    embed_preprocessing: bool,
    /// Write the weights to FILE.data beside the model.
    #[arg(long)]
    external_data: bool,
}

impl FormArgs {
    /// The form of the f32 or f16 graph.
    ///
    /// # Errors
    /// A size or operator set that can't be written.
    pub fn form(&self) -> Result<Form> {
        let usual = Form::default();
        let form = Form {
            opset: self.opset.unwrap_or(usual.opset),
            size: self.size.as_deref().map(Form::parse_size).transpose()?,
            precision: if self.half { Precision::F16 } else { usual.precision },
            input: if self.embed_preprocessing { Input::Rgb8 } else { usual.input },
        };
        form.validate()?;
        Ok(form)
    }

    /// The same for the graph from photo to mask, which has less choice.
    ///
    /// # Errors
    /// A choice that it does not have.
    pub fn form_of_labels(&self) -> Result<Form> {
        if self.size.is_some() || self.int8.is_some() {
            return Err(anyhow!("--graph labels has open sizes and no 8-bit form"))
                .hint("leave out --size and --int8");
        }
        let opset = Some(self.opset.unwrap_or(crate::labels::OPSET));
        Self { opset, half: self.half, ..Self::default() }.form()
    }

    /// Quantises the model if that is asked for.
    ///
    /// # Errors
    /// A folder without photos, or those of ONNX Runtime.
    pub fn quantized(&self, bytes: Vec<u8>, threads: usize) -> Result<Vec<u8>> {
        let Some(folder) = &self.int8 else { return Ok(bytes) };
        let (info, _) = ModelInfo::read(&bytes.clone().into())?;
        quantize(&bytes, &info, photos::normalised(folder, &info)?, threads)
    }

    /// Writes the model, and its weights beside it if that is asked for.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write(&self, out: &Path, bytes: &[u8]) -> Result<()> {
        if !self.external_data {
            return write(out, bytes);
        }
        let (info, _) = ModelInfo::read(&bytes.to_vec().into())?;
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".data");
        let (model, data) = external::split(bytes, &info, &name.to_string_lossy())?;
        write(&out.with_file_name(name), &data)?;
        write(out, &model)
    }
}
