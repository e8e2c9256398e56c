//! The log file: set aside and compressed when it is full (R-LOG-08).
//!
//! `ncp.log` becomes `ncp.log.1.gz`, that one `ncp.log.2.gz`, and so on up to the configured number.
//! Compressing a hundred megabytes takes seconds, so a thread does it while the next file fills.
//!
//! Rotation from outside works too: the file is opened for appending, so logrotate's `copytruncate`
//! (R-LOG-07) leaves no hole, and the size is asked of the file again before it is set aside.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// When to rotate and what to keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Size of a file, in bytes.
    pub(super) bytes: u64,
    /// Number of compressed files.
    pub(super) backups: usize,
}

/// A log file that grows beyond its limit only for a line that is longer.
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    written: u64,
    limits: Limits,
    compressing: Option<JoinHandle<()>>,
}

impl RotatingFile {
    /// Opens the file, making its directory where there is none (L-29).
    pub(super) fn open(path: PathBuf, limits: Limits) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = append(&path)?;
        let written = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            written,
            limits,
            compressing: None,
        })
    }

    fn is_full_with(&self, line: &[u8]) -> bool {
        self.written > 0 && self.written + line.len() as u64 > self.limits.bytes
    }

    fn make_room(&mut self, line: &[u8]) -> io::Result<()> {
        self.written = self.file.metadata()?.len();
        if !self.is_full_with(line) {
            return Ok(());
        }
        self.finish_compressing();
        if self.limits.backups == 0 {
            self.file.set_len(0)?;
            self.written = 0;
            return Ok(());
        }
        let aside = numbered(&self.path, 1, "");
        if aside.exists() {
            // Left by a process that ended while compressing it.
            compress(&aside)?;
        }
        self.shift()?;
        fs::rename(&self.path, &aside)?;
        self.file = append(&self.path)?;
        self.written = 0;
        self.compressing = Some(
            thread::Builder::new()
                .name("log-compress".into())
                .spawn(move || {
                    if let Err(error) = compress(&aside) {
                        complain(&aside, &error);
                    }
                })?,
        );
        Ok(())
    }

    /// Gives each compressed file the next number; the last one goes.
    fn shift(&self) -> io::Result<()> {
        for number in (1..self.limits.backups).rev() {
            let from = numbered(&self.path, number, ".gz");
            if from.exists() {
                fs::rename(from, numbered(&self.path, number + 1, ".gz"))?;
            }
        }
        Ok(())
    }

    fn finish_compressing(&mut self) {
        if let Some(thread) = self.compressing.take() {
            // A panic in there has been reported by the panic hook; the file is still there.
            let _reported = thread.join();
        }
    }
}

impl Write for RotatingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The line matters more than the rotation, which is tried again when as much has been written.
        if self.is_full_with(line)
            && let Err(error) = self.make_room(line)
        {
            self.written = 0;
            complain(&self.path, &error);
        }
        let len = self.file.write(line)?;
        self.written += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for RotatingFile {
    fn drop(&mut self) {
        self.finish_compressing();
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// `ncp.log` with a number and an ending.
fn numbered(path: &Path, number: usize, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}{ending}"));
    name.into()
}

/// Replaces a file by its compressed form, which appears whole or not at all.
fn compress(path: &Path) -> io::Result<()> {
    let mut ending = path.as_os_str().to_owned();
    ending.push(".gz");
    let done = PathBuf::from(&ending);
    ending.push(".part");
    let part = PathBuf::from(ending);
    let mut encoder = GzEncoder::new(File::create(&part)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(part, done)?;
    fs::remove_file(path)
}

/// The log can't tell of its own trouble, so standard error does.
fn complain(path: &Path, error: &io::Error) {
    let _closed = writeln!(
        io::stderr(),
        "log file {} can't be rotated: {error}",
        path.display()
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::Dir;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn log(dir: &Dir, backups: usize) -> RotatingFile {
        RotatingFile::open(dir.path("logs/ncp.log"), Limits { bytes: 10, backups }).unwrap()
    }

    fn unpacked(path: PathBuf) -> String {
        let mut text = String::new();
        GzDecoder::new(File::open(path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn full_files_are_compressed_and_numbered() {
        let dir = Dir::new();
        let mut file = log(&dir, 2);
        for line in ["11111111\n", "22222222\n", "33333333\n", "44444444\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        drop(file);
        assert_eq!(
            fs::read_to_string(dir.path("logs/ncp.log")).unwrap(),
            "44444444\n"
        );
        assert_eq!(unpacked(dir.path("logs/ncp.log.1.gz")), "33333333\n");
        assert_eq!(unpacked(dir.path("logs/ncp.log.2.gz")), "22222222\n");
        assert_eq!(fs::read_dir(dir.path("logs")).unwrap().count(), 3);
    }

    #[test]
    fn a_file_truncated_from_outside_goes_on_from_its_start() {
        let dir = Dir::new();
        let mut file = log(&dir, 2);
        file.write_all(b"11111111\n").unwrap();
        fs::write(dir.path("logs/ncp.log"), "").unwrap();
        file.write_all(b"22222222\n").unwrap();
        drop(file);
        assert_eq!(fs::read(dir.path("logs/ncp.log")).unwrap(), b"22222222\n");
        assert!(!dir.path("logs/ncp.log.1.gz").exists());
    }

    #[test]
    fn a_file_left_uncompressed_by_a_crash_is_kept() {
        let dir = Dir::new();
        let mut file = log(&dir, 3);
        fs::write(dir.path("logs/ncp.log.1"), "old\n").unwrap();
        file.write_all(b"11111111\n").unwrap();
        file.write_all(b"22222222\n").unwrap();
        drop(file);
        assert_eq!(unpacked(dir.path("logs/ncp.log.1.gz")), "11111111\n");
        assert_eq!(unpacked(dir.path("logs/ncp.log.2.gz")), "old\n");
    }

    #[test]
    fn without_backups_the_file_starts_over() {
        let dir = Dir::new();
        let mut file = log(&dir, 0);
        file.write_all(b"11111111\n").unwrap();
        file.write_all(b"22222222\n").unwrap();
        drop(file);
        assert_eq!(fs::read(dir.path("logs/ncp.log")).unwrap(), b"22222222\n");
        assert_eq!(fs::read_dir(dir.path("logs")).unwrap().count(), 1);
    }
}
