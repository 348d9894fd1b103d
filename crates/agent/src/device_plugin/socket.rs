//! The sockets in kubelet's directory: the plugin's own one, and which one kubelet has now.

use crate::device_plugin::registration::{OwnSocket, SocketId};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::UnixListener;

/// Kubelet's socket.
const KUBELET: &str = "kubelet.sock";

/// How many sockets this process has made.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The path of kubelet's socket.
pub fn kubelet_path(directory: &Path) -> PathBuf {
    directory.join(KUBELET)
}

/// Kubelet's socket, if there is one.
pub fn kubelet_id(directory: &Path) -> Option<SocketId> {
    let found = fs::metadata(kubelet_path(directory)).ok().filter(|found| found.file_type().is_socket())?;
    Some(SocketId { inode: (found.dev(), found.ino()), changed: (found.ctime(), found.ctime_nsec()) })
}

/// The plugin's own socket. It is removed with the value, unless another process has replaced it.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl OwnFile {
    /// No socket yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, inode: None }
    }

    /// What is at the path. A file that was there before the plugin counts as nothing: the process that made it has ended, or ends.
    pub fn look(&self) -> OwnSocket {
        match (self.inode, inode(&self.path)) {
            (None, _) | (Some(_), None) => OwnSocket::Missing,
            (Some(own), Some(found)) if own == found => OwnSocket::Ours,
            (Some(_), Some(_)) => OwnSocket::Replaced,
        }
    }

    /// Makes the socket, in the place of what is there. While its listener lives, no other file has its number.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn bind(&mut self) -> io::Result<UnixListener> {
        self.inode = None;
        // By rename: an older agent that saw the path empty would make its own socket there again.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let next = self.path.with_file_name(format!(".{}-{number}.sock", std::process::id()));
        let listener = UnixListener::bind(&next)?;
        // Kubelet is root, and nobody else has anything to ask.
        let placed = fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).and_then(|()| {
            let own = inode(&next);
            fs::rename(&next, &self.path).map(|()| own)
        });
        match placed {
            Ok(own) => self.inode = own,
            Err(error) => {
                // A kubelet that starts may have removed it.
                let _ = fs::remove_file(&next);
                return Err(error);
            }
        }
        Ok(listener)
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.look() == OwnSocket::Ours
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket of the device plugin cannot be removed");
        }
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("multi-eni-socket-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_the_own_one_goes_at_the_end() {
        let path = directory("stale").join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        let mut own = OwnFile::new(path.clone());
        assert_eq!(own.look(), OwnSocket::Missing);
        let _listener = own.bind().unwrap();
        assert_eq!(own.look(), OwnSocket::Ours);
        drop(own);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_newer_process_stays() {
        let path = directory("newer").join("a.sock");
        let mut old = OwnFile::new(path.clone());
        let _old_listener = old.bind().unwrap();
        let mut new = OwnFile::new(path.clone());
        let _new_listener = new.bind().unwrap();
        assert_eq!((old.look(), new.look()), (OwnSocket::Replaced, OwnSocket::Ours));
        drop(old);
        assert_eq!(new.look(), OwnSocket::Ours);
        fs::remove_file(&path).unwrap();
        assert_eq!(new.look(), OwnSocket::Missing);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_no_kubelet() {
        let directory = directory("kubelet");
        assert_eq!(kubelet_id(&directory), None);
        fs::write(kubelet_path(&directory), "").unwrap();
        assert_eq!(kubelet_id(&directory), None);
        fs::remove_file(kubelet_path(&directory)).unwrap();
        let _listener = UnixListener::bind(kubelet_path(&directory)).unwrap();
        let first = kubelet_id(&directory);
        assert!(first.is_some());
        fs::remove_file(kubelet_path(&directory)).unwrap();
        let _again = UnixListener::bind(kubelet_path(&directory)).unwrap();
        assert_ne!(kubelet_id(&directory), first);
    }
}
