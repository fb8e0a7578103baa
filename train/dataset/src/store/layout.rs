//! The number of samples in each shard.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::error::StoreError;
use super::files;
use super::row::ClipRow;

/// Their names have five digits: 50 TB.
const MAX_SHARDS: u32 = 100_000;

/// The number of samples recorded in each shard.
#[derive(Debug, Default)]
pub(super) struct Layout {
    lengths: BTreeMap<u32, u64>,
}

impl Layout {
    /// Checks and adds the next row. Clips must be in the order of their positions, so that none overlap; there may be
    /// gaps between them where songs were replaced.
    pub(super) fn check_and_add(&mut self, row: &ClipRow<&str>) -> Result<(), String> {
        if (row.shard, row.offset) < self.end() {
            return Err(format!("clip `{}` starts before the end of the previous clip", row.clip));
        }
        if row.shard >= MAX_SHARDS {
            let last = MAX_SHARDS - 1;
            return Err(format!(
                "clip `{}` is in shard {}; the last possible is {last}",
                row.clip, row.shard
            ));
        }
        self.add(row.shard, row.offset.saturating_add(row.samples));
        Ok(())
    }

    /// Adds a clip that ends at sample `end` of the last shard or of a later one.
    pub(super) fn add(&mut self, shard: u32, end: u64) {
        self.lengths.insert(shard, end);
    }

    /// The last shard and its length.
    pub(super) fn end(&self) -> (u32, u64) {
        self.lengths.last_key_value().map_or((0, 0), |(shard, length)| (*shard, *length))
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = (u32, u64)> {
        self.lengths.iter().map(|(shard, length)| (*shard, *length))
    }

    /// Checks that the shards hold at least the recorded samples.
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
