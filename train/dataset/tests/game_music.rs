//! Fetching open game music, with shell scripts instead of `apt-get` and `dpkg-deb`; the packages are tar files.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use leitmotif_dataset::sources::game_music::{self, Debian, MusicSet};
use leitmotif_dataset::sources::{Found, SourceError};
use leitmotif_models::text::hex;
use sha2::{Digest, Sha256};

/// A mirror with two packages, programs that read it, a list of their files, and a cache.
struct Fixture {
    folder: tempfile::TempDir,
    list: String,
}

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture { folder: tempfile::tempdir().unwrap(), list: String::new() };
        fs::create_dir_all(fixture.path("mirror")).unwrap();
        fixture
            .program("dpkg-deb", "[ \"$1\" = --version ] && exit 0\nexec tar -xf \"$2\" -C \"$3\"");
        fixture.program(
            "apt-get",
            &format!(
                "{ARGUMENTS}\ncp \"{}/$package\"_1_all.deb . 2>/dev/null || \
                 {{ echo \"E: Unable to locate package $package\" >&2; exit 100; }}",
                fixture.path("mirror").display()
            ),
        );
        let mut zipped = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zipped.start_file("music/in.ogg", zip::write::SimpleFileOptions::default()).unwrap();
        zipped.write_all(b"inner").unwrap();
        let archive = zipped.finish().unwrap().into_inner();
        fixture.package("alpha", &[("usr/one.ogg", b"one"), ("usr/two.ogg", b"two")]);
        fixture.package(
            "beta",
            &[("usr/pak0.pk3", &archive), ("usr/other.ogg", b"of another version")],
        );
        let mut list =
            "set,package,version,path_in_package,artist,album,title,song_group,duration_s,codec,\
                        sample_rate,channels,license,how_artist_known,sha256,note\n"
                .to_owned();
        for (package, path, content) in [
            ("alpha", "usr/one.ogg", "one"),
            ("alpha", "usr/two.ogg", "two"),
            ("beta", "usr/pak0.pk3!music/in.ogg", "inner"),
            ("beta", "usr/other.ogg", "other"),
            ("beta", "usr/gone.ogg", "gone"),
        ] {
            let hash: String = hex(&Sha256::digest(content));
            list += &format!(
                "small,{package},1,{path},Artist of {package},Album,{path},{path},1.0,vorbis,16000,1,CC0,tag,{hash},\n"
            );
        }
        Fixture { list, ..fixture }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        fs::write(
            self.path(name),
            format!(
                "#!/bin/sh\necho \"{name} $@\" >> \"{}\"\n{script}\n",
                self.path("calls").display()
            ),
        )
        .unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn package(&self, name: &str, files: &[(&str, &[u8])]) {
        let build = self.path(&format!("build-{name}"));
        for (path, content) in files {
            fs::create_dir_all(build.join(path).parent().unwrap()).unwrap();
            fs::write(build.join(path), content).unwrap();
        }
        let file = self.path("mirror").join(format!("{name}_1_all.deb"));
        assert!(
            std::process::Command::new("tar")
                .arg("-cf")
                .arg(file)
                .arg("-C")
                .arg(&build)
                .arg("usr")
                .status()
                .unwrap()
                .success()
        );
    }

    fn find(&self) -> Result<Found, SourceError> {
        let cache = self.path("cache");
        let (apt_get, dpkg_deb) =
            (self.path("apt-get").into_os_string(), self.path("dpkg-deb").into_os_string());
        game_music::find(
            &self.list,
            MusicSet::Small,
            &cache,
            &mut || Debian::with_programs(&cache, apt_get.clone(), dpkg_deb.clone()),
            &mut |_| {},
            &|| false,
        )
    }

    /// Packages requested from `apt-get` since the last call.
    fn downloads(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.path("calls"));
        calls
            .lines()
            .filter(|call| call.contains(" download "))
            .filter_map(|call| call.split(' ').next_back())
            .map(str::to_owned)
            .collect()
    }
}

/// Sets `$package` to the last argument; `--version` and `update` succeed.
const ARGUMENTS: &str = "[ \"$1\" = --version ] && exit 0\n\
                         for package in \"$@\"; do :; done\n\
                         [ \"$package\" = update ] && exit 0";

fn songs(found: &Found) -> Vec<&str> {
    found.tracks.iter().map(|track| track.id.as_str()).collect()
}

fn left_out(found: &Found) -> Vec<(&str, &str)> {
    found.left_out.iter().map(|file| (file.path.as_str(), file.reason.rule())).collect()
}

/// The number of temporary folders in a cache.
fn temporary_folders(cache: &Path) -> usize {
    fs::read_dir(cache)
        .unwrap()
        .filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".fetching")
        })
        .count()
}

const GOOD: [&str; 3] =
    ["alpha/usr/one.ogg", "alpha/usr/two.ogg", "beta/usr/pak0.pk3!music/in.ogg"];

#[test]
fn verified_files_are_kept_and_others_are_reported() {
    let fixture = Fixture::new();
    let found = fixture.find().unwrap();
    assert_eq!(songs(&found), GOOD);
    assert_eq!(
        left_out(&found),
        [("beta/usr/other.ogg", "hash-differs"), ("beta/usr/gone.ogg", "not-in-package")]
    );
    assert_eq!(fs::read(&found.tracks[2].path).unwrap(), b"inner");
    assert_eq!(fixture.downloads(), ["alpha", "beta"]);
    assert!(!fixture.path("cache/beta/usr/pak0.pk3").exists(), "only listed files are kept");
    // Again: nothing is fetched, with the same result.
    let again = fixture.find().unwrap();
    assert_eq!((songs(&again), left_out(&again)), (songs(&found), left_out(&found)));
    assert_eq!(fixture.downloads(), [""; 0]);
}

