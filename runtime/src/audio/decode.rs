//! Decodes one file to mono blocks at the file's own rate. Only this module and its parts know symphonia.

mod codec;
mod mix;
mod ogg;
mod open;
mod scale;

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

pub(crate) use self::mix::Mixer;
use self::{codec::Codec, ogg::Ogg};
use super::{
    AudioError, AudioInfo, AudioNote, aac,
    foreign::Foreign,
    limit::{Budget, MOST_BYTES, StopReason, TimeLimit},
    source::{Source, SourceError},
    stream::Stream,
};

/// Largest absolute sample that a damaged packet of a lossy codec may hold; full scale is 1.
const MOST_AMPLITUDE: f32 = 1e6;
/// Consecutive failures of the container before the rest of the file is given up.
const MOST_FAILURES: usize = 64;
/// Packets of AAC that are examined before the first is decoded, and the most bytes of them.
const LOOK_AHEAD: usize = 8;
const LOOK_AHEAD_BYTES: usize = 1 << 20;
/// Smallest size in bytes of a packet of AAC that is not silence.
const NOT_SILENT: usize = 32;
/// Encoder delays that containers count and codecs trim are shorter than this.
const MOST_DELAY: u64 = 8192;
/// Samples of the longest MPEG frame. Encoders disagree on whether the one that holds their tag counts.
const MPEG_FRAME: u64 = 1152;

/// The decoder of one file.
pub(super) struct Decoder {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    track: u32,
    time_base: Option<TimeBase>,
    codec: Codec,
    mixer: Mixer,
    budget: Arc<Budget>,
    limit: TimeLimit,
    /// Packets that were read ahead to examine them.
    ahead: VecDeque<Packet>,
    /// Floats are stored in the file as they are and may be NaN; other codecs cannot hold such numbers.
    float_pcm: bool,
    /// Whether the end of the bytes is that of the audio, though the demuxer expects more.
    to_the_end: bool,
    /// What samples are multiplied with: less than 1 where those of a float file are over full scale.
    gain: f32,
    /// Samples that the file states, to detect that it was cut off.
    stated: Option<u64>,
    /// Whether frames are numbered, as those of FLAC outside of Ogg, and then the number of the next one.
    numbered: bool,
    expected: Option<Timestamp>,
    /// Rate of the last block.
    rate: SampleRate,
    /// Samples decoded so far.
    decoded: u64,
    /// Samples still to be dropped at the start, by the container's edit list or tag.
    skip: u64,
    /// Samples still to be played, if the container states it.
    left: Option<u64>,
    /// The samples decoded last, at most `padding`: they may be padding to drop at the end.
    tail: Vec<f32>,
    /// Samples that an MP3 file's tag asks to drop at the end.
    padding: usize,
    /// If the container is Ogg.
    ogg: Option<Ogg>,
    ended: bool,
    /// The first failure, reported if no packet can be decoded.
    first_failure: Option<String>,
    pub(super) info: AudioInfo,
}

impl Decoder {
    /// Opens a stream of bytes and finds its audio track, without decoding it. Errors name it `path`.
    pub(super) fn open(
        stream: Box<dyn Stream>,
        path: &Path,
        limit: TimeLimit,
    ) -> Result<Self, AudioError> {
        let budget = Arc::new(Budget::new());
        budget.start_work(limit.after(0.0));
        let attempt = AssertUnwindSafe(|| Self::try_open(stream, path, &budget, limit));
        let opened = catch_unwind(attempt).unwrap_or_else(|panic| Err(panicked(path, panic)));
        budget.count_time();
        match budget.take_stop_reason() {
            Some(reason) => Err(stopped(path, reason, budget.seconds())),
            None => opened,
        }
    }

