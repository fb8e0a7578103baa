//! How libtorch's threads wait for each other.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// OpenMP's variable; its own values are `active` and `passive`.
const POLICY: &str = "OMP_WAIT_POLICY";
/// What GNU's OpenMP library reads, too; whoever sets it has chosen.
const SPINS: &str = "GOMP_SPINCOUNT";

/// Lets libtorch's threads sleep while they wait, unless the environment says how they are to wait: starts this program
/// again, in the same process, with `OMP_WAIT_POLICY=passive`. Returns only where that is not needed.
///
/// By default they spin. Beside another busy process they then spin away the time of the thread that they wait for. The
/// variable is read while libtorch's OpenMP library is loaded, before `main`, so setting it here would come too late.
///
/// # Errors
///
/// The program cannot be started again.
pub fn wait_passively() -> io::Result<()> {
    if [POLICY, SPINS].iter().any(|name| std::env::var_os(name).is_some()) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // Returns only if it fails.
    Err(again.args(arguments).env(POLICY, "passive").exec())
}
