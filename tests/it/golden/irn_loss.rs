use anyhow::{Result, bail};

use super::case::Case;

pub fn run(case: &Case) -> Result<()> {
    bail!("{}: no runner yet", case.name)
}