    fn try_open(
        stream: Box<dyn Stream>,
        path: &Path,
        budget: &Arc<Budget>,
        limit: TimeLimit,
    ) -> Result<Self, AudioError> {
        let mut source = Source::new(stream, Arc::clone(budget)).map_err(|error| match error {
            SourceError::Empty => AudioError::Empty { path: path.to_path_buf() },
            SourceError::Truncated => AudioError::Truncated { path: path.to_path_buf() },
            SourceError::Foreign(foreign) => refused(path, foreign),
            SourceError::System(error) => unreadable(path, error),
        })?;
        let (edits, bare, bytes) = (source.take_edits(), source.bare(), source.length());
        let (truncated, to_the_end) = (source.cut(), source.to_the_end());
        let (foreign, mut notes) = (source.take_foreign(), source.take_notes());
        budget.allow_bytes();
        // The demuxer's reason for what it does not know is often a false one.
        let or_foreign = |error: AudioError| match (&foreign, &error) {
            (Some(foreign), AudioError::NoAudio { .. } | AudioError::Truncated { .. }) => {
                refused(path, foreign.clone())
            }
            _ => error,
        };
        let format = open::packets(path, source).map_err(or_foreign)?;
        let (format, gain) = scale::measure(path, format, budget, &mut notes)?;
        let (track, parameters, mut codec) =
            open::choose(path, format.as_ref()).map_err(or_foreign)?;
        let is_aac = parameters.codec == CODEC_ID_AAC;

        let states_length = open::states_length(format.as_ref(), bare);
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
        let ogg = open::is_ogg(format.as_ref()).then(|| Ogg::new(track, bytes));
        let frames = match &ogg {
            Some(ogg) => ogg.stated(),
            None => track.num_frames.filter(|&frames| frames > 0),
        };
        // An edit is counted in units of the whole file, often thousandths of a second, and may end after the track.
        let kept = frames.map(|frames| frames.saturating_sub(if edited { skip } else { 0 }));
        let stated = left.into_iter().chain(kept).min();
        let rate = SampleRate(parameters.sample_rate.unwrap_or(0));
        let seconds = match &ogg {
            Some(_) => frames.filter(|_| rate.0 > 0).map(|frames| rate.seconds(frames)),
            None => duration(track),
        };
        let info = AudioInfo {
            codec: codec.name().to_owned(),
            sample_rate: rate,
            channels: parameters.channels.as_ref().map_or(0, |channels| channels.count()),
            // Fragmented MP4 states zero instead of no length.
            duration_seconds: seconds.filter(|&seconds| states_length && seconds > 0.0),
            skipped_packets: 0,
            lost_seconds: 0.0,
            truncated,
            notes,
        };
        let mut decoder = Self {
            path: path.to_path_buf(),
            track: track.id,
            time_base: track.time_base,
            budget: Arc::clone(budget),
            limit,
            ahead: VecDeque::new(),
            float_pcm: codec::is_float_pcm(parameters),
            gain,
            mixer: Mixer::default(),
            to_the_end,
            stated: stated.filter(|_| states_length),
            // In Ogg, packets only have the positions of their pages, which may be wrong.
            numbered: parameters.codec == CODEC_ID_FLAC && ogg.is_none(),
            expected: None,
            rate,
            decoded: 0,
            skip,
            left,
            tail: Vec::new(),
            padding,
            ogg,
            ended: false,
            first_failure: None,
            info,
            codec,
            format,
        };
        if is_aac {
            decoder.refuse_hidden_replication()?;
        }
        Ok(decoder)
    }

    /// Starts or continues to count time.
    pub(super) fn start_work(&mut self) {
        self.budget.start_work(self.limit.after(self.info.sample_rate.seconds(self.decoded)));
    }

    /// Pauses counting time.
    pub(super) fn pause_work(&mut self) {
        self.budget.count_time();
    }

    pub(super) fn set_time_limit(&mut self, limit: TimeLimit) {
        self.limit = limit;
    }

    /// An error if the time is up.
    fn check_time(&self) -> Result<(), AudioError> {
        if !self.budget.is_out_of_time() {
            return Ok(());
        }
        Err(AudioError::TookTooLong { path: self.path.clone(), seconds: self.budget.seconds() })
    }

