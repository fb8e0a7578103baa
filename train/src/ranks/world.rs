//! Which of several processes this one is, by the variables of whoever started them.

use std::env;
use std::ops::Range;

use crate::ranks::error::RanksError;

/// Where the ranks meet if nobody says otherwise: c10d's own port.
pub const DEFAULT_PORT: u16 = 29_500;

const LOOPBACK: &str = "127.0.0.1";

/// This process among all that train together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are, at least two.
    pub size: usize,
    /// Its number among those of this machine, from 0.
    pub local_rank: usize,
    /// How many there are on this machine, where the launcher says.
    pub local_size: Option<usize>,
    /// Host of the store at which they meet.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the launcher holds the store; else rank 0 does.
    pub launcher_has_store: bool,
    /// Which attempt this is of a launcher that starts all ranks again after a failure, from 0.
    pub attempt: u64,
    /// Who started it, for messages.
    pub launcher: &'static str,
}

/// The part of the rows of a batch, or of the clips of an evaluation, that a process computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its number, from 0.
    pub rank: usize,
    /// Of how many.
    pub size: usize,
}

impl Share {
    /// Everything.
    pub const WHOLE: Share = Share { rank: 0, size: 1 };

    /// The rows of this process, of so many: as even as can be.
    pub fn rows(self, total: usize) -> Range<usize> {
        let size = self.size.max(1);
        self.rank * total / size..(self.rank + 1) * total / size
    }
}

/// Variables by which a launcher says who is who.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    size: &'static str,
    local_rank: &'static str,
    local_size: &'static str,
    /// Whether these variables are also there where a single process is meant: then `MASTER_ADDR` must be, too.
    is_ambiguous: bool,
}

/// In the order in which they are looked for: the innermost first.
const LAUNCHERS: [Launcher; 5] = [
    Launcher {
        name: "torchrun (or whoever set RANK and WORLD_SIZE)",
        rank: "RANK",
        size: "WORLD_SIZE",
        local_rank: "LOCAL_RANK",
        local_size: "LOCAL_WORLD_SIZE",
        is_ambiguous: false,
    },
    Launcher {
        name: "mpirun",
        rank: "OMPI_COMM_WORLD_RANK",
        size: "OMPI_COMM_WORLD_SIZE",
        local_rank: "OMPI_COMM_WORLD_LOCAL_RANK",
        local_size: "OMPI_COMM_WORLD_LOCAL_SIZE",
        is_ambiguous: false,
    },
    Launcher {
        name: "mpirun",
        rank: "PMI_RANK",
        size: "PMI_SIZE",
        local_rank: "MPI_LOCALRANKID",
        local_size: "MPI_LOCALNRANKS",
        is_ambiguous: true,
    },
    // Of a step, not of an allocation, in whose shell a single process is meant.
    Launcher {
        name: "srun",
        rank: "SLURM_PROCID",
        size: "SLURM_STEP_NUM_TASKS",
        local_rank: "SLURM_LOCALID",
        local_size: "",
        is_ambiguous: true,
    },
    Launcher {
        name: "a Kubernetes job",
        rank: "JOB_COMPLETION_INDEX",
        size: "WORLD_SIZE",
        local_rank: "",
        local_size: "",
        is_ambiguous: true,
    },
];

