//! Downloads and unpacks Debian packages without installing them or root rights. Only this file uses `apt-get` and
//! `dpkg-deb`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sources::SourceError;

/// The two programs, and the folder for private package lists.
#[derive(Debug)]
pub struct Debian {
    apt_get: OsString,
    dpkg_deb: OsString,
    /// Private lists and caches of apt, for machines without lists and users without root rights.
    apt_folder: PathBuf,
    lists: PackageLists,
}

/// The package lists in use.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PackageLists {
    /// Those of the system.
    System,
    /// Private ones, fetched in this run.
    Private,
    /// Private ones that could not be fetched, so that no package is known to be missing.
    Failed(DownloadError),
}

/// Why a package could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// No archive in apt's lists has it; the message is apt's.
    #[error("{0}")]
    Unknown(String),
    /// It may exist, but the network, the disk or the package failed.
    #[error("{0}")]
    Failed(String),
}

/// Messages of apt for packages that are not in its lists.
const UNKNOWN_MESSAGES: [&str; 2] = ["Unable to locate package", "has no installation candidate"];

impl Debian {
    /// Checks that the programs run. Private package lists are kept in `cache`, which must exist, until this is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoDebianTools`] or [`SourceError::Unwritable`].
    pub fn find(cache: &Path) -> Result<Self, SourceError> {
        Self::with_programs(cache, "apt-get".into(), "dpkg-deb".into())
    }

    /// [`Debian::find`] with other programs instead of `apt-get` and `dpkg-deb`, for tests.
    ///
    /// # Errors
    ///
    /// As [`Debian::find`].
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
        // apt resolves relative paths in its options against its own root.
        let cache = cache
            .canonicalize()
            .map_err(|source| SourceError::Unwritable { path: cache.to_owned(), source })?;
        let apt_folder = cache.join("apt");
        let partial = apt_folder.join("archives/partial");
        std::fs::create_dir_all(&partial)
            .map_err(|source| SourceError::Unwritable { path: partial, source })?;
        Ok(Debian { apt_get, dpkg_deb, apt_folder, lists: PackageLists::System })
    }

    /// Downloads `package` into `folder` and returns the file.
    ///
    /// The system's package lists are used first; where they are missing or stale, private ones are fetched, once per
    /// run.
    ///
    /// # Errors
    ///
    /// [`DownloadError::Unknown`] only where up-to-date lists lack the package; otherwise [`DownloadError::Failed`].
    pub fn download(&mut self, package: &str, folder: &Path) -> Result<PathBuf, DownloadError> {
        let first = self.try_download(package, folder);
        match (&self.lists, first) {
            (_, Ok(file)) => Ok(file),
            (PackageLists::Private, Err(error)) => Err(error),
            (PackageLists::Failed(why), Err(_)) => Err(why.clone()),
            (PackageLists::System, Err(_)) => {
                self.lists = PackageLists::Private;
                if let Err(error) = self.update() {
                    self.lists = PackageLists::Failed(error.clone());
                    return Err(error);
                }
                self.try_download(package, folder)
            }
        }
    }

    fn try_download(&self, package: &str, folder: &Path) -> Result<PathBuf, DownloadError> {
        let failed = |error: std::io::Error| DownloadError::Failed(error.to_string());
        run(self.apt().args(["download", package]).current_dir(folder)).map_err(|message| {
            match UNKNOWN_MESSAGES.iter().any(|words| message.contains(words)) {
                true => DownloadError::Unknown(message),
                false => DownloadError::Failed(message),
            }
        })?;
        let mut files = std::fs::read_dir(folder)
            .map_err(failed)?
            .filter_map(Result::ok)
            .map(|entry| entry.path());
        files
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .ok_or_else(|| DownloadError::Failed("apt-get downloaded no package".to_owned()))
    }

    fn update(&self) -> Result<(), DownloadError> {
        let partial = self.apt_folder.join("lists/partial");
        std::fs::create_dir_all(partial).map_err(|e| DownloadError::Failed(e.to_string()))?;
        // By default apt ignores lists that could not be fetched, and their packages would seem unknown.
        let update = ["-o", "APT::Update::Error-Mode=any", "update"];
        run(self.apt().args(update)).map_err(DownloadError::Failed)
    }

    /// `apt-get` with private caches, quiet, with English messages.
    fn apt(&self) -> Command {
        let option = |name: &str, path: &Path| {
            let mut text = OsString::from(format!("{name}="));
            text.push(path);
            text
        };
        let mut command = Command::new(&self.apt_get);
        command.env("LC_ALL", "C").arg("-qq").args(["-o", "APT::Sandbox::User=root"]);
        command.arg("-o").arg(option("Dir::Cache", &self.apt_folder));
        // Container images disable these files; without them apt parses all lists again for each package.
        for name in ["pkgcache", "srcpkgcache"] {
            command.arg("-o").arg(format!("Dir::Cache::{name}={name}.bin"));
        }
        if self.lists != PackageLists::System {
            command.arg("-o").arg(option("Dir::State::Lists", &self.apt_folder.join("lists")));
        }
        command
    }

    /// Unpacks the file `package` into `folder`.
    ///
    /// # Errors
    ///
    /// [`DownloadError::Failed`] with the message of `dpkg-deb`.
    pub fn unpack(&self, package: &Path, folder: &Path) -> Result<(), DownloadError> {
        run(Command::new(&self.dpkg_deb).arg("-x").arg(package).arg(folder))
            .map_err(DownloadError::Failed)
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        // Package lists are large and soon stale.
        let _ = std::fs::remove_dir_all(&self.apt_folder);
    }
}

/// Runs a command; the error is its last line with an error message.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("E:") || line.contains("error"))
        .map(str::trim)
        .collect();
    match errors.last().copied().or_else(|| stderr.lines().last()) {
        Some(line) if !line.is_empty() => Err(line.to_owned()),
        _ => Err(output.status.to_string()),
    }
}
