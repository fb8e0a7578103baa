//! Debian packages without installing them and without being root: the only file that knows `apt-get` and `dpkg-deb`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::SourceError;

/// The two programs, and where package lists of our own may lie.
#[derive(Debug)]
pub struct Debian {
    apt_get: OsString,
    dpkg_deb: OsString,
    /// Private lists and caches of apt, for machines without lists and users without rights.
    apt_folder: PathBuf,
    lists: Lists,
}

/// Which package lists to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    /// Those of the system, where it has some.
    System,
    /// Ours, fetched in this run.
    Private,
}

impl Debian {
    /// Finds the programs; package lists of our own go below `cache`, which must exist.
    pub fn find(cache: &Path) -> Result<Self, SourceError> {
        Self::with_programs(cache, "apt-get".into(), "dpkg-deb".into())
    }

    /// As [`Debian::find`], with other programs in the place of Debian's.
    pub fn with_programs(
        cache: &Path,
        apt_get: OsString,
        dpkg_deb: OsString,
    ) -> Result<Self, SourceError> {
        for program in [&apt_get, &dpkg_deb] {
            let ran = Command::new(program)
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let reason = match ran {
                Ok(status) if status.success() => continue,
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            return Err(SourceError::NoDebianTools {
                program: program.to_string_lossy().into_owned(),
                reason,
            });
        }
        // apt reads its options' folders relative to its own root, so the path is made absolute.
        let cache = cache
            .canonicalize()
            .map_err(|source| SourceError::Unwritable { path: cache.to_owned(), source })?;
        let apt_folder = cache.join("apt");
        let partial = apt_folder.join("archives/partial");
        std::fs::create_dir_all(&partial)
            .map_err(|source| SourceError::Unwritable { path: partial, source })?;
        Ok(Debian { apt_get, dpkg_deb, apt_folder, lists: Lists::System })
    }

    /// Downloads `package` into `folder` and returns the file; on failure, the last thing apt said.
    ///
    /// The system's package lists are asked first; where there are none or they are stale, lists are fetched into the cache, once a run.
    pub fn download(&mut self, package: &str, folder: &Path) -> Result<PathBuf, String> {
        let first = self.try_download(package, folder);
        if first.is_ok() || self.lists == Lists::Private {
            return first;
        }
        self.update()?;
        self.try_download(package, folder)
    }

    fn try_download(&self, package: &str, folder: &Path) -> Result<PathBuf, String> {
        run(self.apt().args(["download", package]).current_dir(folder))?;
        let mut files = std::fs::read_dir(folder)
            .map_err(|error| error.to_string())?
            .filter_map(Result::ok)
            .map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .ok_or_else(|| "apt-get brought no package".to_owned())
    }

    fn update(&mut self) -> Result<(), String> {
        self.lists = Lists::Private;
        let partial = self.apt_folder.join("lists/partial");
        std::fs::create_dir_all(partial).map_err(|error| error.to_string())?;
        run(self.apt().arg("update"))
    }

    /// `apt-get` with caches of its own, quiet, in plain English.
    fn apt(&self) -> Command {
        let option = |name: &str, path: &Path| {
            let mut text = OsString::from(format!("{name}="));
            text.push(path);
            text
        };
        let mut command = Command::new(&self.apt_get);
        command.env("LC_ALL", "C").arg("-qq").args(["-o", "APT::Sandbox::User=root"]);
        command.arg("-o").arg(option("Dir::Cache", &self.apt_folder));
        // Without these files, which container images switch off, apt reads all its lists again for each package.
        for name in ["pkgcache", "srcpkgcache"] {
            command.arg("-o").arg(format!("Dir::Cache::{name}={name}.bin"));
        }
        if self.lists == Lists::Private {
            command.arg("-o").arg(option("Dir::State::Lists", &self.apt_folder.join("lists")));
        }
        command
    }

    /// Unpacks `package` below `folder`.
    pub fn unpack(&self, package: &Path, folder: &Path) -> Result<(), String> {
        run(Command::new(&self.dpkg_deb).arg("-x").arg(package).arg(folder))
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // Larger than some packages, and stale tomorrow.
        let _ = std::fs::remove_dir_all(&self.apt_folder);
    }
}

/// Runs a command; on failure its last lines that speak of an error.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("E:") || line.contains("error"))
        .map(str::trim)
        .collect();
    match errors.last().copied().or_else(|| said.lines().last()) {
        Some(line) if !line.is_empty() => Err(line.to_owned()),
        _ => Err(output.status.to_string()),
    }
}
