//! Debian packages without installing them and without being root: the only file that knows `apt-get` and `dpkg-deb`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::SourceError;

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
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lists {
    /// Those of the system, where it has some.
    System,
    /// Ours, fetched in this run.
    Private,
    /// Ours, which could not be fetched: they know nothing for certain.
    Failed(DownloadError),
}

/// Why a package is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// No archive that apt knows has it; the last thing apt said.
    #[error("{0}")]
    Unknown(String),
    /// It may exist, but could not be brought: network, disk, a damaged package.
    #[error("{0}")]
    Failed(String),
}

/// What apt says of packages that its lists do not hold.
const UNKNOWN: [&str; 2] = ["Unable to locate package", "has no installation candidate"];

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

    /// Downloads `package` into `folder` and returns the file.
    ///
    /// The system's package lists are asked first; where there are none or they are stale, lists are fetched into the cache, once a run.
    ///
    /// # Errors
    /// `Unknown` only where lists that are up to date do not hold the package.
    pub fn download(&mut self, package: &str, folder: &Path) -> Result<PathBuf, DownloadError> {
        let first = self.try_download(package, folder);
        match (&self.lists, first) {
            (_, Ok(file)) => Ok(file),
            (Lists::Private, Err(error)) => Err(error),
            (Lists::Failed(why), Err(_)) => Err(why.clone()),
            (Lists::System, Err(_)) => {
                self.lists = Lists::Private;
                if let Err(error) = self.update() {
                    self.lists = Lists::Failed(error.clone());
                    return Err(error);
                }
                self.try_download(package, folder)
            }
        }
    }

    fn try_download(&self, package: &str, folder: &Path) -> Result<PathBuf, DownloadError> {
        let failed = |error: std::io::Error| DownloadError::Failed(error.to_string());
        run(self.apt().args(["download", package]).current_dir(folder)).map_err(|said| {
            match UNKNOWN.iter().any(|words| said.contains(words)) {
                true => DownloadError::Unknown(said),
                false => DownloadError::Failed(said),
            }
        })?;
        let mut files = std::fs::read_dir(folder)
            .map_err(failed)?
            .filter_map(Result::ok)
            .map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .ok_or_else(|| DownloadError::Failed("apt-get brought no package".to_owned()))
    }

    fn update(&self) -> Result<(), DownloadError> {
        let partial = self.apt_folder.join("lists/partial");
        std::fs::create_dir_all(partial).map_err(|e| DownloadError::Failed(e.to_string()))?;
        // Without this option a list that could not be fetched is no error, and its packages look unknown.
        let update = ["-o", "APT::Update::Error-Mode=any", "update"];
        run(self.apt().args(update)).map_err(DownloadError::Failed)
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
        if self.lists != Lists::System {
            command.arg("-o").arg(option("Dir::State::Lists", &self.apt_folder.join("lists")));
        }
        command
    }

    /// Unpacks `package` below `folder`.
    pub fn unpack(&self, package: &Path, folder: &Path) -> Result<(), DownloadError> {
        run(Command::new(&self.dpkg_deb).arg("-x").arg(package).arg(folder))
            .map_err(DownloadError::Failed)
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
