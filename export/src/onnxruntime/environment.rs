//! The process's one environment of ONNX Runtime, which loads the shared library on first use.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow};
use irn_models::error::Hint;
use ort::environment::Environment;
use ort::ep::{CUDA, ExecutionProvider};

use crate::locate;

/// The library that a process has loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its file.
    pub path: PathBuf,
    /// Its version, such as 1.31.1; empty where its file's name does not say it.
    pub version: String,
    /// Whether it was built with the CUDA provider. That says nothing of this machine.
    pub has_cuda: bool,
}

struct Kept {
    environment: Environment,
    path: PathBuf,
}

/// The environment.
///
/// # Errors
/// No library, one that can't be loaded.
pub(crate) fn environment() -> Result<&'static Environment> {
    Ok(&kept()?.environment)
}

/// What is loaded; loads it.
///
/// # Errors
/// No library, one that can't be loaded.
pub fn loaded() -> Result<Loaded> {
    let path = kept()?.path.clone();
    let name = path.canonicalize().unwrap_or_else(|_| path.clone());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let version = name.rsplit_once(".so.").map(|(_, version)| version.to_string());
    let has_cuda = CUDA::is_available().map_err(plain)?;
    Ok(Loaded { path, version: version.unwrap_or_default(), has_cuda })
}

fn kept() -> Result<&'static Kept> {
    static ENVIRONMENT: OnceLock<Result<Kept, (String, String)>> = OnceLock::new();
    let load = || -> Result<Kept> {
        let path = locate::library()?;
        let failed = || format!("failed to load ONNX Runtime from {}", path.display());
        let builder = ort::init_from(&path).map_err(|error| anyhow!("{error}"));
        let builder =
            builder.with_context(failed).hint("run `make deps` to fetch one that fits")?;
        let environment = builder.with_name("irn").with_telemetry(false).build().map_err(plain);
        Ok(Kept { environment: environment.with_context(failed)?, path })
    };
    // Errors can't be cloned: the first failure is kept as text, its advice apart.
    let keep = |error: anyhow::Error| {
        let report = irn_models::error::report(&error);
        let report = report.strip_prefix("error: ").unwrap_or(&report);
        let (message, hint) = report.split_once("\nhint: ").unwrap_or((report, ""));
        (message.to_string(), hint.to_string())
    };
    match ENVIRONMENT.get_or_init(|| load().map_err(keep)) {
        Ok(kept) => Ok(kept),
        Err((message, hint)) if hint.is_empty() => Err(anyhow!("{message}")),
        Err((message, hint)) => Err(anyhow!("{message}")).hint(hint),
    }
}

/// The message without the file and line of ONNX Runtime's own source and the number of its kind.
pub(crate) fn plain<R>(error: ort::Error<R>) -> anyhow::Error {
    let text = error.to_string();
    let told = text.rsplit_once("[ONNXRuntimeError] : ").map_or(&*text, |(_, told)| told);
    let kind =
        |part: &str| part.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() || c == '_');
    let told = told.split(" : ").skip_while(|part| kind(part)).collect::<Vec<_>>().join(" : ");
    // Behind it stand the device, the host and lines of source.
    let told = told.split(" ; GPU=").next().unwrap_or_default();
    let told = if told.is_empty() { text.trim() } else { told.trim() };
    anyhow!("ONNX Runtime: {told}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_what_is_of_no_use_to_a_user() {
        let plain = |text: &str| plain(ort::Error::<()>::new(text)).to_string();
        let long = "/src/bridge.cc:2043 Provider::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load \
                    a.so with error: b.so: no such file\n";
        assert_eq!(plain(long), "ONNX Runtime: Failed to load a.so with error: b.so: no such file");
        let cuda =
            "[ONNXRuntimeError] : 11 : EP_FAIL : CUDA failure 36: no driver ; GPU=-1 ; line=70";
        assert_eq!(plain(cuda), "ONNX Runtime: CUDA failure 36: no driver");
        assert_eq!(plain("Invalid rank : 3"), "ONNX Runtime: Invalid rank : 3");
        assert_eq!(plain("FAIL"), "ONNX Runtime: FAIL");
    }
}
