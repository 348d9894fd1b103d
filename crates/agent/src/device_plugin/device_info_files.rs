//! Writes and removes device-info files.

use crate::device_plugin::device_info::{Files, changes};
use crate::device_plugin::pool::Pools;
use std::fs;
use std::io;
use std::path::Path;

/// The largest file that is read. Ours are far smaller.
const LARGEST: u64 = 64 * 1024;

/// Makes the directory have the files of the pools. The result is how many files have changed.
///
/// # Errors
/// If a file cannot be read or changed. The others are tried all the same.
pub fn synchronize(directory: &Path, pools: &Pools) -> io::Result<usize> {
    let changes = changes(pools, &present(directory)?);
    let mut result = Ok(());
    if !changes.write.is_empty() {
        fs::create_dir_all(directory)?;
    }
    for (name, text) in &changes.write {
        // By rename: Multus must not read half a file.
        let (path, next) = (directory.join(name), directory.join(format!(".{name}.new")));
        result = result.and(fs::write(&next, text).and_then(|()| fs::rename(&next, &path)));
    }
    for name in &changes.remove {
        result = result.and(fs::remove_file(directory.join(name)));
    }
    result.map(|()| changes.write.len().saturating_add(changes.remove.len()))
}

fn present(directory: &Path) -> io::Result<Files> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::new()),
        entries => entries?,
    };
    let read = |entry: fs::DirEntry| {
        let is_small = entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST);
        let name = entry.file_name().into_string().ok()?;
        // A file that is no text is none of ours.
        Some((name, if is_small { fs::read_to_string(entry.path()).unwrap_or_default() } else { String::new() }))
    };
    Ok(entries.filter_map(|entry| read(entry.ok()?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_plugin::pool::{Access, Device, Pool};

    #[test]
    fn the_directory_follows_the_pools_and_keeps_the_files_of_others() {
        let directory = std::env::temp_dir().join(format!("multi-eni-devinfo-{}/dp", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let names = || {
            let mut names: Vec<String> = fs::read_dir(&directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        let device = Device { is_healthy: true, numa_node: None, driver: None, access: Access::Interface };
        let pool = Pool::from([("0000:00:06.0".parse().unwrap(), device)]);
        let pools = Pools::from([("example.com/fast".parse().unwrap(), pool)]);
        // Nothing is made for nothing.
        synchronize(&directory, &Pools::new()).unwrap();
        assert!(!directory.exists());
        synchronize(&directory, &pools).unwrap();
        assert_eq!(names(), ["example.com-fast-0000:00:06.0-device.json"]);
        fs::write(directory.join("other.json"), [0xff]).unwrap();
        synchronize(&directory, &Pools::new()).unwrap();
        assert_eq!(names(), ["other.json"]);
    }
}
