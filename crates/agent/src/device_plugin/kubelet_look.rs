//! Looks at kubelet's directory for `doctor`: whether a plugin could make its socket there, and whether kubelet answers. A connection is
//! opened and closed; nothing is registered.

use crate::device_plugin::doctor::{SeenKubelet, SeenSocket};
use crate::device_plugin::socket::kubelet_path;
use crate::pci_sysfs::file_names;
use nix::unistd::{AccessFlags, access};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// What is in the directory.
pub fn look(directory: &Path) -> SeenKubelet {
    let path = kubelet_path(directory);
    let socket = match UnixStream::connect(&path) {
        Ok(_) => SeenSocket::Answers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => SeenSocket::Missing,
        Err(error) => SeenSocket::Silent(error.to_string()),
    };
    let may_write = access(directory, AccessFlags::W_OK | AccessFlags::X_OK).map_err(|error| error.desc().to_owned());
    let others = file_names(directory)
        .into_iter()
        .filter(|name| name.ends_with(".sock") && path.file_name() != Some(name.as_ref()));
    SeenKubelet { path: path.display().to_string(), socket, may_write, others: others.collect() }
}