#[test]
fn a_file_that_changed_in_the_cache_is_fetched_again() {
    let fixture = Fixture::new();
    fixture.find().unwrap();
    fixture.downloads();
    fs::write(fixture.path("cache/alpha/usr/two.ogg"), b"tw0").unwrap();
    assert_eq!(songs(&fixture.find().unwrap()), GOOD);
    assert_eq!(fixture.downloads(), ["alpha"]);
}

#[test]
fn an_interrupted_download_leaves_nothing_incomplete_and_can_be_resumed() {
    let fixture = Fixture::new();
    let whole = fs::read_to_string(fixture.path("apt-get")).unwrap();
    let script = format!(
        "{ARGUMENTS}\n[ $package = beta ] && \
         {{ echo half > beta_1_all.deb; echo 'E: Connection failed' >&2; exit 100; }}\n\
         cp \"{}/$package\"_1_all.deb .",
        fixture.path("mirror").display()
    );
    fixture.program("apt-get", &script);
    let error = fixture.find().unwrap_err().to_string();
    assert!(
        error.starts_with("1 of 2 packages could not be fetched (beta: E: Connection failed)"),
        "{error}"
    );
    assert!(fixture.path("cache/alpha").exists(), "what is fetched is kept");
    assert!(!fixture.path("cache/beta").exists());
    assert_eq!(temporary_folders(&fixture.path("cache")), 0);
    // A killed run leaves its temporary folder; the next one deletes it.
    fs::create_dir_all(fixture.path("cache/.fetching-beta/kept/usr")).unwrap();
    fs::write(fixture.path("cache/.fetching-beta/beta_0_all.deb"), b"half").unwrap();
    fs::write(fixture.path("apt-get"), whole).unwrap();
    fixture.downloads();
    assert_eq!(songs(&fixture.find().unwrap()), GOOD);
    assert_eq!(fixture.downloads(), ["beta"]);
    assert_eq!(temporary_folders(&fixture.path("cache")), 0);
}

#[test]
fn a_package_that_is_in_no_archive_is_left_out_and_the_others_are_used() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.path("mirror/beta_1_all.deb")).unwrap();
    let found = fixture.find().unwrap();
    assert_eq!(songs(&found), GOOD[..2]);
    assert_eq!(found.left_out.len(), 3);
    assert!(left_out(&found).iter().all(|(_, rule)| *rule == "not-fetched"));
    let why = found.left_out[0].reason.to_string();
    assert!(why.ends_with("E: Unable to locate package beta"), "{why}");
}

#[test]
fn a_package_is_not_unknown_where_the_lists_could_not_be_fetched() {
    let fixture = Fixture::new();
    // apt without lists knows no package, and without a network it cannot fetch lists. The second package must not
    // count as unknown either.
    fs::remove_file(fixture.path("mirror/beta_1_all.deb")).unwrap();
    let script = fs::read_to_string(fixture.path("apt-get")).unwrap();
    let online = "[ \"$package\" = update ] && exit 0";
    let offline =
        "[ \"$package\" = update ] && { echo 'E: Could not resolve host' >&2; exit 100; }";
    assert!(script.contains(online));
    fs::write(fixture.path("apt-get"), script.replace(online, offline)).unwrap();
    let error = fixture.find().unwrap_err().to_string();
    assert!(error.contains("(beta: E: Could not resolve host)"), "{error}");
}

#[test]
fn private_package_lists_are_fetched_where_the_system_has_none() {
    let fixture = Fixture::new();
    let mirror = fixture.path("mirror");
    fixture.program(
        "apt-get",
        &format!(
            "{ARGUMENTS}\ncase \"$*\" in \
             *Dir::State::Lists=/*/cache/apt/lists*) cp \"{}/$package\"_1_all.deb . ;; \
             *) echo 'E: No packages found' >&2; exit 100 ;; esac",
            mirror.display()
        ),
    );
    assert_eq!(songs(&fixture.find().unwrap()), GOOD);
    let calls = fs::read_to_string(fixture.path("calls")).unwrap();
    assert_eq!(calls.lines().filter(|call| call.ends_with(" update")).count(), 1, "{calls}");
}

#[test]
fn local_packages_are_not_downloaded() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("cache/debs")).unwrap();
    for name in ["alpha_1_all.deb", "beta_1_all.deb"] {
        fs::copy(fixture.path("mirror").join(name), fixture.path("cache/debs").join(name)).unwrap();
    }
    assert_eq!(songs(&fixture.find().unwrap()), GOOD);
    assert_eq!(fixture.downloads(), [""; 0]);
    assert!(fixture.path("cache/debs/alpha_1_all.deb").exists(), "the user's file is kept");
}

#[test]
fn missing_tools_and_networks_are_errors_with_advice() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.path("dpkg-deb")).unwrap();
    let error = fixture.find().unwrap_err();
    assert!(
        matches!(&error, SourceError::NoDebianTools { program, .. } if program.ends_with("dpkg-deb"))
    );
    assert!(error.to_string().contains("make demo MUSIC=~/Music"), "{error}");
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.path("mirror")).unwrap();
    let error = fixture.find().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "none of the 2 packages could be fetched (E: Unable to locate package alpha)"
        ),
        "{error}"
    );
    assert!(error.contains("make demo MUSIC=~/Music"), "{error}");
}

#[test]
fn two_processes_do_not_share_a_cache() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("cache")).unwrap();
    let lock = fs::File::create(fixture.path("cache/lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(fixture.find(), Err(SourceError::CacheInUse { .. })));
    lock.unlock().unwrap();
    assert!(fixture.find().is_ok());
}
