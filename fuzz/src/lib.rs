//! The functions that are fuzzed: the same files as the tests have, compiled for libFuzzer.

#[path = "../../tests/src/fuzz/company.rs"]
pub mod company;
#[path = "../../tests/src/fuzz/pure.rs"]
pub mod pure;
#[cfg(feature = "outer")]
#[path = "../../tests/src/fuzz/outer.rs"]
pub mod outer;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a target. A panic that the product itself contains (Automerge's, on foreign bytes) is no finding,
/// though libFuzzer's own hook would end the process on it; one that comes out of the target is.
pub fn run(target: fn(&[u8]), bytes: &[u8]) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        set_hook(Box::new(|panic| LAST.with_borrow_mut(|last| *last = panic.to_string())));
    });
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        LAST.with_borrow(|last| eprintln!("{last}"));
        std::process::abort();
    }
}
