//! A view of a run on the terminal: the only file that knows ratatui.
//!
//! Keys are not read, and the terminal stays in its usual mode, so that Ctrl-C is the signal that it is without a view.

use std::fmt;
use std::io::{IsTerminal, Stderr};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph, Widget, Wrap};

use super::board::{Board, Curve};
use crate::console;
use crate::learn::events::{Event, Observer};

/// Steps redraw the view once in so long.
const BETWEEN: Duration = Duration::from_millis(250);
/// Lines below the curves, of numbers and of what was logged.
const LINES: usize = 6;
const COLOURS: [Color; 3] = [Color::Cyan, Color::Yellow, Color::Green];

/// Shows a run on the terminal while it lives; what is logged meanwhile is printed after it.
pub struct View {
    board: Board,
    screen: Screen<CrosstermBackend<Stderr>>,
    began: Instant,
    drawn: Option<Instant>,
}

impl View {
    /// Takes the terminal; `None` where standard error is none.
    pub fn open() -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let view = View {
            board: Board::default(),
            screen: Screen::new(CrosstermBackend::new(std::io::stderr())),
            began: Instant::now(),
            drawn: None,
        };
        enter().then_some(view)
    }

    fn draw(&mut self) {
        let is_on = IS_ON.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_on {
            return;
        }
        self.drawn = Some(Instant::now());
        let memory = memory_stats::memory_stats().map(|of| of.physical_mem as u64);
        let numbers = self.board.numbers(self.began.elapsed(), memory);
        // A terminal that goes away must not end the training: its signal does, where it comes.
        let _ = self.screen.draw(|area, buffer| {
            render(&self.board, &numbers, &console::held(LINES), area, buffer);
        });
    }
}

impl Observer for View {
    fn observe(&mut self, event: &Event<'_>) {
        self.board.observe(event);
        let often = matches!(event, Event::Step(_) | Event::Evaluation(_));
        if !often || self.drawn.is_none_or(|drawn| drawn.elapsed() >= BETWEEN) {
            self.draw();
        }
        if matches!(event, Event::End(_) | Event::Stopped { .. }) {
            leave();
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        leave();
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("board", &self.board).finish_non_exhaustive()
    }
}

/// Whether a view has the terminal. Held while it is drawn, so that nothing is drawn after it was left.
static IS_ON: Mutex<bool> = Mutex::new(false);

fn enter() -> bool {
    static PANICS: Once = Once::new();
    PANICS.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
    if execute!(std::io::stderr(), EnterAlternateScreen, Hide).is_err() {
        return false;
    }
    console::hold();
    *IS_ON.lock().unwrap_or_else(PoisonError::into_inner) = true;
    true
}

/// Gives the terminal back, if a view has it, and prints what was logged meanwhile: at the end, and before a signal or
/// a panic ends the process.
pub(crate) fn leave() {
    // A panic while the view is drawn comes here with the lock held by this very thread.
    for _ in 0..50 {
        match IS_ON.try_lock() {
            Ok(mut is_on) if *is_on => {
                *is_on = false;
                break;
            }
            Ok(_) => return,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    let _ = execute!(std::io::stderr(), LeaveAlternateScreen, Show);
    console::release();
}

/// A terminal's screen. ratatui's own `Terminal` asks the terminal where its cursor is when the size changes, and so
/// would read from standard input.
struct Screen<B> {
    backend: B,
    shown: Buffer,
}

impl<B: Backend> Screen<B> {
    fn new(backend: B) -> Self {
        Screen { backend, shown: Buffer::empty(Rect::ZERO) }
    }

    fn draw(&mut self, render: impl FnOnce(Rect, &mut Buffer)) -> Result<(), B::Error> {
        let size = self.backend.size()?;
        let area = Rect::new(0, 0, size.width, size.height);
        if self.shown.area != area {
            self.backend.clear()?;
            self.shown = Buffer::empty(area);
        }
        let mut next = Buffer::empty(area);
        render(area, &mut next);
        let changes = self.shown.diff(&next);
        self.backend.draw(changes.into_iter())?;
        self.backend.flush()?;
        self.shown = next;
        Ok(())
    }
}

/// Curves, numbers, and `lines`, the newest on top.
fn render(
    board: &Board,
    numbers: &[(&'static str, String)],
    lines: &[String],
    area: Rect,
    buffer: &mut Buffer,
) {
    let [title, gauge, curves, below] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(LINES as u16 + 2),
    ])
    .areas(area);
    Line::from(board.title()).bold().render(title, buffer);
    let (share, text) = board.progress();
    let style = Style::new().fg(Color::Blue);
    Gauge::default().ratio(share).label(text).gauge_style(style).render(gauge, buffer);

    // Beside each other where there is room, below each other where there is not.
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [left, right] = match curves.width >= 2 * curves.height {
        true => Layout::horizontal(halves).areas(curves),
        false => Layout::vertical(halves).areas(curves),
    };
    let losses = board.losses();
    let values = || losses.iter().flat_map(|(_, points)| points).map(|point| point.1);
    let finite = || values().filter(|loss| loss.is_finite());
    let (low, high) = (finite().fold(f64::MAX, f64::min), finite().fold(0.0, f64::max));
    let bounds = if low < high { [0.9 * low, 1.05 * high] } else { [0.0, high.max(1.0)] };
    render_curves("loss", &losses, board.epochs(), (bounds, 2), left, buffer);
    let percent = ([0.0, 100.0], 0);
    render_curves("accuracy, %", &board.accuracies(), board.epochs(), percent, right, buffer);

    let [named, logged] =
        Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(below);
    let inner = Block::bordered().inner(named);
    Block::bordered().render(named, buffer);
    let sides = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]);
    for (pair, row) in numbers.chunks(2).zip(inner.rows()) {
        let cells: [Rect; 2] = sides.areas(row);
        for ((name, value), cell) in pair.iter().zip(cells) {
            let spans = [Span::from(format!("{name} ")).dim(), Span::from(value.as_str())];
            Line::from_iter(spans).render(cell, buffer);
        }
    }
    // The newest first: a long one takes several rows.
    let lines = lines.iter().rev().map(|line| Line::from(line.as_str()));
    let lines = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false });
    lines.block(Block::bordered()).render(logged, buffer);
}