    /// Decodes the next packet that holds samples into `mono`, replacing what it held, and returns the block's
    /// own rate; `None` at the end. After an error, it has ended.
    pub(super) fn next_block(
        &mut self,
        mono: &mut Vec<f32>,
    ) -> Result<Option<SampleRate>, AudioError> {
        mono.clear();
        // Not all demuxers and decoders are written for arbitrary bytes.
        let block = catch_unwind(AssertUnwindSafe(|| self.try_next_block(mono)))
            .unwrap_or_else(|panic| Err(panicked(&self.path, panic)));
        let block = match self.budget.take_stop_reason() {
            // An interrupted download whose full length was allocated at once: zeros without end after the audio.
            Some(StopReason::TooManyBytes) if self.decoded > 0 => {
                self.end();
                self.info.truncated = true;
                mono.clear();
                return self.finish(mono);
            }
            Some(reason) => Err(stopped(&self.path, reason, self.budget.seconds())),
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
        while let Some(mut packet) = self.next_packet()? {
            if let Some(ogg) = &mut self.ogg
                && ogg.goes_on(&packet)
            {
                ogg.release(mono);
                self.ahead.push_front(packet);
                self.decoded += mono.len() as u64;
                return Ok(Some(self.rate));
            }
            let beyond = self.ogg.as_mut().map_or(0, |ogg| ogg.untrim(&mut packet));
            self.note_gap(&packet);
            if self.codec.mpeg().is_some_and(|mpeg| mpeg.is_another(&packet.data)) {
                let next = self.next_packet()?;
                let accepted = self.codec.mpeg().is_some_and(|mpeg| {
                    mpeg.accept_another(&packet.data, next.as_ref().map(|next| &*next.data))
                });
                if let Some(next) = next {
                    self.ahead.push_front(next);
                }
                if !accepted {
                    self.skip_packet(&packet, "an MPEG frame is of another kind".to_owned());
                    continue;
                }
                // The tag at the start is that of the previous recording, whose held-back samples are not padding.
                self.padding = 0;
                if !self.tail.is_empty() {
                    self.ahead.push_front(packet);
                    *mono = std::mem::take(&mut self.tail);
                    self.decoded += mono.len() as u64;
                    return Ok(Some(self.rate));
                }
            }
            let (rate, channels) = match self.codec.decode(&packet, &mut self.mixer, mono) {
                Ok(decoded) => decoded,
                Err(reason) => {
                    self.skip_packet(&packet, reason);
                    mono.clear();
                    continue;
                }
            };
            self.note_cancelling(rate);
            self.cut(mono);
            if mono.is_empty() {
                continue;
            }
            // Without an early exit, the compiler vectorises the loop.
            if !mono.iter().fold(true, |valid, sample| valid & is_valid(sample)) {
                if self.float_pcm {
                    let bad = mono.iter().take_while(|sample| is_valid(sample)).count();
                    let seconds = rate.seconds(self.decoded + bad as u64);
                    return Err(AudioError::NotFinite { path: self.path.clone(), seconds });
                }
                let reason = "a packet decodes to samples out of range".to_owned();
                self.skip_packet(&packet, reason);
                mono.clear();
                continue;
            }
            if self.decoded == 0 {
                // Some containers leave both to the codec, and some are wrong.
                self.info.sample_rate = rate;
                self.info.channels = channels;
            }
            self.rate = rate;
            if self.gain < 1.0 {
                mono.iter_mut().for_each(|sample| *sample *= self.gain);
            }
            if let Some(ogg) = &mut self.ogg {
                ogg.hold(beyond, mono);
                if mono.is_empty() {
                    continue;
                }
            }
            self.decoded += mono.len() as u64;
            return Ok(Some(rate));
        }
        self.finish(mono)
    }

    /// The next packet of the track; `None` at the end of the file, wherever that is.
    fn next_packet(&mut self) -> Result<Option<Packet>, AudioError> {
        if let Some(packet) = self.ahead.pop_front() {
            return Ok(Some(packet));
        }
        let mut failures = 0;
        while !self.ended {
            self.check_time()?;
            self.budget.allow_bytes();
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => failures = 0,
                Ok(None) => self.ended = true,
                Err(SymphoniaError::ResetRequired) if self.follow_chain()? => {}
                // Failures of the system stop the budget: any other is the demuxer's own end of data.
                Err(SymphoniaError::IoError(_) | SymphoniaError::ResetRequired) => {
                    self.ended = true;
                    self.info.truncated |= !self.to_the_end;
                }
                Err(error) => {
                    self.note_skipped(error.to_string());
                    failures += 1;
                    if failures == MOST_FAILURES {
                        self.ended = true;
                        self.info.truncated = true;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Continues with the next recording of a chained Ogg file; false if it holds no audio.
    fn follow_chain(&mut self) -> Result<bool, AudioError> {
        if let Some(ogg) = &mut self.ogg {
            ogg.drop_padding();
        }
        open::drop_tags(self.format.as_mut());
        let (track, parameters, codec) = match open::choose(&self.path, self.format.as_ref()) {
            Err(AudioError::NoAudio { .. }) => return Ok(false),
            chosen => chosen?,
        };
        self.codec = codec;
        self.float_pcm = codec::is_float_pcm(parameters);
        self.track = track.id;
        self.time_base = track.time_base;
        let more = self.ogg.as_mut().and_then(|ogg| {
            ogg.start_recording(track);
            ogg.stated()
        });
        self.stated = match (self.stated, more) {
            (Some(before), Some(more)) => Some(before.saturating_add(more)),
            _ => None,
        };
        Ok(true)
    }

    /// Refuses HE-AAC whose configuration does not declare it.
    fn refuse_hidden_replication(&mut self) -> Result<(), AudioError> {
        let mut examined = VecDeque::new();
        // Silence repeats one short packet, which may look like replication by chance: only distinct packets that are
        // not silent count.
        let (mut distinct, mut hidden, mut bytes) = (HashSet::new(), true, 0);
        while distinct.len() < LOOK_AHEAD
            && bytes < LOOK_AHEAD_BYTES
            && let Some(packet) = self.next_packet()?
        {
            bytes += packet.data.len();
            if packet.data.len() >= NOT_SILENT && !distinct.contains(&packet.data) {
                // One packet of AAC-LC in seventy looks like it by chance.
                hidden &= aac::ends_in_replication(&packet.data);
                distinct.insert(packet.data.clone());
            }
            examined.push_back(packet);
            if !hidden {
                break;
            }
        }
        hidden &= distinct.len() >= LOOK_AHEAD / 2;
        self.ahead = examined;
        if hidden { Err(codec::unsupported(&self.path, aac::he())) } else { Ok(()) }
    }

    /// Drops the samples outside of the stretch that the container asks for.
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
            // The last samples so far stay in the tail: they may be padding.
            self.tail.append(mono);
            let ready = self.tail.len().saturating_sub(self.padding);
            mono.extend(self.tail.drain(..ready));
        }
    }

    /// Counts frames that the demuxer dropped silently, if frames are numbered.
    fn note_gap(&mut self, packet: &Packet) {
        if !self.numbered {
            return;
        }
        // A recording cut from a longer one keeps its numbers, so they may begin anywhere.
        let gap = self.expected.and_then(|expected| packet.pts.duration_from(expected));
        if let Some(gap) = gap.filter(|gap| *gap > Duration::ZERO) {
            self.skip_duration(gap, "frames of it are missing".to_owned());
        }
        self.expected = packet.pts.checked_add(packet.dur);
    }

    /// Keeps the note on channels that cancel each other up to date.
    fn note_cancelling(&mut self, rate: SampleRate) {
        let seconds = self.mixer.cancelled_seconds(rate);
        if seconds > 0.0 {
            self.info.notes.retain(|note| !matches!(note, AudioNote::Cancelling { .. }));
            self.info.notes.push(AudioNote::Cancelling { seconds });
        }
    }

    fn note_skipped(&mut self, reason: String) {
        self.info.skipped_packets += 1;
        self.first_failure.get_or_insert(reason);
    }

    fn skip_packet(&mut self, packet: &Packet, reason: String) {
        self.skip_duration(packet.dur, reason);
    }

    fn skip_duration(&mut self, duration: Duration, reason: String) {
        let length = self.time_base.and_then(|base| base.calc_duration(duration));
        self.info.lost_seconds += length.map_or(0.0, |length| length.as_secs_f64());
        self.note_skipped(reason);
    }

    fn finish(&mut self, mono: &mut Vec<f32>) -> Result<Option<SampleRate>, AudioError> {
        if let Some(reason) = self.codec.mpeg().and_then(|mpeg| mpeg.unreadable()) {
            return Err(AudioError::Damaged { path: self.path.clone(), reason });
        }
        if let Some(ogg) = &mut self.ogg {
            if !self.info.truncated {
                ogg.drop_padding();
            }
            ogg.release(mono);
            if !mono.is_empty() {
                self.decoded += mono.len() as u64;
                return Ok(Some(self.rate));
            }
        }
        let missed = (self.info.lost_seconds * f64::from(self.info.sample_rate.0)) as u64;
        let tail = std::mem::take(&mut self.tail);
        let found = self.decoded + missed + tail.len() as u64;
        // The tag's padding applies only if the file is as long as its tag states: another file may have been appended,
        // or the end may be missing. Then the held-back samples are not padding.
        let whole = self.stated.map(|stated| stated + self.padding as u64);
        if whole.is_some_and(|whole| whole.abs_diff(found) > MPEG_FRAME) && !tail.is_empty() {
            *mono = tail;
            self.decoded += mono.len() as u64;
            return Ok(Some(self.info.sample_rate));
        }
        if self.decoded == 0 {
            let path = self.path.clone();
            return Err(match self.first_failure.take() {
                Some(reason) => AudioError::Damaged { path, reason },
                None if self.info.truncated => AudioError::Truncated { path },
                None => AudioError::NoAudio { path },
            });
        }
        // Damage is known in seconds, not in samples.
        let exact = self.codec.has_no_delay() && self.info.skipped_packets == 0;
        let most = self.decoded + missed + if exact { 0 } else { MOST_DELAY };
        let lost = self.stated.map_or(0, |stated| stated.saturating_sub(most));
        let has_room = self.ogg.as_ref().is_none_or(|ogg| ogg.has_room(lost, self.decoded));
        self.info.truncated |= lost > 0 && has_room;
        Ok(None)
    }
}

fn is_valid(sample: &f32) -> bool {
    (-MOST_AMPLITUDE..=MOST_AMPLITUDE).contains(sample)
}

fn unreadable(path: &Path, source: io::Error) -> AudioError {
    AudioError::Unreadable { path: path.to_path_buf(), source }
}

/// The error for a file of a format that is not decoded.
fn refused(path: &Path, foreign: Foreign) -> AudioError {
    if foreign.is_audio {
        return codec::unsupported(path, foreign.format);
    }
    AudioError::NotAudio { path: path.to_path_buf(), format: foreign.format }
}

/// The error for reading that was stopped below the demuxer, which may have replaced or hidden it.
fn stopped(path: &Path, reason: StopReason, seconds: f64) -> AudioError {
    let path = path.to_path_buf();
    match reason {
        StopReason::TooManyBytes => AudioError::TooLarge { path, mebibytes: MOST_BYTES >> 20 },
        StopReason::OutOfTime => AudioError::TookTooLong { path, seconds },
        StopReason::System(source) => AudioError::Unreadable { path, source },
    }
}

fn panicked(path: &Path, panic: Box<dyn Any + Send>) -> AudioError {
    let message = match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => {
            panic.downcast::<&str>().map_or_else(|_| String::new(), |text| text.to_string())
        }
    };
    let reason = format!("its decoder panicked: {message}");
    AudioError::Damaged { path: path.to_path_buf(), reason }
}

fn duration(track: &Track) -> Option<f64> {
    let seconds = track.time_base?.calc_duration(track.duration?)?.as_secs_f64();
    seconds.is_finite().then_some(seconds)
}
