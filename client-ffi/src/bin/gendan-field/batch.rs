//! Many commands in one process: one JSON object a line in, one result a line out, in order. A result
//! line is written after its command is durable. A command that fails does not stop those after it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};

use client_ffi::{FieldClient, FieldError};
use serde_json::json;

use crate::deed::Deed;
use crate::{Shown, error_value};

/// Longest line that is read; a signature takes some thousand bytes.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

fn broken(error: &io::Error) -> FieldError {
    FieldError::Store {
        code: "batch".into(),
        reason: format!("批量文件无法读写:{error}"),
        reason_en: format!("The batch cannot be read or answered: {error}"),
        retryable: false,
    }
}

/// Runs a batch from a file, or from standard input for `-`.
pub fn run(client: &FieldClient, file: &str) -> Result<Shown, FieldError> {
    let mut input: Box<dyn BufRead> = match file {
        "-" => Box::new(io::stdin().lock()),
        path => Box::new(BufReader::new(File::open(path).map_err(|e| broken(&e))?)),
    };
    let mut out = io::stdout().lock();
    let (mut done, mut failed) = (0_u64, 0_u64);
    let mut line = String::new();
    loop {
        line.clear();
        let mut bounded = io::Read::take(&mut input, LINE_BYTES_MAX);
        if bounded.read_line(&mut line).map_err(|e| broken(&e))? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let deed = serde_json::from_str::<Deed>(&line).map_err(|e| FieldError::invalid("command", e));
        let result = match deed.and_then(|deed| deed.carry_out(client)) {
            Ok(shown) => {
                done += 1;
                shown.value
            }
            Err(error) => {
                failed += 1;
                error_value(&error)
            }
        };
        writeln!(out, "{result}").and_then(|()| out.flush()).map_err(|e| broken(&e))?;
    }
    let words = format!("完成{done}条,未成{failed}条。 {done} done, {failed} failed.");
    Ok(Shown { value: json!({"done": done, "failed": failed}), words })
}
