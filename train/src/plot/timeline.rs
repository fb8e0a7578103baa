//! A picture of one song: the probability of each artist from its start to its end, in light and dark.

use serde::Deserialize;

use super::charts::{self, Axis, AxisLabels, Chart, ChartArea, ChartError};
use super::page::{HEIGHT, WIDTH, page};

/// Artists with a colour of their own; the others are summed.
const NAMED: usize = 6;
/// Most columns of the picture: shorter segments are averaged, or it would flicker.
const COLUMNS: usize = 120;
/// The last colour of the charts, a grey.
const OTHERS: usize = 7;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// Not a line of `leitmotif recognize --json`.
    #[error("not an answer of `leitmotif recognize --json --timeline`")]
    NotAnAnswer(#[source] serde_json::Error),
    /// The recording could not be recognised.
    #[error("{file} has no answer: {reason}")]
    NoAnswer {
        /// The recording.
        file: String,
        /// Why.
        reason: String,
    },
    /// An answer without its segments.
    #[error("the answer for {file} has no timeline; add --timeline to `leitmotif recognize`")]
    NoTimeline {
        /// The recording.
        file: String,
    },
    /// An answer that names only some of its artists.
    #[error(
        "the answer for {file} names {named} of {classes} artists; add --top {classes} to `leitmotif recognize`"
    )]
    NotAllArtists {
        /// The recording.
        file: String,
        /// Artists named.
        named: usize,
        /// Artists there are.
        classes: usize,
    },
    /// The picture cannot be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
}

/// What a network found in one recording, segment by segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Path of the recording.
    pub file: String,
    /// Seconds of the recording.
    pub seconds: f64,
    /// Artists, in the order of the network's classes.
    pub artists: Vec<String>,
    /// The segments, by rising start.
    pub segments: Vec<Segment>,
}

/// One segment of a recording.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Segment {
    /// Where it begins, in seconds.
    pub start_seconds: f64,
    /// Where it ends.
    pub end_seconds: f64,
    /// One probability for each class.
    pub probabilities: Vec<f64>,
}

/// A line of `leitmotif recognize --json`; other fields are passed over.
#[derive(Deserialize)]
struct AnswerLine {
    file: String,
    error: Option<String>,
    #[serde(default)]
    artists: Vec<Artist>,
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    timeline: Vec<Segment>,
}

#[derive(Deserialize)]
struct Artist {
    class: usize,
    artist: String,
}

impl Timeline {
    /// Reads one line of `leitmotif recognize --json --timeline`.
    ///
    /// # Errors
    /// [`TimelineError`], but for `Chart`.
    pub fn from_json(line: &str) -> Result<Self, TimelineError> {
        let line: AnswerLine = serde_json::from_str(line).map_err(TimelineError::NotAnAnswer)?;
        let AnswerLine { file, error, artists, seconds, timeline: segments } = line;
        if let Some(reason) = error {
            return Err(TimelineError::NoAnswer { file, reason });
        }
        let Some(classes) = segments.first().map(|segment| segment.probabilities.len()) else {
            return Err(TimelineError::NoTimeline { file });
        };
        let mut names = vec![None; classes];
        for Artist { class, artist } in artists {
            if let Some(name) = names.get_mut(class) {
                *name = Some(artist);
            }
        }
        let named = names.iter().flatten().count();
        if named < classes {
            return Err(TimelineError::NotAllArtists { file, named, classes });
        }
        Ok(Timeline { file, seconds, artists: names.into_iter().flatten().collect(), segments })
    }

    /// The picture: areas stacked to 100 %, the likeliest artist of the whole recording at the bottom.
    ///
    /// # Errors
    /// [`TimelineError::Chart`].
    pub fn svg(&self, title: &str) -> Result<String, TimelineError> {
        let (chart, legend) = self.chart(None);
        let best = legend.first().map_or("", |(_, label)| label.as_str());
        let drawing = charts::svg(&chart, &format!("{title}: {best}"))?;
        let legend: Vec<(usize, &str)> =
            legend.iter().map(|(colour, label)| (*colour, label.as_str())).collect();
        Ok(page(title, &[drawing], &legend))
    }

