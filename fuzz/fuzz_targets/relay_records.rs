#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gendan_fuzz::run(gendan_fuzz::outer::relay_records, bytes));
