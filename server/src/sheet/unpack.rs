//! Proof that an `.xlsx` is small enough to be read: every part unpacked into a counter first.
//!
//! In: the bytes of a ZIP. Out: nothing, or why it is not read. The sizes that a ZIP declares are not
//! believed, for its parts may unpack to more. Memory taken here is one chunk, time grows with
//! [`UNPACKED_BYTES_MAX`] at most.
//!
//! The workbook reader (calamine 0.38) takes memory out of proportion in two places, and both are watched for:
//! it reserves room for as many shared strings as `uniqueCount` claims (an allocation that fails ends the
//! process and cannot be caught), and it copies the texts of a font into each cell format. Look again when
//! the reader is updated. Not here: reading a workbook.

use std::io::{Cursor, Read as _};

use super::faults::SheetError;

/// Parts in an `.xlsx`.
const PARTS_MAX: usize = 2_000;
/// Bytes of an `.xlsx` when unpacked, all parts together.
const UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of one unpacked part that is read whole (shared strings, styles, names of sheets).
const WHOLE_PART_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes between two `<` in the styles: the reader copies a style's texts for each cell format.
const STYLE_TAG_BYTES_MAX: usize = 1_024;
/// Tags in the styles.
const STYLE_TAGS_MAX: usize = 250_000;
/// Digits of the count of shared strings, for which the reader reserves memory.
const COUNT_DIGITS_MAX: usize = 7;

/// Unpacks every part of the ZIP into a counter, so that the reader meets only parts that were proved
/// small. The declared sizes are not used.
pub fn prove_parts(bytes: &[u8]) -> Result<(), SheetError> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| SheetError::NotASheet)?;
    if zip.len() > PARTS_MAX {
        return Err(SheetError::NotASheet);
    }
    let too_large = || SheetError::TooLarge { mib: UNPACKED_BYTES_MAX >> 20 };
    let mut total = 0;
    let mut chunk = vec![0; 64 * 1024];
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).map_err(|_| SheetError::NotASheet)?;
        let name = part.name().map_err(|_| SheetError::NotASheet)?.to_lowercase().replace('\\', "/");
        let whole = !name.contains("/worksheets/");
        let mut watch = PartWatch::of(&name);
        let mut size = 0;
        loop {
            let read = part.read(&mut chunk).map_err(|_| SheetError::NotASheet)?;
            if read == 0 {
                break;
            }
            size += read as u64;
            total += read as u64;
            if total > UNPACKED_BYTES_MAX || (whole && size > WHOLE_PART_BYTES_MAX) {
                return Err(too_large());
            }
            watch.see(&chunk[..read])?;
        }
        watch.end()?;
    }
    Ok(())
}

/// Watches one part's bytes for what would make the reader take memory out of proportion.
struct PartWatch {
    xml: bool,
    styles: bool,
    tags: usize,
    since_tag: usize,
    /// How much of [`COUNT`] the last bytes are, then how many digits followed it.
    matched: usize,
    digits: Option<usize>,
}

/// The attribute by which the reader reserves memory for shared strings.
const COUNT: &[u8] = b"uniqueCount";

impl PartWatch {
    fn of(name: &str) -> Self {
        let styles = name.ends_with("styles.xml");
        let xml = name.ends_with(".xml") || name.ends_with(".rels");
        Self { xml, styles, tags: 0, since_tag: 0, matched: 0, digits: None }
    }
    fn see(&mut self, bytes: &[u8]) -> Result<(), SheetError> {
        if !self.xml {
            return Ok(());
        }
        for &byte in bytes {
            // UTF-16 would hide the rest from this watch; spreadsheets write UTF-8.
            let mut good = byte != 0;
            if self.styles {
                self.since_tag = if byte == b'<' { 0 } else { self.since_tag + 1 };
                self.tags += usize::from(byte == b'<');
                good &= self.since_tag <= STYLE_TAG_BYTES_MAX && self.tags <= STYLE_TAGS_MAX;
            }
            good &= self.count(byte);
            if !good {
                return Err(SheetError::NotASheet);
            }
        }
        Ok(())
    }
    /// After `uniqueCount` only `="`, at most [`COUNT_DIGITS_MAX`] digits and a quotation mark may follow.
    fn count(&mut self, byte: u8) -> bool {
        match self.digits {
            None => {
                self.matched = match byte {
                    b if b == COUNT[self.matched] => self.matched + 1,
                    // "uniqu" may run on as "uni".
                    b'n' if self.matched == 5 => 2,
                    b'u' => 1,
                    _ => 0,
                };
                if self.matched == COUNT.len() {
                    self.matched = 0;
                    self.digits = Some(0);
                }
                true
            }
            // 0 waits for `=`, 1 for the opening mark, from 2 on digits.
            Some(0) => self.step(byte == b'='),
            Some(1) => self.step(matches!(byte, b'"' | b'\'')),
            Some(_) if matches!(byte, b'"' | b'\'') => {
                self.digits = None;
                true
            }
            Some(n) => self.step(byte.is_ascii_digit() && n < 2 + COUNT_DIGITS_MAX),
        }
    }
    fn step(&mut self, good: bool) -> bool {
        self.digits = self.digits.map(|n| n + 1);
        good
    }
    fn end(&self) -> Result<(), SheetError> {
        if self.digits.is_some() { Err(SheetError::NotASheet) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in parts {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_zip_that_unpacks_too_far_is_refused_before_it_is_read() {
        let blanks = vec![b' '; 65 * 1024 * 1024];
        let bomb = zipped(&[("xl/media/a.bin", &blanks)]);
        assert!(bomb.len() < 1024 * 1024);
        assert_eq!(prove_parts(&bomb).unwrap_err().code(), "file_too_large");
        let mut source = zip::ZipArchive::new(Cursor::new(bomb)).unwrap();
        let mut many = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a", "b", "c", "d"] {
            let part = source.by_index_raw(0).unwrap();
            many.raw_copy_file_rename(part, format!("xl/worksheets/{name}.bin")).unwrap();
        }
        let many = many.finish().unwrap().into_inner();
        assert_eq!(prove_parts(&many).unwrap_err().code(), "file_too_large");
    }
    #[test]
    fn a_part_that_makes_the_reader_reserve_memory_is_refused() {
        for (name, body, good) in [
            ("xl/sharedStrings.xml", "<sst uniqueCount=\"9999999\">", true),
            ("xl/sharedStrings.xml", "<sst uniquniqueCount=\"99999999\">", false),
            ("xl/sharedStrings.xml", "<sst uniqueCount = \"1\">", false),
            ("XL\\SharedStrings.XML", "<sst uniqueCount='99999999999999'>", false),
            ("xl/sharedStrings.xml", "<\0s\0s\0t\0", false),
        ] {
            let proved = prove_parts(&zipped(&[(name, body.as_bytes())]));
            assert_eq!(proved.is_ok(), good, "{body}");
        }
        let long = format!("<font name=\"{}\"/>", "x".repeat(2_000));
        assert!(prove_parts(&zipped(&[("xl/styles.xml", long.as_bytes())])).is_err());
        assert!(prove_parts(&zipped(&[("xl/styles.xml", "<a>".repeat(250_001).as_bytes())])).is_err());
    }
}
