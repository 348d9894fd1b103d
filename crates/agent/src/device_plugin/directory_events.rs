//! Tells when something changes in kubelet's directory. An event says only that it is time to look.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// Files that come and go, and the end of the directory itself.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// The events of a directory.
pub struct DirectoryEvents {
    path: PathBuf,
    inode: Option<(u64, u64)>,
    queue: AsyncFd<OwnedFd>,
}

impl DirectoryEvents {
    /// Watches a directory.
    ///
    /// # Errors
    /// If the directory is not there, or the kernel refuses the watch.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(directory, EVENTS)?;
        let queue = AsyncFd::register(OwnedFd::from(inotify))?;
        Ok(Self { path: directory.to_owned(), inode: inode(directory), queue })
    }

    /// Whether the watch is of the directory that is there now. One that was removed and made anew needs a new watch.
    pub fn is_current(&self) -> bool {
        self.inode.is_some() && self.inode == inode(&self.path)
    }

    /// Waits for the next events. All that have come are one.
    ///
    /// # Errors
    /// If the queue cannot be read.
    pub async fn wait(&self) -> io::Result<()> {
        loop {
            let mut ready = self.queue.readable().await?;
            let mut buffer = [0; 4096];
            match ready.try_io(|queue| Ok(nix::unistd::read(queue.get_ref(), &mut buffer)?)) {
                Ok(read) => return read.map(|_| ()),
                Err(_would_block) => continue,
            }
        }
    }
}

fn inode(directory: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(directory).ok()?;
    Some((found.dev(), found.ino()))
}
