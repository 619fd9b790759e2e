//! `make bench`: every stage of ours and of the PyTorch peer, in one run, on the same work.
//!
//! The peer is `IRN_BASELINE` (`../shared/baseline/torch_baseline.py`), run by `IRN_PYTHON` (`python3`); its
//! own functions write the inputs and the results that ours is compared with (`inputs.py`). Without PyTorch
//! ours runs alone, on look-alike inputs. Every stage of either side runs in a process of its own, so that the
//! peak memory is that stage's. Results: a table, and `target/bench.json`.
//!
//! `--stage NAME` runs one (several of them: repeat it), `--list` names them. `IRN_BENCH_DENSE=1` runs the
//! peer's dense random walk whole (minutes) instead of measuring one of its eight products; `IRN_PHOTOS`
//! (`../shared/data/voc-animals/VOC2012`) has the photos of the stages over 50 photos
//! (`IRN_BENCH_PHOTOS` sets another number).

mod bench {
    pub mod evaluation;
    pub mod inputs;
    pub mod labels;
    pub mod measure;
    pub mod networks;
    pub mod peer;
    pub mod photos;
    pub mod stages;
    pub mod table;
    pub mod training;
}

use std::process::ExitCode;

use anyhow::Result;
use bench::inputs::Inputs;
use bench::measure::{self, Measured};
use bench::peer::Peer;
use bench::stages::{STAGES, Stage};
use bench::table::{self, Row};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Cargo adds `--bench` of its own.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", irn::error::report(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [flag, name, threads] if flag == "--ours" => ours(name, threads.parse()?),
        [flag] if flag == "--list" => {
            STAGES.iter().for_each(|stage| println!("{}", stage.name));
            Ok(())
        }
        arguments => compare(&chosen(arguments)?),
    }
}

fn chosen(arguments: &[String]) -> Result<Vec<&'static Stage>> {
    let mut chosen = Vec::new();
    for pair in arguments.chunks(2) {
        match pair {
            [flag, name] if flag == "--stage" => chosen.push(Stage::named(name)?),
            other => anyhow::bail!("{other:?} is not understood: --stage NAME, or --list"),
        }
    }
    Ok(if chosen.is_empty() { STAGES.iter().collect() } else { chosen })
}

/// One stage of ours in this process; a line of JSON for [`compare`].
fn ours(name: &str, threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let outcome = (Stage::named(name)?.run)(&Inputs::find()?, threads)?;
    let measured = Measured { peak_mib: measure::peak_mib(), ..outcome };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn compare(stages: &[&'static Stage]) -> Result<()> {
    let mut peer = Peer::find();
    if let Err(reason) = &peer {
        println!("the peer is skipped: {reason:#}");
    }
    Inputs::prepare(peer.as_ref().ok())?;
    let mut rows = Vec::new();
    for stage in stages {
        println!("{} ...", stage.name);
        let ours = measure::in_a_process(stage.name, stage.threads)?;
        let theirs = match &mut peer {
            Ok(peer) => peer.best(&stage.peer)?,
            Err(_) => None,
        };
        println!("    {}", ours.agreement);
        let row = Row::new(stage, &ours, theirs);
        println!("    {row}");
        rows.push(row);
    }
    table::print(&rows);
    table::write(&rows)
}
