//! One store's folder: its files' names, the lock against a second process, and the anchor file.
//!
//! In: a path that is the store's own, and [`Mark`]s to keep. Out: the anchor as it stands, and which
//! folder below holds the data: `data`, or `data.N` after the N-th compaction.
//!
//! Invariants: a commit's mark is written in place over the older of the anchor's two slots, so the newer
//! one is whole at every moment; every other change of the anchor replaces the file by rename. A folder
//! of data is a complete store, unless `draft` stands in it or its name ends in `.new`. Nothing is removed
//! before the anchor names its successor.
//!
//! `unfinished` stands while a store is being made or erased: what lies there then was never promised to
//! anyone. `doubt` stands once an audit found damage, so that no later opening takes the quick way.
//!
//! Deliberately not here: what the files of the data contain.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::anchor::{ANCHOR_BYTES, Anchor, Mark, PAGE_BYTES, unusable};
use super::sealed::Sealer;

/// Stands in a folder of data that is no complete store yet.
const DRAFT: &str = "draft";

/// The anchor file, open for writing in place.
struct Slots {
    file: File,
    newest: usize,
}

/// A store's folder, locked against a second process for as long as this lives.
pub(super) struct Folder {
    path: PathBuf,
    generation: u32,
    /// Nothing where the file must be written anew.
    slots: Option<Slots>,
    _lock: File,
}

impl Folder {
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(|e| unusable(&e))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(|e| unusable(&e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
            // A platform without file locks: there the app's sandbox keeps other processes out.
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(unusable(&e)),
        }
        Ok(Self { path: path.to_owned(), generation: 0, slots: None, _lock: lock })
    }

