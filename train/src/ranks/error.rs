//! Why several processes cannot train together, or no longer.

/// An error of a training by several processes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RanksError {
    /// Some of the variables that tell a process its rank are there, but not all.
    #[error(
        "{present} says that this process is one of several, but {missing} is not set: {advice}"
    )]
    Incomplete {
        /// The variable that is set.
        present: String,
        /// The one that is not.
        missing: String,
        /// What it should be.
        advice: &'static str,
    },
    /// A variable that is no number, or not one that is possible.
    #[error("the variable {variable} is `{found}`, but it must be {expected}")]
    Variable {
        /// Its name.
        variable: String,
        /// Its value.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// `--ranks` is not the number of processes that were started.
    #[error(
        "--ranks is {asked}, but {launcher} started {found} processes: leave --ranks out, or start {asked}"
    )]
    OtherCount {
        /// `--ranks`.
        asked: usize,
        /// Processes.
        found: usize,
        /// Who started them.
        launcher: &'static str,
    },
    /// The store at which all meet cannot be opened.
    #[error("cannot {} the store at {address}, at which all ranks meet: {reason}{advice}", if *serves { "open" } else { "reach" })]
    Store {
        /// Host and port.
        address: String,
        /// Whether this process is to hold it.
        serves: bool,
        /// libtorch's reason.
        reason: String,
        /// What to do, after `; `, where it is known.
        advice: String,
    },
    /// Fewer processes than there should be.
    #[error(
        "{} of {size} did not come to {address} within {seconds} seconds; start {size} processes that reach it, \
         or give them longer with --rank-timeout",
        format_ranks(ranks)
    )]
    Missing {
        /// Those that are not there.
        ranks: Vec<usize>,
        /// How many there should be.
        size: usize,
        /// Where they meet.
        address: String,
        /// How long was waited.
        seconds: u64,
    },
    /// Two processes have the same rank.
    #[error(
        "two processes are rank {rank} at {address}: start each rank once, and another run with another MASTER_PORT"
    )]
    Twice {
        /// Their rank.
        rank: usize,
        /// Where they meet.
        address: String,
    },
    /// Processes that were started with other settings, data or versions.
    #[error(
        "rank {rank} has {what} {theirs}, and rank {own} has {ours}: start all ranks with the same options, on the same \
         data, with the same program"
    )]
    Differs {
        /// What differs, e.g. `batch`.
        what: String,
        /// The other rank.
        rank: usize,
        /// Its value.
        theirs: String,
        /// This rank.
        own: usize,
        /// Its value.
        ours: String,
    },
    /// Ranks that no longer run.
    #[error(
        "{} no longer answers: the process was killed or stopped, or its machine cannot be reached ({reason})",
        format_ranks(ranks)
    )]
    Lost {
        /// Their numbers.
        ranks: Vec<usize>,
        /// What libtorch reported.
        reason: String,
    },
    /// Ranks that run, but did not come to a sum in time.
    #[error(
        "{} did not come to a sum of all ranks within {seconds} seconds, which --rank-timeout may lengthen",
        format_ranks(ranks)
    )]
    Slow {
        /// Their numbers.
        ranks: Vec<usize>,
        /// `--rank-timeout`.
        seconds: u64,
    },
    /// Another rank ended with an error, which it printed.
    #[error("rank {rank} ended: {message}")]
    Elsewhere {
        /// Its number.
        rank: usize,
        /// Its error.
        message: String,
    },
    /// A process that `--ranks` started was killed.
    #[error("rank {rank} was killed by signal {signal}")]
    Killed {
        /// Its number.
        rank: usize,
        /// The signal's.
        signal: i32,
    },
    /// A process of `--ranks` cannot be started or waited for.
    #[error("rank {rank} cannot be started or waited for: {reason}")]
    Process {
        /// Its number.
        rank: usize,
        /// The system's reason.
        reason: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// libtorch's collective operations report an error.
    #[error("the ranks cannot exchange values: {message}")]
    Collective {
        /// Its message.
        message: String,
    },
}

/// `rank 1`, or `ranks 1, 2, 5 and 3 more`.
fn format_ranks(ranks: &[usize]) -> String {
    const NAMED: usize = 8;
    let names: Vec<String> = ranks.iter().take(NAMED).map(usize::to_string).collect();
    let more = match ranks.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let word = if ranks.len() == 1 { "rank" } else { "ranks" };
    format!("{word} {}{more}", names.join(", "))
}
