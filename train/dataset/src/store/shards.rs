//! Reads shards from any number of threads, with few files open at a time.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::error::StoreError;
use super::files;

/// Files kept open. A million clips are 1,700 shards; the default limit per process is 256 files on macOS, 1,024 on
/// Linux.
const MAX_OPEN: usize = 64;

#[derive(Debug)]
pub(super) struct ShardReader {
    folder: PathBuf,
    /// Most recently used first.
    open: Mutex<VecDeque<(u32, Arc<File>)>>,
}

impl ShardReader {
    pub(super) fn new(folder: &Path) -> Self {
        ShardReader { folder: folder.to_path_buf(), open: Mutex::default() }
    }

    /// Fills `bytes` from a shard, starting at byte `position`.
    pub(super) fn read(
        &self,
        shard: u32,
        position: u64,
        bytes: &mut [u8],
    ) -> Result<(), StoreError> {
        self.file(shard)
            .and_then(|file| read_exact_at(&file, bytes, position))
            .map_err(|source| files::unreadable(&files::shard(&self.folder, shard), source))
    }

    fn file(&self, shard: u32) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let index = open.iter().position(|(number, _)| *number == shard);
        let (_, file) = match index.and_then(|index| open.remove(index)) {
            Some(entry) => entry,
            None => (shard, Arc::new(File::open(files::shard(&self.folder, shard))?)),
        };
        open.push_front((shard, Arc::clone(&file)));
        open.truncate(MAX_OPEN);
        Ok(file)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, position)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut bytes: &mut [u8], mut position: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, position)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                position += read as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_many_shards_are_open() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(files::SHARDS)).unwrap();
        let many = 2 * MAX_OPEN as u32;
        for shard in 0..many {
            std::fs::write(files::shard(folder.path(), shard), shard.to_le_bytes()).unwrap();
        }
        let shards = ShardReader::new(folder.path());
        for shard in (0..many).chain((0..many).rev()).chain([5; 9]) {
            let mut bytes = [0; 4];
            shards.read(shard, 0, &mut bytes).unwrap();
            assert_eq!(u32::from_le_bytes(bytes), shard);
        }
        let open = shards.open.lock().unwrap();
        assert_eq!((open.len(), open.front().map(|(shard, _)| *shard)), (MAX_OPEN, Some(5)));
    }
}