impl World {
    /// The world that the environment describes; `None` for a single process.
    ///
    /// # Errors
    ///
    /// Variables that are missing, or are no numbers that can be.
    pub fn from_environment() -> Result<Option<Self>, RanksError> {
        Self::of(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, RanksError> {
        let is_set = |name: &str| get(name).is_some();
        let found = LAUNCHERS.iter().find(|launcher| {
            let is_meant = !launcher.is_ambiguous || is_set("MASTER_ADDR");
            is_set(launcher.rank) && is_set(launcher.size) && is_meant
        });
        let Some(launcher) = found else {
            return match get("WORLD_SIZE") {
                Some(size) if size != "1" => Err(RanksError::Incomplete {
                    present: format!("WORLD_SIZE={size}"),
                    missing: "RANK".to_owned(),
                    advice: "the number of this process, from 0",
                }),
                _ => Ok(None),
            };
        };
        let size = number(&get, launcher.size, 1, MOST_RANKS)?.unwrap_or(1);
        if size == 1 {
            return Ok(None);
        }
        let rank = number(&get, launcher.rank, 0, size - 1)?.unwrap_or(0);
        let local_size = number(&get, launcher.local_size, 1, size)?;
        let local_rank = number(&get, launcher.local_rank, 0, MOST_RANKS)?.unwrap_or(0);
        let host = match get("MASTER_ADDR") {
            Some(host) => host,
            None if local_size == Some(size) => LOOPBACK.to_owned(),
            None => {
                return Err(RanksError::Incomplete {
                    present: format!("{}={rank}", launcher.rank),
                    missing: "MASTER_ADDR".to_owned(),
                    advice: "the address of the machine of rank 0, or 127.0.0.1 where all run on one",
                });
            }
        };
        let port = number(&get, "MASTER_PORT", 1, u16::MAX.into())?;
        let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(DEFAULT_PORT);
        let attempt = number(&get, "TORCHELASTIC_RESTART_COUNT", 0, usize::MAX)?.unwrap_or(0);
        Ok(Some(World {
            rank,
            size,
            local_rank,
            local_size,
            host,
            port,
            launcher_has_store: get(AGENT_STORE).as_deref() == Some("True"),
            attempt: attempt as u64,
            launcher: launcher.name,
        }))
    }

    /// The variables by which [`from_environment`](Self::from_environment) finds it again, as `torchrun` sets them.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let agent = if self.launcher_has_store { "True" } else { "False" };
        vec![
            ("RANK", self.rank.to_string()),
            ("WORLD_SIZE", self.size.to_string()),
            ("LOCAL_RANK", self.local_rank.to_string()),
            ("LOCAL_WORLD_SIZE", self.local_size.unwrap_or(self.size).to_string()),
            ("MASTER_ADDR", self.host.clone()),
            ("MASTER_PORT", self.port.to_string()),
            (AGENT_STORE, agent.to_owned()),
            ("TORCHELASTIC_RESTART_COUNT", self.attempt.to_string()),
        ]
    }

    /// A rank of so many on this machine that meet at a store of their launcher.
    pub(crate) fn on_this_machine(rank: usize, size: usize, port: u16) -> Self {
        World {
            rank,
            size,
            local_rank: rank,
            local_size: Some(size),
            host: LOOPBACK.to_owned(),
            port,
            launcher_has_store: true,
            attempt: 0,
            launcher: "fit --ranks",
        }
    }

    /// Its part of everything.
    pub fn share(&self) -> Share {
        Share { rank: self.rank, size: self.size }
    }

    /// Whether this is rank 0, which alone writes and prints.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// Whether this process holds the store.
    pub fn serves(&self) -> bool {
        self.is_first() && !self.launcher_has_store
    }

    /// Host and port of the store.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// By which `torchrun` says that it holds the store.
const AGENT_STORE: &str = "TORCHELASTIC_USE_AGENT_STORE";

/// More than anybody has.
const MOST_RANKS: usize = 65_536;

fn number(
    get: impl Fn(&str) -> Option<String>,
    variable: &str,
    least: usize,
    most: usize,
) -> Result<Option<usize>, RanksError> {
    let Some(found) = get(variable) else { return Ok(None) };
    match found.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(RanksError::Variable {
            variable: variable.to_owned(),
            found,
            expected: format!("a number from {least} to {most}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(variables: &[(&str, &str)]) -> Result<Option<World>, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        World::of(get).map_err(|error| error.to_string())
    }

    #[test]
    fn each_launcher_says_who_a_process_is() {
        let address = [("MASTER_ADDR", "node7"), ("MASTER_PORT", "1234")];
        let of = |own: &[(&'static str, &'static str)]| {
            let found = world(&[own, &address].concat()).unwrap().unwrap();
            (found.rank, found.size, found.local_rank, found.local_size, found.address())
        };
        let at = || "node7:1234".to_owned();
        let torch =
            [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")];
        assert_eq!(of(&torch), (3, 4, 1, Some(2), at()));
        let mpi = [
            ("OMPI_COMM_WORLD_RANK", "1"),
            ("OMPI_COMM_WORLD_SIZE", "3"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
        ];
        assert_eq!(of(&mpi), (1, 3, 1, None, at()));
        let hydra = [
            ("PMI_RANK", "2"),
            ("PMI_SIZE", "3"),
            ("MPI_LOCALRANKID", "0"),
            ("MPI_LOCALNRANKS", "1"),
        ];
        assert_eq!(of(&hydra), (2, 3, 0, Some(1), at()));
        let slurm = [("SLURM_PROCID", "5"), ("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_LOCALID", "1")];
        assert_eq!(of(&slurm), (5, 8, 1, None, at()));
        assert_eq!(
            of(&[("JOB_COMPLETION_INDEX", "1"), ("WORLD_SIZE", "2")]),
            (1, 2, 0, None, at())
        );
    }

    #[test]
    fn torchruns_agent_holds_the_store_and_else_rank_0_does() {
        let own = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "a")];
        let alone = world(&own).unwrap().unwrap();
        assert_eq!((alone.serves(), alone.address()), (true, "a:29500".to_owned()));
        let agent = [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "2")];
        let agent = world(&[&own[..], &agent].concat()).unwrap().unwrap();
        assert_eq!((agent.serves(), agent.attempt), (false, 2));
    }

    #[test]
    fn the_variables_of_a_world_describe_it() {
        let world_of = World::on_this_machine(1, 3, 4321);
        let variables = world_of.variables();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let found = world(&variables).unwrap().unwrap();
        assert_eq!(found, World { launcher: found.launcher, ..world_of });
    }

    #[test]
    fn a_single_process_has_no_world() {
        let slurm = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "1")];
        let step = [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "4")];
        let one = [("RANK", "0"), ("WORLD_SIZE", "1")];
        let pod = [("JOB_COMPLETION_INDEX", "3")];
        for variables in [&[][..], &slurm, &step, &one, &pod, &[("RANK", "7")]] {
            assert_eq!(world(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (variables, message) in [
            (
                &[("WORLD_SIZE", "2")][..],
                "WORLD_SIZE=2 says that this process is one of several, but RANK is not",
            ),
            (
                &[("RANK", "1"), ("WORLD_SIZE", "2")],
                "RANK=1 says that this process is one of several, but MASTER_ADDR",
            ),
            (
                &[("RANK", "2"), ("WORLD_SIZE", "2")],
                "RANK is `2`, but it must be a number from 0 to 1",
            ),
            (&[("RANK", "x"), ("WORLD_SIZE", "2")], "RANK is `x`"),
            (&[("RANK", "0"), ("WORLD_SIZE", "0")], "WORLD_SIZE is `0`"),
            (
                &[
                    ("RANK", "0"),
                    ("WORLD_SIZE", "2"),
                    ("MASTER_ADDR", "a"),
                    ("MASTER_PORT", "99999"),
                ],
                "MASTER_PORT is `99999`, but it must be a number from 1 to 65535",
            ),
        ] {
            let error = world(variables).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn on_one_machine_mpirun_needs_no_address() {
        let mpi = [
            ("OMPI_COMM_WORLD_RANK", "1"),
            ("OMPI_COMM_WORLD_SIZE", "2"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
        ];
        assert_eq!(world(&mpi).unwrap().unwrap().address(), "127.0.0.1:29500");
    }

    #[test]
    fn shares_are_even_and_leave_nothing_out() {
        for (total, size) in [(12, 2), (12, 5), (3, 3), (2, 3), (0, 2)] {
            let rows: Vec<usize> =
                (0..size).flat_map(|rank| Share { rank, size }.rows(total)).collect();
            assert_eq!(rows, (0..total).collect::<Vec<_>>());
            let lengths = (0..size).map(|rank| Share { rank, size }.rows(total).len());
            let (least, most) = (lengths.clone().min().unwrap(), lengths.max().unwrap());
            assert!(most - least <= 1);
        }
        assert_eq!(Share::WHOLE.rows(7), 0..7);
    }
}
