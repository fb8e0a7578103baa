//! How many samples each shard holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::StoreError;
use super::files;
use super::row::ClipRow;

/// Shards that a data set may have: as many as have names of five digits, 50 TB.
const MOST_SHARDS: u32 = 100_000;

/// How many samples are recorded in each shard.
#[derive(Debug, Default)]
pub(super) struct Layout {
    lengths: BTreeMap<u32, u64>,
}

impl Layout {
    /// Takes in the next row. Clips must follow each other through the shards as they were written: then none overlap. Between them may lie
    /// what was stored anew elsewhere.
    pub(super) fn follow(&mut self, row: &ClipRow<&str>) -> Result<(), String> {
        if (row.shard, row.offset) < self.end() {
            return Err(format!(
                "clip `{}` does not lie after the end of the clip before it",
                row.clip
            ));
        }
        if row.shard >= MOST_SHARDS {
            return Err(format!(
                "clip `{}` lies in a shard {} that cannot be",
                row.clip, row.shard
            ));
        }
        self.take(row.shard, row.offset.saturating_add(row.samples));
        Ok(())
    }

    /// A clip of the last shard or of a later one ends here.
    pub(super) fn take(&mut self, shard: u32, end: u64) {
        self.lengths.insert(shard, end);
    }

    /// The last shard and its length.
    pub(super) fn end(&self) -> (u32, u64) {
        self.lengths.last_key_value().map_or((0, 0), |(shard, length)| (*shard, *length))
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = (u32, u64)> {
        self.lengths.iter().map(|(shard, length)| (*shard, *length))
    }

    /// Makes sure that the samples are there.
    pub(super) fn check_shards(&self, folder: &Path) -> Result<(), StoreError> {
        for (shard, needed) in self.shards() {
            let path = files::shard(folder, shard);
            let metadata =
                fs::metadata(&path).map_err(|source| files::unreadable(&path, source))?;
            let found = metadata.len() / files::SAMPLE;
            if found < needed {
                return Err(StoreError::ShortShard { path, found, needed });
            }
        }
        Ok(())
    }
}
