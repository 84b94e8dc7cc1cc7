//! The checked-in Kotlin, Swift and Python bindings are what the generator makes of this library.
//!
//! `UPDATE_GOLDEN=1` writes them anew. Needs the feature `cli`, which builds the generator.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn files(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if ["kt", "swift", "h", "modulemap", "py"]
                .iter()
                .any(|e| path.extension() == Some(e.as_ref()))
            {
                let name = path.strip_prefix(root).unwrap().to_path_buf();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn is_current(language: &str) {
    let bindgen = Path::new(env!("CARGO_BIN_EXE_uniffi-bindgen"));
    // The library beside this test is the one that was built with it; cargo copies it elsewhere only when
    // it is told to build and not to test.
    let library = std::env::current_exe().unwrap().with_file_name("libclient_ffi.so");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("bindings").join(language);
    let fresh = tempfile::TempDir::new().unwrap();
    let run = Command::new(bindgen)
        .args(["generate", "--no-format", "--language", language, "--out-dir"])
        .arg(fresh.path())
        .arg("--library")
        .arg(&library)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let fresh = files(fresh.path());
    assert!(!fresh.is_empty());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for (name, text) in &fresh {
            let path = golden.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
    let kept = files(&golden);
    assert_eq!(
        kept.keys().collect::<Vec<_>>(),
        fresh.keys().collect::<Vec<_>>(),
        "other files than checked in"
    );
    for (name, text) in &fresh {
        assert!(kept[name] == *text, "{} is not current: run with UPDATE_GOLDEN=1", name.display());
    }
}

#[test]
fn the_kotlin_bindings_are_current() {
    is_current("kotlin");
}
#[test]
fn the_swift_bindings_are_current() {
    is_current("swift");
}
#[test]
fn the_python_bindings_are_current() {
    is_current("python");
}
