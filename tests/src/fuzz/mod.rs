//! Every decoder of foreign bytes as one function of a byte string.
//!
//! In: any bytes. Out: nothing; a function panics where a decoder breaks its word (it panicked itself, or
//! gave a value that does not survive its own encoding). The same functions run under cargo-fuzz (the
//! `fuzz` folder, `cargo xtask fuzz`) and, over the checked-in corpus and mutations of it, in the tests.
//! [`pure`] needs `sync-core` alone and [`company`] is what its bytes meet; [`outer`] takes the relay
//! and the phone library in; [`seeds`] makes the corpus from real values; [`mutate`] alters bytes.

pub mod company;
pub mod pure;
pub mod outer;
pub mod seeds;
pub mod mutate;

/// A decoder under its name.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its folder in the corpus and its name for cargo-fuzz.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Bytes of memory that any input may take beside itself.
    pub memory_bytes_max: usize,
}

const MIB: usize = 1024 * 1024;

/// All of them. The bounds: a frame's or a snapshot's own times a small number; a relay's records are sealed
/// and its own, and theirs is loose.
pub const TARGETS: [Target; 16] = [
    Target { name: "frames", run: pure::frames, memory_bytes_max: 24 * MIB },
    Target { name: "frame", run: pure::frame, memory_bytes_max: 24 * MIB },
    Target { name: "change", run: pure::change, memory_bytes_max: 16 * MIB },
    Target { name: "snapshot", run: pure::snapshot, memory_bytes_max: 64 * MIB },
    Target { name: "fact", run: pure::fact, memory_bytes_max: 4 * MIB },
    Target { name: "log", run: pure::log, memory_bytes_max: 16 * MIB },
    Target { name: "certificate", run: pure::certificate, memory_bytes_max: 4 * MIB },
    Target { name: "policy_toml", run: pure::policy_toml, memory_bytes_max: 16 * MIB },
    Target { name: "policy", run: pure::policy, memory_bytes_max: 16 * MIB },
    Target { name: "text", run: pure::text, memory_bytes_max: 4 * MIB },
    Target { name: "records", run: pure::records, memory_bytes_max: 32 * MIB },
    Target { name: "session", run: pure::session, memory_bytes_max: 64 * MIB },
    Target { name: "sheet", run: outer::sheet, memory_bytes_max: 64 * MIB },
    Target { name: "evidence", run: outer::evidence, memory_bytes_max: 32 * MIB },
    Target { name: "relay_records", run: outer::relay_records, memory_bytes_max: 256 * MIB },
    Target { name: "wishes", run: outer::wishes, memory_bytes_max: 16 * MIB },
];
