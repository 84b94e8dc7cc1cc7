//! `cargo xtask phones`: the phone build, compiled for phones as far as a machine without their kits can.
//!
//! In: Debian's `rustc-web` with the library's sources, fetched into `target/phones` where missing (no
//! rustup toolchain brings targets without the network that CI has not). Out: `client-ffi` without its
//! own sockets type-checked for Android (arm64 and armv7) and built as a static library for iOS. The
//! tree it compiles is first searched for C code, which could not be compiled here nor belong there.
//! Not here: linking for Android, Swift, and a device; those need the vendors' kits.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{root, run};

/// Packages by the beginnings of their names; the newest of each is taken.
const PACKAGES: [&str; 5] =
    ["rustc-web", "libstd-rust-web-1", "libstd-rust-web-dev", "rust-web-src", "libllvm22"];
/// Crates that compile C or bring TLS of their own.
const FOREIGN: [&str; 9] =
    ["cc", "ring", "aws-lc-sys", "openssl-sys", "libsqlite3-sys", "zstd-sys", "mimalloc", "rustls", "cmake"];

/// Compiles the phone build for Android and iOS.
#[derive(Args)]
pub struct Phones {}

impl Phones {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<()> {
        without_c()?;
        let kit = kit()?;
        compile(&kit, "check", "aarch64-linux-android")?;
        compile(&kit, "check", "armv7-linux-androideabi")?;
        compile(&kit, "rustc", "aarch64-apple-ios")?;
        let library = target().join("aarch64-apple-ios/debug/libclient_ffi.a");
        let size = std::fs::metadata(&library).context("the static library for iOS")?.len();
        println!("✔ Android (arm64, armv7) type-checked; iOS static library built: {size} bytes");
        Ok(())
    }
}

fn target() -> PathBuf {
    root().join("target/phones")
}

/// The phone build's tree has no C code and no TLS of its own.
fn without_c() -> anyhow::Result<()> {
    let arguments =
        ["tree", "-p", "client-ffi", "--no-default-features", "-e", "normal,build", "--prefix", "none"];
    for platform in ["aarch64-linux-android", "aarch64-apple-ios"] {
        let mut command = Command::new("cargo");
        let output = command.args(arguments).args(["--target", platform]).current_dir(root()).output()?;
        let tree = String::from_utf8_lossy(&output.stdout);
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        if let Some(found) = names.into_iter().find(|name| FOREIGN.contains(name)) {
            bail!("the phone build for {platform} brings {found}");
        }
    }
    println!("✔ no C code and no TLS in the phone build");
    Ok(())
}

/// The compiler with its library's sources; gives the folder it was unpacked into.
fn kit() -> anyhow::Result<PathBuf> {
    let kit = target().join("kit");
    if kit.join("usr/bin/rustc").exists() {
        return Ok(kit);
    }
    std::fs::create_dir_all(&kit)?;
    let names = Command::new("apt-cache").args(["pkgnames"]).output().context("apt-cache")?;
    let names = String::from_utf8_lossy(&names.stdout).into_owned();
    for package in PACKAGES {
        // Only the unpacked library's name carries a version that moves.
        let name = names
            .lines()
            .filter(|n| if package.ends_with('1') { n.starts_with(package) } else { *n == package });
        let name =
            name.max().with_context(|| format!("{package} is not in Debian's archive: apt-get update"))?;
        let got = Command::new("apt-get").args(["download", name]).current_dir(&kit).status()?;
        if !got.success() {
            bail!("{name} cannot be fetched from Debian's archive");
        }
    }
    for entry in std::fs::read_dir(&kit)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "deb") {
            run("dpkg", &["-x", &path.to_string_lossy(), &kit.to_string_lossy()])?;
        }
    }
    Ok(kit)
}

fn compile(kit: &Path, verb: &str, platform: &str) -> anyhow::Result<()> {
    println!("▶ {platform}");
    let mut command = Command::new("cargo");
    command
        .args([verb, "-p", "client-ffi", "--lib", "--no-default-features", "--target", platform])
        .args(["-Z", "build-std=std,panic_unwind", "--target-dir"])
        .arg(target())
        .env("RUSTC", kit.join("usr/bin/rustc"))
        .env("LD_LIBRARY_PATH", kit.join("usr/lib/x86_64-linux-gnu"))
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(root());
    if verb == "rustc" {
        command.args(["--crate-type", "staticlib"]);
    }
    if command.status().context("cargo")?.success() { Ok(()) } else { bail!("{platform} does not build") }
}
