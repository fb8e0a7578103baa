//! What libraries below libtorch read from the environment before `main`: how threads wait, what happens to freed memory.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// OpenMP's variable; its own values are `active` and `passive`.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";
/// What GNU's OpenMP library reads, too.
const SPINS: &str = "GOMP_SPINCOUNT";
/// All of glibc's variables for its allocator begin so.
const ALLOCATOR: &str = "MALLOC_";
/// The newer way to set them.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Keeps freed memory in the process: nothing is mapped and unmapped for a tensor alone, and nothing given back.
/// `mallopt(3)` describes them.
const KEEP_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_MMAP_MAX_", "0"),
    // 1 TiB.
    ("MALLOC_TRIM_THRESHOLD_", "1099511627776"),
    // 64 MiB at a time.
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Lets libtorch's threads sleep while they wait, and lets the process keep the memory of freed tensors, unless the
/// environment says otherwise: starts this program again, in the same process, with the variables set. Returns only
/// where nothing is to be set.
///
/// By default threads spin: beside another busy process they spin away the time of the thread that they wait for. And
/// by default glibc gives back the memory of every large tensor, so that the system clears it anew, page by page, for
/// the next one: half of a CPU's training step. Both libraries read their variables before `main`, so setting them here
/// would come too late.
///
/// # Errors
///
/// The program cannot be started again.
pub fn start_again() -> io::Result<()> {
    let missing = missing(std::env::vars_os());
    if missing.is_empty() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Returns only if it fails.
    Err(again.args(arguments).envs(missing).exec())
}

/// The variables that nobody has chosen. After they are set, none is missing.
fn missing(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(&'static str, &'static str)> {
    let (mut waits, mut memory) = (false, false);
    for (name, value) in variables {
        match name.to_str() {
            Some(WAIT_POLICY | SPINS) => waits = true,
            Some(TUNABLES) => memory |= value.to_string_lossy().contains("glibc.malloc"),
            Some(name) => memory |= name.starts_with(ALLOCATOR),
            None => {}
        }
    }
    let mut missing = Vec::new();
    if !waits {
        missing.push((WAIT_POLICY, "passive"));
    }
    if !memory {
        missing.extend(KEEP_MEMORY);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_beside(set: &[(&str, &str)]) -> Vec<&'static str> {
        let variables = set.iter().map(|(name, value)| (name.into(), value.into()));
        missing(variables).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_somebody_chose_stays_and_nothing_is_missing_twice() {
        let memory = KEEP_MEMORY.map(|(name, _)| name);
        let all = [&[WAIT_POLICY][..], &memory].concat();
        assert_eq!(missing_beside(&[("HOME", "/")]), all);
        assert_eq!(missing_beside(&[(SPINS, "100")]), memory);
        assert_eq!(missing_beside(&[(WAIT_POLICY, "active")]), memory);
        assert_eq!(missing_beside(&[("MALLOC_ARENA_MAX", "1")]), [WAIT_POLICY]);
        assert_eq!(missing_beside(&[(TUNABLES, "glibc.malloc.hugetlb=1")]), [WAIT_POLICY]);
        assert_eq!(missing_beside(&[(TUNABLES, "glibc.cpu.x86_shstk=off")]), all);
        let set = [&[(WAIT_POLICY, "passive")][..], &KEEP_MEMORY].concat();
        assert!(missing_beside(&set).is_empty());
    }
}
