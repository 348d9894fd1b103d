//! Tells when something changes in kubelet's directory. An event says only that it is time to look. A thread waits for the events, as for
//! those of netlink: it ends with the value.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

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
    events: mpsc::Receiver<()>,
    /// The thread sees when this end is closed.
    _stop: UnixStream,
}

impl DirectoryEvents {
    /// Watches a directory.
    ///
    /// # Errors
    /// If the directory is not there, or the kernel refuses the watch.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(directory, EVENTS)?;
        let (stop, stopped) = UnixStream::pair()?;
        let (send, events) = mpsc::channel(1);
        std::thread::Builder::new().name("kubelet-directory".to_owned()).spawn(move || {
            if let Err(error) = forward(&inotify, &stopped, &send) {
                tracing::warn!(%error, "the watch of kubelet's directory failed");
            }
        })?;
        Ok(Self { path: directory.to_owned(), inode: inode(directory), events, _stop: stop })
    }

    /// Waits for the next events. All that have come are one. The result is whether there will be more.
    pub async fn wait(&mut self) -> bool {
        self.events.recv().await.is_some()
    }

    /// Whether the watch is of the directory that is there now. One that was removed and made anew needs a new watch.
    pub fn is_current(&self) -> bool {
        self.inode.is_some() && self.inode == inode(&self.path)
    }
}

fn forward(inotify: &Inotify, stopped: &UnixStream, events: &mpsc::Sender<()>) -> Result<(), Errno> {
    loop {
        let mut waiting =
            [PollFd::new(inotify.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        }
        if waiting[1].any() != Some(false) {
            return Ok(());
        }
        let mut buffer = [0; 4096];
        match nix::unistd::read(inotify, &mut buffer) {
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        // A full channel has an event that asks for the same look.
        if let Err(mpsc::error::TrySendError::Closed(())) = events.try_send(()) {
            return Ok(());
        }
    }
}

fn inode(directory: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(directory).ok()?;
    Some((found.dev(), found.ino()))
}