    /// The chart alone, with the colours' meaning; `first` is the class at the bottom, where it is not to be the likeliest.
    pub(crate) fn chart(&self, first: Option<usize>) -> (Chart, Vec<(usize, String)>) {
        let columns = self.columns();
        let mean = |class: usize| {
            columns.iter().filter_map(|c| c.shares.get(class)).sum::<f64>()
                / columns.len().max(1) as f64
        };
        let mut order: Vec<(usize, f64)> =
            (0..self.artists.len()).map(|class| (class, mean(class))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        if let Some(place) = order.iter().position(|(class, _)| Some(*class) == first) {
            order.get_mut(..=place).into_iter().for_each(|until| until.rotate_right(1));
        }
        let (named, others) = order.split_at(order.len().min(NAMED));
        let mut groups: Vec<(usize, String, Vec<usize>)> = Vec::new();
        for (colour, (class, share)) in named.iter().enumerate() {
            let name = self.artists.get(*class).map_or("", String::as_str);
            groups.push((colour, format!("{name}, {:.0} %", 100.0 * share), vec![*class]));
        }
        if !others.is_empty() {
            let share: f64 = others.iter().map(|(_, share)| share).sum();
            let name = format!("{} others, {:.0} %", others.len(), 100.0 * share);
            groups.push((OTHERS, name, others.iter().map(|(class, _)| *class).collect()));
        }
        let mut below = vec![0.0; columns.len()];
        let mut areas = Vec::new();
        for (colour, _, classes) in &groups {
            let mut outline = Vec::new();
            for (column, low) in columns.iter().zip(&mut below) {
                let share: f64 = classes.iter().filter_map(|class| column.shares.get(*class)).sum();
                let high = *low + 100.0 * share;
                outline.extend([(column.start, *low, high), (column.end, *low, high)]);
                *low = high;
            }
            areas.push(ChartArea { colour: *colour, outline });
        }
        let chart = Chart {
            size: (WIDTH, HEIGHT),
            x: Axis {
                label: "time",
                from: 0.0,
                to: self.seconds / 60.0,
                labels: AxisLabels::Clock,
            },
            y: Axis { label: "probability, %", from: 0.0, to: 100.0, ..Axis::default() },
            areas,
            ..Chart::default()
        };
        (chart, groups.into_iter().map(|(colour, label, _)| (colour, label)).collect())
    }

    /// Neighbouring segments averaged into at most [`COLUMNS`] columns.
    fn columns(&self) -> Vec<Column> {
        let each = self.segments.len().div_ceil(COLUMNS).max(1);
        let column = |segments: &[Segment]| {
            let mut shares = vec![0.0; self.artists.len()];
            for segment in segments {
                for (sum, p) in shares.iter_mut().zip(&segment.probabilities) {
                    *sum += p / segments.len() as f64;
                }
            }
            let start = segments.first().map_or(0.0, |segment| segment.start_seconds) / 60.0;
            let end = segments.last().map_or(0.0, |segment| segment.end_seconds) / 60.0;
            Column { start, end, shares }
        };
        self.segments.chunks(each).map(column).collect()
    }
}

/// Some neighbouring segments.
struct Column {
    /// Where they begin and end, in minutes.
    start: f64,
    end: f64,
    /// Mean probability of each class.
    shares: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"file":"a.ogg","artists":[
        {"class":1,"artist":"B & Co","probability":0.7},{"class":0,"artist":"A","probability":0.3}],
        "seconds":4.0,"segments":2,"timeline":[
        {"start_seconds":0.0,"end_seconds":2.0,"window":0,"probabilities":[0.5,0.5]},
        {"start_seconds":2.0,"end_seconds":4.0,"window":0,"probabilities":[0.1,0.9]}]}"#;

    #[test]
    fn the_likeliest_artist_is_named_first_with_its_mean() {
        let timeline = Timeline::from_json(ANSWER).unwrap();
        assert_eq!(timeline.artists, ["A", "B & Co"]);
        let svg = timeline.svg("song <1>").unwrap();
        let (first, second) =
            (svg.find("B &amp; Co, 70 %").unwrap(), svg.rfind("A, 30 %").unwrap());
        assert!(first < second && svg.contains("song &lt;1&gt;"), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark") && !svg.contains("song <1>"));
        // Two areas of two columns each.
        assert_eq!(svg.matches("<polygon").count(), 2);
    }

    #[test]
    fn many_segments_become_few_columns_with_the_same_mean() {
        let mut timeline = Timeline::from_json(ANSWER).unwrap();
        let first = timeline.segments.clone();
        timeline.segments = (0..500).flat_map(|_| first.clone()).collect();
        let columns = timeline.columns();
        assert!(columns.len() <= COLUMNS, "{}", columns.len());
        assert!((columns[0].shares[1] - 0.7).abs() < 0.05);
    }

    #[test]
    fn what_lacks_in_an_answer_is_named() {
        let error = |text: &str| Timeline::from_json(text).unwrap_err().to_string();
        assert!(error("[]").contains("recognize --json --timeline"));
        assert!(error(r#"{"file":"x.mp3","error":"it is empty"}"#).contains("it is empty"));
        assert!(error(r#"{"file":"x.mp3","artists":[]}"#).contains("--timeline"));
        let one = ANSWER.replace(r#"{"class":1,"artist":"B & Co","probability":0.7},"#, "");
        assert!(error(&one).contains("--top 2"));
    }
}
