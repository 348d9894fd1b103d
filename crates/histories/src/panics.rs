//! Records panics. A tokio runtime catches the panic of a task, so a history would not notice it otherwise.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes [`take`] return the panics from now on. The previous panic hook still runs.
pub fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            let description = format!("a panic{place}: {}", panic.payload_as_str().unwrap_or("no message"));
            // A thread that is ending has no thread-local storage any more, and nothing reads its panic.
            let _ = PANICKED.try_with(|panicked| panicked.borrow_mut().get_or_insert(description).len());
            previous(panic);
        }));
    });
}

/// The first panic on this thread since the last call.
pub fn take() -> Option<String> {
    PANICKED.take()
}
