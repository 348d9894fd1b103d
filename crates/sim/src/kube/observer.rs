//! The observer of a server. It receives every change of an object when the change is stored, with the writer.

use serde_json::Value;

use super::resource::GroupResource;

/// One change of one object.
#[derive(Debug)]
pub struct ObjectChange<'a> {
    /// The writer's User-Agent; empty for the server's own methods.
    pub actor: &'a str,
    /// The resource.
    pub resource: &'a GroupResource,
    /// The object's namespace, or empty.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The object before the change. `None`: it is new.
    pub before: Option<&'a Value>,
    /// The object after the change. `None`: it was deleted.
    pub after: Option<&'a Value>,
}

/// Receives all changes in order, while the server is locked. It must not call methods of the server.
pub type Observer = Box<dyn FnMut(&ObjectChange<'_>) + Send>;

/// The observer, if there is one, and the writer of the current request.
#[derive(Default)]
pub(crate) struct WriteObserver {
    pub actor: String,
    pub callback: Option<Observer>,
}

impl std::fmt::Debug for WriteObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteObserver").field("actor", &self.actor).field("callback", &self.callback.is_some()).finish()
    }
}
