//! The house rules, checked over the source itself: layers, lengths, leftovers and docs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lines of one source file at most.
const LINES_MAX: usize = 700;
/// Words that no finished code has. Written in two halves, or this file would hold them.
const LEFTOVERS: [(&str, &str); 3] = [("todo", "!("), ("unimplemented", "!("), ("#[ign", "ore")];
const CRATES: [&str; 5] = ["sync-core", "server", "client-ffi", "tests", "xtask"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The source files of some folders of every crate, with their text.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for krate in CRATES {
        for folder in folders {
            gather(&root().join(krate).join(folder), &mut found);
        }
    }
    found.sort();
    let text = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
    found.into_iter().map(text).collect()
}

/// The text without comments and without what is compiled for tests only: everything from the first
/// `#[cfg(test)]` that opens a module on.
fn product_code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let test_only = line.trim_start().starts_with("#[cfg(") && line.contains("test");
        if test_only && lines.peek().is_some_and(|next| next.contains("mod ") && next.ends_with('{')) {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

/// The modules that a crate's lib.rs declares, in order.
fn layers(lib: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?;
        rest.strip_suffix(';').map(str::to_owned)
    };
    lib.lines().filter_map(name).collect()
}

/// The modules that code names as `crate::x` or within `crate::{x, y}`.
fn named(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for after in code.split("crate::").skip(1) {
        match after.strip_prefix('{') {
            None => found.push(word(after)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && depth == 0 && !c.is_whitespace() => {
                            found.push(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[test]
fn a_module_names_only_modules_above_it() {
    let mut faults = Vec::new();
    for krate in CRATES {
        let folder = root().join(krate).join("src");
        let Ok(lib) = std::fs::read_to_string(folder.join("lib.rs")) else { continue };
        let order: BTreeMap<String, usize> =
            layers(&lib).into_iter().enumerate().map(|(n, m)| (m, n)).collect();
        let mut files = Vec::new();
        gather(&folder, &mut files);
        for file in files {
            let inside = file.strip_prefix(&folder).unwrap();
            let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs");
            // Binaries, lib.rs itself, and files that only tests compile stand above every layer.
            let Some(&own) = order.get(module) else { continue };
            if inside.ends_with("tests.rs") || inside.components().any(|c| c.as_os_str() == "tests") {
                continue;
            }
            for other in named(&product_code(&std::fs::read_to_string(&file).unwrap())) {
                if order.get(&other).is_some_and(|layer| *layer > own) {
                    faults.push(format!("{krate}: {} names {other}, which is below it", inside.display()));
                }
            }
        }
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_source_file_is_longer_than_a_person_reads() {
    for (path, text) in sources(&["src"]) {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; split it by the state it owns", path.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    for (path, text) in sources(&["src", "tests", "benches", "examples"]) {
        for (start, end) in LEFTOVERS {
            let word = format!("{start}{end}");
            assert!(!text.contains(&word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources(&["src", "tests"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "files without a word about themselves:\n{}", silent.join("\n"));
}

#[test]
fn the_rules_see_what_breaks_them() {
    let names = named("use crate::{fold::State, ids::{A, B}, wire}; fn f() { crate::view::case(); }");
    assert_eq!(names, ["fold", "ids", "wire", "view"]);
    let code = product_code("use a; // crate::device\n#[cfg(test)]\nmod tests {\nuse crate::store;\n}");
    assert!(named(&code).is_empty(), "comments and tests are no product code");
    assert_eq!(layers("//! Docs\npub mod ids;\nmod time;\nuse ids::A;"), ["ids", "time"]);
}
