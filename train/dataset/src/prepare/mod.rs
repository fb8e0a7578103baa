//! Turns music into a data set: decodes each song, cuts it into clips, and records why files are left out.
//!
//! Songs are decoded by several threads and stored in the order of artist and name, so the same music gives the same
//! bytes. A song becomes consecutive clips from its start; the rest after the last whole clip is dropped. The rules
//! that need the audio apply in this order: unreadable, samples that are not finite or far over full scale, too long,
//! shorter than one clip, silence (clip by clip, by [`Level`](leitmotif::audio::Level)), duplicate audio, maximum per
//! artist, too few songs of an artist. Where each clip is a file of its own (MagnaTagATune), files are cut or padded to
//! one length; unreadable ones and those shorter than nine tenths of it are left out, but silent ones are kept, as
//! published sets are kept complete.

mod damage;
mod decode;
mod error;
mod journal;
mod left_out_csv;
mod ordered_map;
mod parts;
mod plan;
mod report;
mod run;
mod select;

pub use damage::DamagedSong;
pub use error::PrepareError;
pub use parts::{BadPart, Merge, PartError, PartOf, PartReport, PartRun, prepare_part};
pub use plan::{MIN_SONGS, Options, Plan, check_room, plan};
pub use report::{ArtistCount, Report};
pub use run::{Progress, prepare};
