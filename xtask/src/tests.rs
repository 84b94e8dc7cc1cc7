//! What CI checks, in one command.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{root, run};

/// Everything that CI checks.
#[derive(Args)]
pub struct Test {
    /// Only the Rust tests, without lints, documentation, bindings, licences, the demo, the kills and the
    /// soak's short form.
    #[arg(long)]
    quick: bool,
}

impl Test {
    /// Runs it: built once, then used by all.
    pub fn run(self) -> anyhow::Result<()> {
        if !self.quick {
            run("cargo", &["fmt", "--all", "--check"])?;
            run(
                "cargo",
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--features",
                    "client-ffi/cli",
                    "--",
                    "-D",
                    "warnings",
                ],
            )?;
        }
        nextest()?;
        bindings()?;
        run("cargo", &["nextest", "run", "--workspace", "--features", "client-ffi/cli", "--no-fail-fast"])?;
        if !self.quick {
            documentation()?;
            licences()?;
            run("cargo", &["xtask", "demo"])?;
            run("cargo", &["xtask", "outsiders"])?;
            run("cargo", &["xtask", "api", "--short"])?;
            run("cargo", &["xtask", "faults", "--kills", "10"])?;
            run("cargo", &["xtask", "soak", "--minutes", "1"])?;
        }
        println!("✔ cargo xtask test");
        Ok(())
    }
}

/// The Kotlin program runs on the JVM through JNA; where it is missing, Debian's packages bring it.
fn bindings() -> anyhow::Result<()> {
    if !Path::new("/usr/share/java/jna.jar").exists() {
        run("apt-get", &["update", "-q"])?;
        run("apt-get", &["install", "-y", "-q", "--no-install-recommends", "libjna-java", "libjna-jni"])?;
    }
    let there = Command::new("java").arg("-version").output().is_ok_and(|o| o.status.success());
    if there { Ok(()) } else { bail!("java 17 is missing: apt-get install openjdk-17-jre-headless") }
}

/// nextest is a program of its own; where it is missing, it is built from crates.io.
fn nextest() -> anyhow::Result<()> {
    installed("nextest", "cargo-nextest")
}

fn installed(subcommand: &str, package: &str) -> anyhow::Result<()> {
    let there =
        Command::new("cargo").args([subcommand, "--version"]).output().is_ok_and(|o| o.status.success());
    if there { Ok(()) } else { run("cargo", &["install", "--locked", package]) }
}

fn documentation() -> anyhow::Result<()> {
    println!("▶ cargo doc --workspace --no-deps");
    let status = Command::new("cargo")
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .current_dir(root())
        .status()
        .context("cargo")?;
    if status.success() { Ok(()) } else { bail!("the documentation does not build") }
}

/// Licences and sources; advisories need a database from outside that is not reached here.
fn licences() -> anyhow::Result<()> {
    installed("deny", "cargo-deny")?;
    run("cargo", &["fetch", "--locked"])?;
    run("cargo", &["deny", "--offline", "check", "licenses", "bans", "sources"])
}
