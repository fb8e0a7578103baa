//! Where the recordings of an Ogg file end.
//!
//! The granule position of a page counts the samples up to its end. Symphonia trims every page to its position. But
//! positions in mid-stream are often wrong or unknown, and only that of a recording's last page may ask to drop samples
//! (RFC 7845, section 4.4; Vorbis I, A.2). Samples beyond a page's position are therefore held back until it is known
//! whether another page follows.

use symphonia::core::{
    codecs::{CodecParameters, audio::well_known::CODEC_ID_OPUS},
    formats::Track,
    packet::Packet,
    units::Timestamp,
};

pub(super) struct Ogg {
    /// Samples of the recording by its last page's position, `None` without a last page, zero or less if that position
    /// is unknown; and how many of them lie before the first page.
    end: Option<i64>,
    start: i64,
    /// Samples of the recording so far, with those held back.
    decoded: u64,
    held: Vec<f32>,
    /// How many of the latest samples symphonia would have trimmed, over all packets of the page.
    trimmed: u64,
    /// Samples of the last packet.
    last: u64,
    /// Where the next packet begins if it is on the same page.
    next: Timestamp,
    /// Bytes of the file, and those of the packets so far.
    file: u64,
    packets: u64,
}

impl Ogg {
    /// For a file of `file` bytes, and the first of its recordings.
    pub(super) fn new(track: &Track, file: u64) -> Self {
        let mut ogg = Self {
            end: None,
            start: 0,
            decoded: 0,
            held: Vec::new(),
            trimmed: 0,
            last: 0,
            next: Timestamp::ZERO,
            file,
            packets: 0,
        };
        ogg.start_recording(track);
        ogg
    }

    /// Continues with another recording of a chained file.
    pub(super) fn start_recording(&mut self, track: &Track) {
        // The positions of Opus count the samples that the encoder asks to drop at the start; those of Vorbis do not.
        let delay = i64::from(track.delay.unwrap_or(0));
        let opus = matches!(
            &track.codec_params,
            Some(CodecParameters::Audio(audio)) if audio.codec == CODEC_ID_OPUS
        );
        let (before, counted) = if opus { (0, delay) } else { (delay, 0) };
        // Symphonia keeps the last page's position, a signed number, as an unsigned one.
        self.end = track.num_frames.map(|end| (end as i64).saturating_sub(counted));
        // Samples before zero are not dropped, as a first page's position is as often wrong as any; ffmpeg keeps them.
        self.start = track.start_ts.get().saturating_add(before).max(0);
        self.decoded = 0;
    }

    /// Samples of the recording as it states them.
    pub(super) fn stated(&self) -> Option<u64> {
        u64::try_from(self.end?.saturating_sub(self.start)).ok().filter(|&length| length > 0)
    }

    /// Whether `packet` shows that the samples held back are not the end of the recording.
    pub(super) fn goes_on(&self, packet: &Packet) -> bool {
        // The packets beyond a page's position follow each other; the next page begins at that position.
        let same_page = self.trimmed > 0 && packet.pts == self.next;
        !self.held.is_empty() && !same_page
    }

    /// Appends the samples held back to `mono`.
    pub(super) fn release(&mut self, mono: &mut Vec<f32>) {
        self.trimmed = 0;
        mono.append(&mut self.held);
    }

    /// Takes the trim off the end of a packet, and returns it.
    pub(super) fn untrim(&mut self, packet: &mut Packet) -> u64 {
        let trim = std::mem::take(&mut packet.trim_end);
        packet.dur = packet.dur.saturating_add(trim);
        self.packets += packet.data.len() as u64;
        self.next = packet.pts.saturating_add(packet.block_dur());
        trim.get()
    }

    /// Holds back the last samples of a packet: those that symphonia would have trimmed, or those beyond the length.
    pub(super) fn hold(&mut self, trim: u64, mono: &mut Vec<f32>) {
        self.last = mono.len() as u64;
        self.decoded += self.last;
        self.trimmed = if trim > 0 { self.trimmed + trim.min(self.last) } else { 0 };
        let beyond = self.stated().map_or(0, |stated| self.decoded.saturating_sub(stated));
        let held = beyond.max(trim).min(self.last);
        self.held.extend(mono.drain(mono.len() - held as usize..));
    }

    /// Drops the padding at the end of the recording from the samples held back.
    pub(super) fn drop_padding(&mut self) {
        let held = self.held.len() as u64;
        let beyond =
            |stated: u64| self.decoded.checked_sub(stated).filter(|&beyond| beyond <= held);
        let padding = match self.end {
            Some(..=0) => 0,
            end => {
                // Most recordings begin at zero, whatever their first page says.
                let counted = end
                    .and_then(|end| beyond(end.unsigned_abs()))
                    .or_else(|| self.stated().and_then(beyond));
                // If samples are lost, the last page counts from the one before it, whose position may be wrong. But
                // encoders pad by less than a packet.
                let by_page = Some(self.trimmed).filter(|&trimmed| trimmed <= self.last);
                counted.or(by_page).unwrap_or(0)
            }
        };
        self.held.truncate(held.saturating_sub(padding) as usize);
        (self.end, self.trimmed) = (None, 0);
    }

    /// Whether the file has room for `lost` samples besides those `decoded`. Positions may jump by hours where nothing
    /// is missing, but what is missing has its share of the bytes.
    pub(super) fn has_room(&self, lost: u64, decoded: u64) -> bool {
        let rest = self.file.saturating_sub(self.packets) as f64;
        // Half of it, as the bit rate varies.
        rest * decoded as f64 >= 0.5 * lost as f64 * self.packets as f64
    }
}