    /// The number of the folder that holds the data.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }
    /// The folder of the data.
    pub(super) fn data(&self) -> PathBuf {
        self.data_of(self.generation)
    }
    /// The folder that the data of a generation has or will have.
    pub(super) fn data_of(&self, generation: u32) -> PathBuf {
        match generation {
            0 => self.path.join("data"),
            n => self.path.join(format!("data.{n}")),
        }
    }
    fn anchor(&self) -> PathBuf {
        self.path.join("anchor")
    }
    fn marker(&self) -> PathBuf {
        self.path.join("unfinished")
    }
    fn doubt(&self) -> PathBuf {
        self.path.join("doubt")
    }
    /// Makes the names in the folder durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_dir(&self.path)
    }

    /// Folders of data, drafts among them, with the generation of those that are complete.
    fn data_folders(&self) -> io::Result<Vec<(PathBuf, Option<u32>)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let generation = match name.to_str() {
                Some("data") => Some(0),
                Some(name) if name.starts_with("data.") => name["data.".len()..].parse().ok(),
                _ => continue,
            };
            let path = entry.path();
            let generation = generation.filter(|_| !path.join(DRAFT).exists());
            found.push((path, generation));
        }
        Ok(found)
    }
    /// Whether no store was ever finished here.
    pub(super) fn is_blank(&self) -> io::Result<bool> {
        let complete = self.data_folders()?.iter().any(|(_, generation)| generation.is_some());
        Ok(self.marker().exists() || !(complete || self.anchor().exists()))
    }
    /// Removes whatever is here; until [`Folder::finish`] the folder counts as blank, even after a crash.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        File::create(self.marker())?.sync_all()?;
        self.sync()?;
        self.slots = None;
        for file in [self.anchor(), self.path.join("anchor.new"), self.doubt()] {
            absent_is_fine(fs::remove_file(file))?;
        }
        for (folder, _) in self.data_folders()? {
            absent_is_fine(fs::remove_dir_all(folder))?;
        }
        self.generation = 0;
        self.sync()
    }
    /// The end of what [`Folder::begin`] began.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::remove_file(self.marker())?;
        self.sync()
    }

    /// Reads the anchor, and takes from it which folder holds the data. Where it does not say, that is the
    /// newest complete one: a draft ceases to be one only when all that was committed is in it.
    pub(super) fn read_anchor(&mut self, known: u16, sealer: &Sealer) -> Result<Anchor, StoreError> {
        let anchor = self.look_at_anchor(known, sealer)?;
        self.generation = match &anchor {
            Anchor::Mark { mark, .. } => mark.generation,
            _ => {
                let folders = self.data_folders().map_err(|e| unusable(&e))?;
                folders.iter().filter_map(|(_, generation)| *generation).max().unwrap_or(0)
            }
        };
        if let Anchor::Mark { slot, both: true, .. } = &anchor {
            let file = OpenOptions::new().write(true).open(self.anchor()).map_err(|e| unusable(&e))?;
            self.slots = Some(Slots { file, newest: *slot });
        }
        Ok(anchor)
    }
    fn look_at_anchor(&self, known: u16, sealer: &Sealer) -> Result<Anchor, StoreError> {
        match fs::metadata(self.anchor()) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Anchor::Missing),
            Err(e) => return Err(unusable(&e)),
            Ok(meta) if meta.len() > ANCHOR_BYTES as u64 => return Ok(Anchor::Unreadable),
            Ok(_) => {}
        }
        Anchor::read(&fs::read(self.anchor()).map_err(|e| unusable(&e))?, known, sealer)
    }
    /// Makes the mark durable, as newer than the one before: in place over the older slot, or as a new file
    /// where there is none to trust. Gives it back as it was written.
    pub(super) fn write_mark(
        &mut self,
        layout: u16,
        mut mark: Mark,
        sealer: &mut Sealer,
    ) -> io::Result<Mark> {
        mark.writes += 1;
        let Some(slots) = &mut self.slots else {
            return self.replace_anchor(layout, mark, sealer);
        };
        let older = 1 - slots.newest;
        slots.file.seek(SeekFrom::Start(((older + 1) * PAGE_BYTES) as u64))?;
        slots.file.write_all(&mark.slot(sealer))?;
        slots.file.sync_data()?;
        slots.newest = older;
        Ok(mark)
    }
    /// Replaces the anchor at once, both slots: the data is in the mark's folder from then on.
    pub(super) fn replace_anchor(
        &mut self,
        layout: u16,
        mark: Mark,
        sealer: &mut Sealer,
    ) -> io::Result<Mark> {
        self.slots = None;
        let new = self.path.join("anchor.new");
        let mut file = File::create(&new)?;
        file.write_all(&mark.file(layout, sealer))?;
        file.sync_all()?;
        fs::rename(new, self.anchor())?;
        self.sync()?;
        self.generation = mark.generation;
        self.slots = Some(Slots { file, newest: 0 });
        Ok(mark)
    }

    /// Makes a folder for the next generation of the data, which counts for nothing until
    /// [`Folder::finish_draft`]. What an earlier attempt left is removed.
    pub(super) fn begin_draft(&self) -> io::Result<(u32, PathBuf)> {
        self.sweep()?;
        let generation = self.generation + 1;
        let (new, place) = (self.path.join(format!("data.{generation}.new")), self.data_of(generation));
        fs::create_dir(&new)?;
        File::create(new.join(DRAFT))?.sync_all()?;
        sync_dir(&new)?;
        fs::rename(new, &place)?;
        self.sync()?;
        Ok((generation, place))
    }
    /// A draft is complete, and may be named by the anchor.
    pub(super) fn finish_draft(&self, generation: u32) -> io::Result<()> {
        let place = self.data_of(generation);
        fs::remove_file(place.join(DRAFT))?;
        sync_dir(&place)
    }

    /// Removes folders of data that the anchor does not name: drafts, and what was compacted away. To be
    /// called only when the one it names has been opened.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let mut swept = false;
        for (folder, generation) in self.data_folders()? {
            if generation != Some(self.generation) {
                absent_is_fine(fs::remove_dir_all(folder))?;
                swept = true;
            }
        }
        if swept { self.sync() } else { Ok(()) }
    }

    /// Whether an audit found damage here and nothing was done about it.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubt().exists()
    }
    /// Remembers that an audit found damage.
    pub(super) fn raise_doubt(&self) -> io::Result<()> {
        File::create(self.doubt())?.sync_all()?;
        self.sync()
    }
    /// Forgets it: everything was read and is whole, or what is left was taken as the state.
    pub(super) fn settle_doubt(&self) -> io::Result<()> {
        if self.is_doubted() {
            absent_is_fine(fs::remove_file(self.doubt()))?;
            self.sync()?;
        }
        Ok(())
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> io::Result<u64> {
        bytes_below(&self.path)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    // Windows has no handle on a folder that could be synced, and needs none.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

pub(super) fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn bytes_below(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A file may go while we look: the store compacts itself.
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes += bytes_below(&entry.path())?,
            Ok(meta) => bytes += meta.len(),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(bytes)
}
