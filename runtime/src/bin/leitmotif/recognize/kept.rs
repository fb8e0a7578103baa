//! `--out FILE`: rows that are appended one by one, and those that are there already.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::row::ModelName;

/// A file of rows, locked for this process. Rows are whole: what a kill left of one is cut off at the next opening.
pub(super) struct Kept {
    path: PathBuf,
    file: File,
    /// The files that have a row.
    names: HashSet<String>,
}

/// What is read of a row.
#[derive(Deserialize)]
struct KeptRow {
    file: String,
    weights: String,
}

impl Kept {
    /// Opens or creates the file at `path`, of CSV with this heading or of JSON lines; with `anew` it begins empty.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened, another process writes it, it holds something else, or another model's answers.
    pub(super) fn open(
        path: &Path,
        heading: Option<&[String]>,
        model: &ModelName,
        anew: bool,
    ) -> anyhow::Result<Self> {
        let name = path.display();
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path);
        let file = file.with_context(|| format!("{name} cannot be written"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another process writes {name}: wait for it or name another file")
            }
            // A file system without locks.
            Err(TryLockError::Error(_)) => {}
        }
        let mut kept = Self { path: path.to_owned(), file, names: HashSet::new() };
        if anew {
            kept.file.set_len(0).with_context(|| format!("{name} cannot be emptied"))?;
        }
        let read = match heading {
            Some(heading) => kept.read_csv(heading, model),
            None => kept.read_lines(model),
        };
        let length = read
            .with_context(|| format!("{name} cannot be continued (another --out, or --force)"))?;
        kept.file.set_len(length).with_context(|| format!("{name} cannot be written"))?;
        if let (Some(heading), 0) = (heading, length) {
            kept.append(&csv_line(heading)?)?;
        }
        Ok(kept)
    }

    /// Whether the file of this name has a row.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Appends a row, whose line ends with a line break.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line).map_err(|error| {
            let name = self.path.display();
            let text = format!("{name} cannot be written ({error}): repeat the command once it can, its rows are kept");
            io::Error::new(error.kind(), text)
        })
    }

    /// Reads JSON lines; returns the length of the whole ones.
    fn read_lines(&mut self, model: &ModelName) -> anyhow::Result<u64> {
        let (mut length, mut line) = (0, Vec::new());
        let mut reader = BufReader::new(&self.file);
        for number in 1.. {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                // Only a row's beginning is cut off, never another file's content.
                ensure!(begins_alike(&line, LINE_START), "its line {number} is no row");
                break;
            }
            let row: KeptRow = serde_json::from_slice(&line)
                .with_context(|| format!("its line {number} is no row"))?;
            check_model(&row, model)?;
            self.names.insert(row.file);
            length += read as u64;
        }
        Ok(length)
    }

    /// Reads CSV; returns the length of the whole rows.
    fn read_csv(&mut self, heading: &[String], model: &ModelName) -> anyhow::Result<u64> {
        let first_line = csv_line(heading)?;
        let mut found = Vec::new();
        let mut file = &self.file;
        file.take(first_line.len() as u64).read_to_end(&mut found)?;
        ensure!(begins_alike(&found, &first_line), "its heading is another, as with another --top");
        if found.len() < first_line.len() {
            return Ok(0);
        }
        let end = file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        let ends_with_line = last == *b"\n";
        file.seek(SeekFrom::Start(first_line.len() as u64))?;

        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
        let columns = csv::StringRecord::from_iter(heading);
        let mut record = csv::StringRecord::new();
        let mut length = first_line.len() as u64;
        while reader.read_record(&mut record)? {
            let next = first_line.len() as u64 + reader.position().byte();
            let is_last = next > end;
            if record.len() != heading.len() || (is_last && !ends_with_line) {
                ensure!(is_last, "a row in the middle is broken, after {length} bytes");
                break;
            }
            let row: KeptRow = record.deserialize(Some(&columns))?;
            check_model(&row, model)?;
            self.names.insert(row.file);
            length = next;
        }
        Ok(length)
    }
}

/// How each line of JSON begins.
const LINE_START: &[u8] = b"{\"version\":";

/// Whether the one is as far as it goes the beginning of the other.
fn begins_alike(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

fn check_model(row: &KeptRow, model: &ModelName) -> anyhow::Result<()> {
    ensure!(row.weights == model.weights, "it holds answers of another model ({})", row.weights);
    Ok(())
}

/// A record of CSV with its line break.
pub(super) fn csv_line(values: &[String]) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(values)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}
