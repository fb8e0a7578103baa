//! Finds the audio files of a folder, in the same way for preparing and for recognising.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::{Path, PathBuf},
};

/// File name extensions of audio formats. Formats that cannot be decoded are included, so that their files are reported
/// and not skipped.
const EXTENSIONS: [&str; 21] = [
    "aac", "aif", "aifc", "aiff", "ape", "flac", "m4a", "m4b", "mka", "mp2", "mp3", "mp4", "mpc",
    "oga", "ogg", "opus", "spx", "tta", "wav", "wma", "wv",
];

/// The audio files in a folder and below it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct MusicFiles {
    /// Audio files by their extensions, sorted; each real file once, whatever links lead to it.
    pub music: Vec<PathBuf>,
    /// Folders and links that cannot be followed, with the system's reason.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Second names of files that `music` holds: the name, and the real file.
    pub again: Vec<(PathBuf, PathBuf)>,
    /// Number of other files: other extensions, hidden.
    pub others: usize,
}

impl MusicFiles {
    /// Walks through `root` and all folders below. Symbolic links are followed, once each: loops end.
    ///
    /// # Errors
    ///
    /// If `root` itself cannot be read. Folders below it that cannot be read are listed in
    /// [`unreadable`](Self::unreadable), and the walk continues.
    pub fn below(root: &Path) -> io::Result<Self> {
        let mut seen = HashSet::from([root.canonicalize()?]);
        root.read_dir()?;
        let mut found = Self::default();
        let mut folders = vec![root.to_owned()];
        let mut links = Vec::new();
        while let Some(folder) = folders.pop() {
            match sorted(&folder) {
                Ok(entries) => {
                    for (path, is_link) in entries {
                        if is_link {
                            links.push(path);
                        } else {
                            found.take(path, &mut seen, &mut folders);
                        }
                    }
                }
                Err(error) => found.unreadable.push((folder, error)),
            }
            if folders.is_empty() {
                // Links last: a song that lies in the folder itself keeps its own path, whatever links lead to it.
                links.sort();
                for path in std::mem::take(&mut links) {
                    found.take(path, &mut seen, &mut folders);
                }
            }
        }
        found.music.sort();
        Ok(found)
    }

    fn take(&mut self, path: PathBuf, seen: &mut HashSet<PathBuf>, folders: &mut Vec<PathBuf>) {
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let is_folder = match path.metadata() {
            Ok(metadata) => metadata.is_dir(),
            // A link that cannot be followed may lead to a folder of music, whatever its name.
            Err(error) if !hidden && path.is_symlink() => {
                self.unreadable.push((path, error));
                return;
            }
            Err(_) => false,
        };
        if hidden || (!is_folder && !is_music(&path)) {
            self.others += usize::from(!is_folder);
            return;
        }
        match path.canonicalize() {
            Err(error) => self.unreadable.push((path, error)),
            Ok(real) if seen.contains(&real) => {
                if !is_folder {
                    self.again.push((path, real));
                }
            }
            Ok(real) => {
                seen.insert(real);
                if is_folder { folders.push(path) } else { self.music.push(path) }
            }
        }
    }
}

/// Whether a file's extension is that of an audio format.
fn is_music(path: &Path) -> bool {
    let extension = path.extension().map(|name| name.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Entries of a folder by name, each with whether it is a symbolic link.
fn sorted(folder: &Path) -> io::Result<BTreeMap<PathBuf, bool>> {
    folder
        .read_dir()?
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?.is_symlink()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn touch(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn music_is_found_by_its_extension_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/song.FLAC", "a.mp3", "a.mp3.txt", "b/.hidden.mp3", "b/cover.jpg", "none"] {
            touch(folder.path().join(name));
        }
        let found = MusicFiles::below(folder.path()).unwrap();
        assert_eq!(found.music, ["a.mp3", "b/song.FLAC"].map(|name| folder.path().join(name)));
        assert_eq!(found.others, 4);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once_and_loops_end() {
        use std::os::unix::fs::symlink;
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        touch(folder.path().join("album/song.ogg"));
        touch(elsewhere.path().join("far.ogg"));
        symlink(folder.path(), folder.path().join("album/loop")).unwrap();
        symlink(folder.path().join("album/song.ogg"), folder.path().join("a-link.ogg")).unwrap();
        symlink(elsewhere.path(), folder.path().join("far")).unwrap();
        symlink("nowhere", folder.path().join("gone.mp3")).unwrap();
        symlink("in-circles", folder.path().join("in-circles")).unwrap();
        symlink("nowhere", folder.path().join(".hidden")).unwrap();
        let found = MusicFiles::below(folder.path()).unwrap();
        let names = ["album/song.ogg", "far/far.ogg"].map(|name| folder.path().join(name));
        assert_eq!(found.music, names);
        let again: Vec<_> = found.again.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(again, [folder.path().join("a-link.ogg")]);
        let unreadable: Vec<_> = found.unreadable.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(unreadable, ["gone.mp3", "in-circles"].map(|name| folder.path().join(name)));
        assert_eq!(found.others, 1);
    }

    #[test]
    fn a_root_that_is_not_a_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path().join("file.mp3"));
        assert!(MusicFiles::below(&folder.path().join("file.mp3")).is_err());
        assert!(MusicFiles::below(&folder.path().join("gone")).is_err());
    }
}
