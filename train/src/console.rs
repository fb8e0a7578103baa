//! Log lines on standard error.

/// `eprintln!` that ignores a closed standard error: a line that cannot be written must not stop training.
macro_rules! log {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use log;
