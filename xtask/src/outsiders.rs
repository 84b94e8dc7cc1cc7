//! `cargo xtask outsiders`: what others make of us. A COSE library that is not ours checks the evidence.
//!
//! In: Python 3 with `venv`, and PyPI. The packages are pinned and go into `target/venv`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::process::{built, json, root, run};

/// What is checked by, at these versions.
const PACKAGES: [&str; 2] = ["pycose==1.1.0", "cbor2==5.6.5"];

/// One of the sample's orders.
const AN_ORDER: &str = "2611120000";

/// Checks evidence with other people's tools.
#[derive(Args)]
pub struct Outsiders {}

impl Outsiders {
    /// Runs it on a fresh company with the sample's orders.
    pub fn run(self) -> anyhow::Result<()> {
        run("cargo", &["build", "-p", "gendan-server"])?;
        let python = venv()?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let gendan = || {
            let mut command = Command::new(built().join("gendan"));
            command.env("GENDAN_DATA", &data).env("GENDAN_PASSWORD", "a made-up password").arg("--json");
            command
        };
        let sample = root().join("server/data/orders.csv");
        let file = folder.path().join("evidence.json");
        for command in [
            gendan().args(["init", "--company", "好家居", "--name", "周总"]),
            gendan().arg("import").arg(&sample),
            gendan().args(["evidence", AN_ORDER]).arg(&file),
        ] {
            let (code, said) = json(command)?;
            ensure!(code == 0, "{command:?}: {said}");
        }
        let checked = Command::new(python).arg(root().join("tests/python/cose.py")).arg(&file).status()?;
        ensure!(checked.success(), "the evidence does not hold for another library");
        Ok(())
    }
}

/// Python with the pinned packages.
fn venv() -> anyhow::Result<PathBuf> {
    let venv = root().join("target/venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        run("python3", &["-m", "venv", &venv.to_string_lossy()])
            .context("python3 with its venv module is needed: apt-get install python3-venv")?;
    }
    let python_name = python.to_string_lossy().into_owned();
    run(
        &python_name,
        &[&["-m", "pip", "install", "--quiet", "--disable-pip-version-check"][..], &PACKAGES].concat(),
    )?;
    Ok(python)
}
