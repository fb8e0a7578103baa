//! Many files at once.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::answer::Answer;
use super::call::RecognizeOptions;
use super::cancel::CancelToken;
use super::error::Error;
use super::jobs::Jobs;
use super::recognizer::Recognizer;

/// Recognises many files on several threads, which decode and wait for their turn in the network.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use leitmotif::{Batch, Recognizer};
///
/// let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
/// let files = ["tests/data/audio/mtat.mp3", "missing.mp3"];
/// let mut right = 0;
/// Batch::new(&recognizer).in_order().run(&files, |_, path, answer| {
///     match answer {
///         Ok(answer) => right += answer.segments.min(1),
///         Err(error) => eprintln!("{}: {error}", path.display()),
///     }
///     ControlFlow::Continue(())
/// });
/// assert_eq!(right, 1);
/// # Ok::<(), leitmotif::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Batch {
    recognizer: Recognizer,
    options: RecognizeOptions,
    jobs: usize,
    in_order: bool,
    stop: Option<CancelToken>,
}

impl Batch {
    /// As many files at once as the recognizer has sessions (on a GPU one, unless `with_jobs` says more), each with the
    /// default options.
    pub fn new(recognizer: &Recognizer) -> Self {
        let jobs = recognizer.most_sessions();
        Self {
            recognizer: recognizer.clone(),
            options: RecognizeOptions::default(),
            jobs,
            in_order: false,
            stop: None,
        }
    }

    /// With these options for each file; a time limit is that of one file.
    pub fn with_options(self, options: &RecognizeOptions) -> Self {
        Self { options: options.clone(), ..self }
    }

    /// With this number of files at once, at least one.
    pub fn with_jobs(self, jobs: usize) -> Self {
        Self { jobs: jobs.max(1), ..self }
    }

    /// With results in the order of the files, not as they are there.
    pub fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// With a token that lets the batch end early: once it is cancelled no further file is begun, but those in work are
    /// finished and have results. The options' token cuts them off.
    pub fn with_stop(self, token: &CancelToken) -> Self {
        Self { stop: Some(token.clone()), ..self }
    }

    /// Recognises the files and calls `each`, on this thread, with the number of the file, its path and its answer, until
    /// it breaks or a token is cancelled; files not begun by then have no result. A file that cannot be recognised is an
    /// error of its own and harms no other.
    ///
    /// A panic in `each` ends the batch and goes on to the caller. Where the system refuses threads, there are fewer
    /// files at once.
    pub fn run<P: AsRef<Path> + Sync>(
        &self,
        files: &[P],
        mut each: impl FnMut(usize, &Path, Result<Answer, Error>) -> ControlFlow<()>,
    ) {
        let work = |recognizer: &Recognizer, options: &RecognizeOptions, file: &P| {
            recognizer.recognize_file_with(file, options)
        };
        let each = |number, file: &P, answer| match each(number, file.as_ref(), answer) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(()),
        };
        // An error is the caller's own break.
        let _ = self.run_each(files, work, each);
    }

    /// The same for recordings that are no files: `work` recognises one with the batch's recognizer and options, on any
    /// thread, and `each` takes the result on this one. Returns how many results there were: all, unless a token was
    /// cancelled. A panic in `work` ends the batch, too.
    ///
    /// ```
    /// use leitmotif::{Batch, Recognizer};
    ///
    /// let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
    /// let recordings = [vec![0.1; 20_000], vec![0.2; 30_000]];
    /// let mut seconds = 0.0;
    /// let done = Batch::new(&recognizer).run_each(
    ///     &recordings,
    ///     |recognizer, options, samples| recognizer.recognize_samples_with(samples, options),
    ///     |_number, _samples, answer| {
    ///         seconds += answer?.seconds;
    ///         Ok::<(), leitmotif::Error>(())
    ///     },
    /// )?;
    /// assert_eq!((done, seconds), (2, 3.125));
    /// # Ok::<(), leitmotif::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of `each`, after which no further recording is begun.
    pub fn run_each<I: Sync, T: Send, E>(
        &self,
        recordings: &[I],
        work: impl Fn(&Recognizer, &RecognizeOptions, &I) -> T + Sync,
        mut each: impl FnMut(usize, &I, T) -> Result<(), E>,
    ) -> Result<usize, E> {
        let stopped = || {
            let tokens = [&self.stop, &self.options.cancel];
            tokens.into_iter().flatten().any(CancelToken::is_cancelled)
        };
        let jobs = Jobs { count: self.jobs, in_order: self.in_order, stopped: &stopped };
        let work = |recording: &I| work(&self.recognizer, &self.options, recording);
        jobs.run(recordings, work, |number, result| match recordings.get(number) {
            Some(recording) => each(number, recording, result),
            None => Ok(()),
        })
    }

    /// All answers, in the order of the files. A file that was not begun, since a token was cancelled, has
    /// [`Error::Cancelled`].
    pub fn answers(&self, files: &[PathBuf]) -> Vec<Result<Answer, Error>> {
        let mut answers: Vec<_> = files.iter().map(|_| Err(Error::Cancelled)).collect();
        self.run(files, |number, _, answer| {
            if let Some(place) = answers.get_mut(number) {
                *place = answer;
            }
            ControlFlow::Continue(())
        });
        answers
    }
}