/// Curves between two bounds, whose names are the title's; labels of the y axis have so many decimals.
fn render_curves(
    title: &str,
    curves: &[Curve],
    epochs: f64,
    (bounds, decimals): ([f64; 2], usize),
    area: Rect,
    buffer: &mut Buffer,
) {
    let drawn = || curves.iter().zip(COLOURS).filter(|((_, points), _)| !points.is_empty());
    let names = drawn().map(|((name, _), colour)| Span::from(format!("{name} ")).fg(colour));
    let heading = Line::from_iter([Span::from(format!("{title}: "))].into_iter().chain(names));
    let datasets = drawn().map(|((_, points), colour)| {
        let line = if points.len() > 1 { GraphType::Line } else { GraphType::Scatter };
        Dataset::default().data(points).graph_type(line).marker(Marker::Braille).fg(colour)
    });
    let label = |value: f64| format!("{value:.decimals$}");
    let x = Axis::default().bounds([0.0, epochs]).labels(["0".to_owned(), format!("{epochs}")]);
    let [low, high] = bounds;
    let y = Axis::default().bounds(bounds).labels([low, (low + high) / 2.0, high].map(label));
    Chart::new(datasets.collect())
        .block(Block::bordered().title(heading))
        .x_axis(x)
        .y_axis(y)
        .render(area, buffer);
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::learn::events::{EpochEvent, EvaluationEvent, PartClips, StartEvent, StepEvent};
    use crate::learn::history::EpochRow;

    /// A run in its third epoch of four.
    fn board() -> Board {
        let mut board = Board::default();
        board.observe(&Event::Start(&StartEvent {
            run: "run".into(),
            network: "tiny".into(),
            head: "dense".into(),
            parameters: 12_345,
            artists: 3,
            dataset: "tones".into(),
            split: "song-seed1".into(),
            clips: PartClips { train: 18, validation: 6, test: 12, auxiliary: 0 },
            device: "cpu".into(),
            threads: 2,
            epochs: 4,
            steps_per_epoch: 10,
            ..StartEvent::default()
        }));
        for step in 1..=25 {
            board.observe(&Event::Step(StepEvent {
                epoch: (step as usize - 1) / 10 + 1,
                step,
                learning_rate: 1e-3,
                loss: 2.0 / step as f64,
                mean_loss: 0.125,
                accuracy: 0.75,
                gradient_norm: 0.5,
                clips_per_second: 80.0,
                seconds_left: 75.0,
            }));
            if step % 10 == 0 {
                let epoch = step as usize / 10;
                let accuracy = 0.25 * epoch as f64;
                let row = EpochRow {
                    epoch,
                    step,
                    accuracy,
                    validation_loss: Some(1.0 / epoch as f64),
                    validation_clips: Some(accuracy),
                    validation_songs: Some(accuracy + 0.25),
                    ..EpochRow::default()
                };
                board.observe(&Event::Epoch(EpochEvent { row: &row, best: true, epochs: 4 }));
            }
        }
        board
    }

    fn screen(board: &Board, width: u16, height: u16) -> String {
        let numbers = board.numbers(Duration::from_secs(63), Some(200 << 20));
        let lines = ["epoch 1/4: loss 1.0".to_owned(), "epoch 2/4: loss 0.5".to_owned()];
        let mut screen = Screen::new(TestBackend::new(width, height));
        // Twice: what is there already is not drawn again, and stays.
        for _ in 0..2 {
            screen.draw(|area, buffer| render(board, &numbers, &lines, area, buffer)).unwrap();
        }
        screen.backend.to_string()
    }

    fn draw(board: &Board, width: u16, height: u16) {
        let numbers = board.numbers(Duration::ZERO, None);
        let mut screen = Screen::new(TestBackend::new(width, height));
        screen.draw(|area, buffer| render(board, &numbers, &[], area, buffer)).unwrap();
    }

    #[test]
    fn a_view_has_curves_numbers_and_the_newest_lines() {
        let shown = screen(&board(), 120, 24);
        assert_eq!(shown, include_str!("view.txt"), "\n{shown}");
    }

    #[test]
    fn a_part_that_is_evaluated_is_named_until_it_is_done() {
        let mut board = board();
        board.observe(&Event::Evaluation(EvaluationEvent {
            part: "validation",
            clips: 6,
            done: 4,
        }));
        assert!(screen(&board, 100, 24).contains("validation: 4 of 6 clips evaluated"));
        board.observe(&Event::Step(StepEvent { epoch: 3, step: 26, ..StepEvent::default() }));
        assert!(screen(&board, 100, 24).contains("epoch 3 of 4, step 26"));
    }

    #[test]
    fn any_size_of_a_terminal_will_do() {
        for (width, height) in [(0, 0), (1, 1), (20, 60), (30, 5), (300, 100)] {
            draw(&board(), width, height);
            draw(&Board::default(), width, height);
        }
    }
}
