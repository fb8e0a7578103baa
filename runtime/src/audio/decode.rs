//! One file in, mono blocks at the file's own rate out. Only this module and its parts know symphonia.

mod codec;
mod open;

use std::{
    any::Any,
    collections::{HashSet, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use leitmotif_models::SampleRate;
use symphonia::core::{
    codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_FLAC},
    errors::Error as SymphoniaError,
    formats::{FormatReader, Track},
    packet::Packet,
    units::{Duration, TimeBase, Timestamp},
};

use self::codec::{Codec, Failure};
use super::{
    AudioError, AudioInfo, aac,
    limit::{Guard, TimeLimit, Trouble},
    source::{Flaw, Source, Stream},
};

/// Full scale is 1; a float file may exceed it, but nothing a million times as loud is sound.
const ABSURD: f32 = 1e6;
/// Failures of the container in a row before the rest of the file is given up.
const PATIENCE: usize = 64;
/// Bytes that a file's headers may take to read, and then each packet; symphonia may hold two copies. The tables
/// of a day of AAC in MP4 are two thirds of it.
const BYTES: u64 = 24 << 20;
/// Packets of AAC that are looked at before the first is decoded, and bytes of them at most.
const LOOK_AHEAD: usize = 8;
const LOOK_AHEAD_BYTES: usize = 1 << 20;
/// Bytes from which on a packet of AAC holds more than silence.
const SOUND: usize = 32;
/// Encoder delays that containers count and codecs trim stay below this.
const SLACK: u64 = 8192;
/// Samples of the longest MPEG frame. Encoders disagree on whether the one that holds their tag counts.
const MPEG_FRAME: u64 = 1152;

/// A file under decoding.
pub(super) struct Decoder {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    track: u32,
    time_base: Option<TimeBase>,
    codec: Codec,
    guard: Arc<Guard>,
    limit: TimeLimit,
    /// Packets taken from the container to look at them.
    ahead: VecDeque<Packet>,
    /// Floats come from the file as they are and may be NaN; other codecs never hold such numbers.
    float_pcm: bool,
    /// Samples the file promised, for noticing that it was cut off.
    promised: Option<u64>,
    /// Whether frames are numbered, as those of FLAC, and where the next one then begins.
    numbered: bool,
    expected: Option<Timestamp>,
    /// Of MPEG, what the last frame was.
    mpeg_kind: Option<[u8; 3]>,
    /// Rate of the last block.
    rate: SampleRate,
    heard: u64,
    /// Seconds of the packets that were passed over.
    missed: f64,
    /// Samples at the start that the container asks to drop and that the decoder does not.
    skip: u64,
    /// Samples after those that it asks to hear, where it says.
    left: Option<u64>,
    /// The samples decoded last, as many as an MP3 file's tag asks to drop at its end.
    tail: Vec<f32>,
    /// How many those are.
    padding: usize,
    ended: bool,
    /// The first thing that went wrong, kept for the case that nothing goes right.
    complaint: Option<String>,
    pub(super) info: AudioInfo,
}

impl Decoder {
    /// Opens a stream of bytes and finds its audio track. Nothing is decoded yet. Errors name it by `path`.
    pub(super) fn open(
        stream: Box<dyn Stream>,
        path: &Path,
        limit: TimeLimit,
    ) -> Result<Self, AudioError> {
        let guard = Arc::new(Guard::new());
        guard.begin(limit.of(0.0));
        let attempt = AssertUnwindSafe(|| Self::try_open(stream, path, &guard, limit));
        let opened = catch_unwind(attempt).unwrap_or_else(|panic| Err(gave_up(path, panic)));
        guard.note_work();
        match guard.take_trouble() {
            Some(trouble) => Err(troubled(path, trouble, guard.seconds())),
            None => opened,
        }
    }

    fn try_open(
        stream: Box<dyn Stream>,
        path: &Path,
        guard: &Arc<Guard>,
        limit: TimeLimit,
    ) -> Result<Self, AudioError> {
        let mut source = Source::new(stream, Arc::clone(guard)).map_err(|flaw| match flaw {
            Flaw::Empty => AudioError::Empty { path: path.to_path_buf() },
            Flaw::Truncated => AudioError::Truncated { path: path.to_path_buf() },
            Flaw::System(error) => unreadable(path, error),
        })?;
        let (edits, bare) = (source.take_edits(), source.bare());
        guard.allow(BYTES);
        let format = open::packets(path, source)?;
        let (track, parameters, mut codec) = open::choose(path, format.as_ref())?;
        let is_aac = parameters.codec == CODEC_ID_AAC;

        let stated = open::states_length(format.as_ref(), bare);
        let (mut skip, mut left, mut padding, mut edited) = (0, None, 0, false);
        if open::is_mp4(format.as_ref()) {
            let edit = edits.iter().find(|(number, _)| *number == track.id);
            if let (Some((_, edit)), Some(rate)) = (edit, parameters.sample_rate) {
                let samples = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
                skip = samples(edit.start);
                left = Some(samples(edit.length)).filter(|&length| length > 0);
                codec.keep_start();
                edited = true;
            }
        } else if open::is_bare_mpeg(format.as_ref()) {
            skip = u64::from(track.delay.unwrap_or(0));
            padding = track.padding.unwrap_or(0) as usize;
        }
        let frames = track.num_frames.filter(|&frames| frames > 0);
        let info = AudioInfo {
            codec: codec.name().to_owned(),
            sample_rate: SampleRate(parameters.sample_rate.unwrap_or(0)),
            channels: parameters.channels.as_ref().map_or(0, |channels| channels.count()),
            // Fragmented MP4 states none, as zero.
            duration_seconds: duration(track).filter(|&seconds| stated && seconds > 0.0),
            skipped_packets: 0,
            truncated: false,
        };
        let mut decoder = Self {
            path: path.to_path_buf(),
            track: track.id,
            time_base: track.time_base,
            guard: Arc::clone(guard),
            limit,
            ahead: VecDeque::new(),
            float_pcm: codec::is_float_pcm(parameters),
            promised: left
                .or(frames.map(|frames| frames.saturating_sub(if edited { skip } else { 0 })))
                .filter(|_| stated),
            numbered: parameters.codec == CODEC_ID_FLAC,
            expected: None,
            mpeg_kind: None,
            rate: SampleRate(parameters.sample_rate.unwrap_or(0)),
            heard: 0,
            missed: 0.0,
            skip,
            left,
            tail: Vec::new(),
            padding,
            ended: false,
            complaint: None,
            info,
            codec,
            format,
        };
        if is_aac {
            decoder.refuse_hidden_replication()?;
        }
        Ok(decoder)
    }

    /// Work begins, and its time counts.
    pub(super) fn work(&mut self) {
        self.guard.begin(self.limit.of(self.info.sample_rate.seconds(self.heard)));
    }

    /// Work rests.
    pub(super) fn rest(&mut self) {
        self.guard.note_work();
    }

    pub(super) fn set_time_limit(&mut self, limit: TimeLimit) {
        self.limit = limit;
    }

    /// The time is up, if it is.
    fn check_time(&self) -> Result<(), AudioError> {
        if !self.guard.late() {
            return Ok(());
        }
        Err(AudioError::TookTooLong { path: self.path.clone(), seconds: self.guard.seconds() })
    }

    /// Decodes the next packet that holds samples into `mono`, replacing what it held, and returns the block's
    /// own rate; `None` at the end. After an error, it has ended.
    pub(super) fn next_block(
        &mut self,
        mono: &mut Vec<f32>,
    ) -> Result<Option<SampleRate>, AudioError> {
        mono.clear();
        // Demuxers and decoders meet arbitrary bytes, and not all of them were written for that.
        let block = catch_unwind(AssertUnwindSafe(|| self.try_next_block(mono)))
            .unwrap_or_else(|panic| Err(gave_up(&self.path, panic)));
        let block = match self.guard.take_trouble() {
            // A download that was given its full length at once and then cut off: zeros without end after the sound.
            Some(Trouble::TooMuch) if self.heard > 0 => {
                self.end();
                self.info.truncated = true;
                mono.clear();
                return self.finish(mono);
            }
            Some(trouble) => Err(troubled(&self.path, trouble, self.guard.seconds())),
            None => block,
        };
        if block.is_err() {
            self.end();
        }
        block
    }

    fn end(&mut self) {
        self.ended = true;
        self.ahead.clear();
    }

    fn try_next_block(&mut self, mono: &mut Vec<f32>) -> Result<Option<SampleRate>, AudioError> {
        while let Some(packet) = self.next_packet()? {
            self.note_gap(&packet);
            if self.joins_another(&packet) {
                let (_, _, codec) = open::choose(&self.path, self.format.as_ref())?;
                self.codec = codec;
                // The tag at the start spoke of the recording before: what waits of it is sound.
                self.padding = 0;
                if !self.tail.is_empty() {
                    self.ahead.push_front(packet);
                    *mono = std::mem::take(&mut self.tail);
                    self.heard += mono.len() as u64;
                    return Ok(Some(self.rate));
                }
            }
            let (rate, channels) = match self.codec.decode(&packet, mono) {
                Ok(decoded) => decoded,
                Err(Failure::System(error)) => return Err(unreadable(&self.path, error)),
                Err(Failure::Packet(reason)) => {
                    self.pass_over_packet(&packet, reason);
                    mono.clear();
                    continue;
                }
            };
            self.cut(mono);
            if mono.is_empty() {
                continue;
            }
            // Without a way out, the loop is a vector operation.
            if !mono.iter().fold(true, |fine, sample| fine & is_sound(sample)) {
                if self.float_pcm {
                    let bad = mono.iter().take_while(|sample| is_sound(sample)).count();
                    let seconds = rate.seconds(self.heard + bad as u64);
                    return Err(AudioError::NotFinite { path: self.path.clone(), seconds });
                }
                let reason = "a packet decodes to numbers that are no sound".to_owned();
                self.pass_over_packet(&packet, reason);
                mono.clear();
                continue;
            }
            if self.heard == 0 {
                // Some containers leave both to the codec, and some are wrong.
                self.info.sample_rate = rate;
                self.info.channels = channels;
            }
            self.heard += mono.len() as u64;
            self.rate = rate;
            return Ok(Some(rate));
        }
        self.finish(mono)
    }

    /// Whether an MPEG frame is of another rate, layer or number of channels than the one before it: files put end to
    /// end. Its decoder takes one kind only.
    fn joins_another(&mut self, packet: &Packet) -> bool {
        let kind = self.codec.mpeg_kind(&packet.data);
        let other = self.mpeg_kind.is_some_and(|before| kind.is_some_and(|kind| kind != before));
        self.mpeg_kind = kind.or(self.mpeg_kind);
        other
    }

    /// The next packet of the track; `None` at the end of the file, wherever that is.
    fn next_packet(&mut self) -> Result<Option<Packet>, AudioError> {
        if let Some(packet) = self.ahead.pop_front() {
            return Ok(Some(packet));
        }
        let mut failures = 0;
        while !self.ended {
            self.check_time()?;
            self.guard.allow(BYTES);
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => failures = 0,
                Ok(None) => self.ended = true,
                Err(SymphoniaError::ResetRequired) if self.follow_chain()? => {}
                Err(SymphoniaError::IoError(error)) if !is_end(&error) => {
                    return Err(unreadable(&self.path, error));
                }
                Err(SymphoniaError::IoError(_) | SymphoniaError::ResetRequired) => {
                    self.ended = true;
                    self.info.truncated = true;
                }
                Err(error) => {
                    self.pass_over(error.to_string());
                    failures += 1;
                    if failures == PATIENCE {
                        self.ended = true;
                        self.info.truncated = true;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Chained Ogg: another recording follows in the same file. Whether it holds sound.
    fn follow_chain(&mut self) -> Result<bool, AudioError> {
        open::forget_tags(self.format.as_mut());
        let (track, parameters, codec) = match open::choose(&self.path, self.format.as_ref()) {
            Err(AudioError::NoAudio { .. }) => return Ok(false),
            chosen => chosen?,
        };
        self.codec = codec;
        self.float_pcm = codec::is_float_pcm(parameters);
        self.track = track.id;
        self.time_base = track.time_base;
        self.numbered = parameters.codec == CODEC_ID_FLAC;
        self.expected = None;
        self.promised = match (self.promised, track.num_frames) {
            (Some(before), Some(more)) => Some(before.saturating_add(more)),
            _ => None,
        };
        Ok(true)
    }

    /// Refuses HE-AAC whose configuration does not say so.
    fn refuse_hidden_replication(&mut self) -> Result<(), AudioError> {
        let mut looked_at = VecDeque::new();
        // Silence is one short packet, again and again, which may look like anything: only different packets of sound count.
        let (mut telling, mut hidden, mut bytes) = (HashSet::new(), true, 0);
        while telling.len() < LOOK_AHEAD
            && bytes < LOOK_AHEAD_BYTES
            && let Some(packet) = self.next_packet()?
        {
            bytes += packet.data.len();
            if packet.data.len() >= SOUND && !telling.contains(&packet.data) {
                // By chance, one in seventy looks like it.
                hidden &= aac::ends_in_replication(&packet.data);
                telling.insert(packet.data.clone());
            }
            looked_at.push_back(packet);
            if !hidden {
                break;
            }
        }
        hidden &= telling.len() >= LOOK_AHEAD / 2;
        self.ahead = looked_at;
        if hidden { Err(codec::unsupported(&self.path, aac::he())) } else { Ok(()) }
    }

    /// Drops what lies outside of the stretch that the container asks for.
    fn cut(&mut self, mono: &mut Vec<f32>) {
        if self.skip > 0 {
            let dropped =
                usize::try_from(self.skip).map_or(mono.len(), |skip| skip.min(mono.len()));
            mono.drain(..dropped);
            self.skip -= dropped as u64;
        }
        if let Some(left) = &mut self.left {
            mono.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= mono.len() as u64;
            if *left == 0 {
                self.ended = true;
                self.ahead.clear();
            }
        }
        if self.padding > 0 {
            // The last samples so far stay in the tail: they may be the ones to drop.
            self.tail.append(mono);
            let ready = self.tail.len().saturating_sub(self.padding);
            mono.extend(self.tail.drain(..ready));
        }
    }

    /// Counts frames that the demuxer dropped unsaid, where their numbers tell.
    fn note_gap(&mut self, packet: &Packet) {
        if !self.numbered {
            return;
        }
        // A recording cut from a longer one keeps its numbers: the first is the beginning.
        let gap = self.expected.and_then(|expected| packet.pts.duration_from(expected));
        if let Some(gap) = gap.filter(|gap| *gap > Duration::ZERO) {
            self.pass_over_duration(gap, "frames of it are missing".to_owned());
        }
        self.expected = packet.pts.checked_add(packet.dur);
    }

    fn pass_over(&mut self, reason: String) {
        self.info.skipped_packets += 1;
        self.complaint.get_or_insert(reason);
    }

    fn pass_over_packet(&mut self, packet: &Packet, reason: String) {
        self.pass_over_duration(packet.dur, reason);
    }

    fn pass_over_duration(&mut self, duration: Duration, reason: String) {
        let length = self.time_base.and_then(|base| base.calc_duration(duration));
        self.missed += length.map_or(0.0, |length| length.as_secs_f64());
        self.pass_over(reason);
    }

    fn finish(&mut self, mono: &mut Vec<f32>) -> Result<Option<SampleRate>, AudioError> {
        let missed = (self.missed * f64::from(self.info.sample_rate.0)) as u64;
        let tail = std::mem::take(&mut self.tail);
        let decoded = self.heard + missed + tail.len() as u64;
        // A tag speaks of the whole file only where the file is as long as the tag says: another may have been
        // appended, or its end may be missing. Then these samples are sound.
        let meant = self.promised.map(|promised| promised + self.padding as u64);
        if meant.is_some_and(|meant| meant.abs_diff(decoded) > MPEG_FRAME) && !tail.is_empty() {
            *mono = tail;
            self.heard += mono.len() as u64;
            return Ok(Some(self.info.sample_rate));
        }
        if self.heard == 0 {
            let path = self.path.clone();
            return Err(match self.complaint.take() {
                Some(reason) => AudioError::Damaged { path, reason },
                None if self.info.truncated => AudioError::Truncated { path },
                None => AudioError::NoAudio { path },
            });
        }
        // Damage is known in seconds, not in samples.
        let exact = self.codec.has_no_delay() && self.info.skipped_packets == 0;
        let whole = self.heard + missed + if exact { 0 } else { SLACK };
        self.info.truncated |= self.promised.is_some_and(|promised| whole < promised);
        Ok(None)
    }
}

fn is_sound(sample: &f32) -> bool {
    (-ABSURD..=ABSURD).contains(sample)
}

fn unreadable(path: &Path, source: io::Error) -> AudioError {
    AudioError::Unreadable { path: path.to_path_buf(), source }
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// What went wrong beneath the demuxer, which may have made another error of it, or none.
fn troubled(path: &Path, trouble: Trouble, seconds: f64) -> AudioError {
    let path = path.to_path_buf();
    match trouble {
        Trouble::TooMuch => AudioError::TooLarge { path, mebibytes: BYTES >> 20 },
        Trouble::TooLong => AudioError::TookTooLong { path, seconds },
        Trouble::System(source) => AudioError::Unreadable { path, source },
    }
}

fn gave_up(path: &Path, panic: Box<dyn Any + Send>) -> AudioError {
    let message = match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => {
            panic.downcast::<&str>().map_or_else(|_| String::new(), |text| text.to_string())
        }
    };
    let reason = format!("its decoder gave up: {message}");
    AudioError::Damaged { path: path.to_path_buf(), reason }
}

fn duration(track: &Track) -> Option<f64> {
    let seconds = track.time_base?.calc_duration(track.duration?)?.as_secs_f64();
    seconds.is_finite().then_some(seconds)
}
