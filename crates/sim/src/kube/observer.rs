//! Eyes on the store: every change of an object at the moment at which it is stored, and who wrote it.

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
    /// What it was.
    pub before: Option<&'a Value>,
    /// What it is; None: it is gone.
    pub after: Option<&'a Value>,
}

/// Is told every change, in order, while the server is locked: it must not call into it.
pub type Observer = Box<dyn FnMut(&ObjectChange<'_>) + Send>;

/// The place of the observer, and of the name of who writes now.
#[derive(Default)]
pub(crate) struct Eyes {
    pub actor: String,
    pub observer: Option<Observer>,
}

impl std::fmt::Debug for Eyes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Eyes").field("actor", &self.actor).field("observer", &self.observer.is_some()).finish()
    }
}
