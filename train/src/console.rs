//! Lines for people, on standard error.

/// `eprintln!` that goes on where standard error is closed: the work is worth more than the line.
macro_rules! log {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use log;
