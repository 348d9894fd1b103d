//! A JSON file under `--state-dir`, for a ledger: written atomically, and on the disk before the write returns. A file that cannot be
//! read is an error: the agent must not forget what it has changed.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Reads the file. None: there is none.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| io::Error::other(format!("{} cannot be read: {error}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(with_path(path, &error)),
    }
}

/// Writes the file, or removes it if there is nothing to keep.
///
/// # Errors
/// If the file cannot be written. It is then as before.
pub fn write<T: Serialize>(path: &Path, content: Option<&T>) -> io::Result<()> {
    try_write(path, content).map_err(|error| with_path(path, &error))
}

/// Writes the file again if there is something to keep and somebody has removed it. The result is whether it was gone.
///
/// # Errors
/// If the file cannot be seen or written.
pub fn restore<T: Serialize>(path: &Path, content: Option<&T>) -> io::Result<bool> {
    let is_gone = content.is_some() && !path.try_exists().map_err(|error| with_path(path, &error))?;
    if is_gone {
        write(path, content)?;
        tracing::warn!(path = %path.display(), "the ledger was removed while the agent runs; it is written again");
    }
    Ok(is_gone)
}

fn try_write<T: Serialize>(path: &Path, content: Option<&T>) -> io::Result<()> {
    let Some(content) = content else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let next = path.with_extension("json.new");
    let mut file = fs::File::create(&next)?;
    file.write_all(&serde_json::to_vec_pretty(content).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    // The new name, too, has to outlive a crash of the machine.
    match path.parent() {
        Some(directory) => fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
