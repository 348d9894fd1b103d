//! Stores entries in the configuration file of the SR-IOV network device plugin.

use crate::device_plugin::pool::Pools;
use crate::device_plugin::resource_name::ResourceName;
use crate::device_plugin::sriov_config::{Merged, Unmergeable, merge};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Why the file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The error.
        error: io::Error,
    },
    /// The file cannot be understood.
    #[error("{path} is left as it is: {error}")]
    Content {
        /// The file.
        path: String,
        /// The reason.
        error: Unmergeable,
    },
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whether the file is another one now. The plugin reads it when it starts.
    pub is_changed: bool,
    /// Resources that another entry of the file has.
    pub taken: Vec<ResourceName>,
}

/// What the file would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The agent's entries.
    pub entries: Vec<String>,
    /// Whether the file would be another one.
    pub is_changed: bool,
    /// Resources that another entry of the file has.
    pub taken: Vec<ResourceName>,
}

/// Makes the file have an entry for each pool, and leaves everybody else's as they are.
///
/// # Errors
/// If the file cannot be read, understood or written. It is then as it was.
pub fn store(path: &Path, pools: &Pools) -> Result<Stored, ConfigFileError> {
    let Next { target, text, merged } = next(path, pools)?;
    let is_changed = is_changed(text.as_deref(), &merged);
    if is_changed {
        replace(&target, text.as_deref(), &merged.text).map_err(|error| of_file(path, error))?;
    }
    Ok(Stored { is_changed, taken: merged.taken })
}

/// What [`store`] would make of the file. Nothing is changed.
///
/// # Errors
/// If the file cannot be read or understood.
pub fn preview(path: &Path, pools: &Pools) -> Result<Preview, ConfigFileError> {
    let Next { text, merged, .. } = next(path, pools)?;
    let is_changed = is_changed(text.as_deref(), &merged);
    Ok(Preview { entries: merged.entries, is_changed, taken: merged.taken })
}

/// The file that is to be replaced, its text, and the next one.
struct Next {
    target: PathBuf,
    text: Option<String>,
    merged: Merged,
}

fn next(path: &Path, pools: &Pools) -> Result<Next, ConfigFileError> {
    let (target, text) = read(path).map_err(|error| of_file(path, error))?;
    let content = |error| ConfigFileError::Content { path: path.display().to_string(), error };
    let merged = merge(text.as_deref().unwrap_or_default(), pools).map_err(content)?;
    Ok(Next { target, text, merged })
}

/// Whether the next text is another one. An empty file that is not there stays so.
fn is_changed(text: Option<&str>, merged: &Merged) -> bool {
    text.map_or(!merged.text.is_empty(), |text| text != merged.text)
}

fn of_file(path: &Path, error: io::Error) -> ConfigFileError {
    ConfigFileError::File { path: path.display().to_string(), error }
}

/// The file behind symbolic links, and its text if it is there.
fn read(path: &Path) -> io::Result<(PathBuf, Option<String>)> {
    match fs::canonicalize(path) {
        Ok(target) => Ok((target.clone(), Some(fs::read_to_string(target)?))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path.to_owned(), None)),
        Err(error) => Err(error),
    }
}

/// By rename: the plugin must not read half a file. The next file has the rights of the old one.
fn replace(path: &Path, old: Option<&str>, new: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let next = path.with_extension("json.multi-eni");
    let mut file = fs::File::create(&next)?;
    file.write_all(new.as_bytes())?;
    if old.is_some() {
        file.set_permissions(fs::metadata(path)?.permissions())?;
    }
    file.sync_all()?;
    let is_as_read = match fs::read_to_string(path) {
        Ok(now) => old == Some(&now),
        Err(error) => error.kind() == io::ErrorKind::NotFound && old.is_none(),
    };
    if !is_as_read {
        fs::remove_file(&next)?;
        return Err(io::Error::other("somebody has changed it at the same time"));
    }
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::{Access, Device, Pool};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn pools() -> Pools {
        let driver = Some("ena".to_owned());
        let device = Device { is_healthy: true, numa_node: None, driver, access: Access::Interface };
        let pool = Pool::from([("0000:00:06.0".parse().unwrap(), device)]);
        Pools::from([("example.com/fast".parse().unwrap(), pool)])
    }

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("multi-eni-pcidp-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_file_is_made_changed_and_left_alone() {
        let directory = directory("made");
        let path = directory.join("config.json");
        assert!(!store(&path, &Pools::new()).unwrap().is_changed && !directory.exists());
        let before = preview(&path, &pools()).unwrap();
        assert!(before.is_changed && before.entries.len() == 1 && !directory.exists(), "a preview changes nothing");
        assert!(store(&path, &pools()).unwrap().is_changed);
        assert!(!store(&path, &pools()).unwrap().is_changed);
        assert_eq!(preview(&path, &pools()).unwrap(), Preview { is_changed: false, ..before });
        assert!(store(&path, &Pools::new()).unwrap().is_changed);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn rights_and_symbolic_links_stay() {
        let directory = directory("link");
        fs::create_dir_all(directory.join("real")).unwrap();
        let (real, path) = (directory.join("real/config.json"), directory.join("config.json"));
        fs::write(&real, "{}").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &path).unwrap();
        assert!(store(&path, &pools()).unwrap().is_changed);
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&real).unwrap().contains("0000:00:06.0"));
    }

    #[test]
    fn a_file_that_cannot_be_understood_stays_as_it_is() {
        let directory = directory("half");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("config.json");
        for bytes in [&b"{ half"[..], &[0xff, 0xfe]] {
            fs::write(&path, bytes).unwrap();
            assert!(store(&path, &pools()).is_err());
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        let changed = replace(&path, Some("{}"), "[]").unwrap_err();
        assert!(changed.to_string().contains("at the same time"), "{changed}");
    }
}
