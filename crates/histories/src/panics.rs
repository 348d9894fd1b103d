//! Panics, wherever they are: a runtime catches those of its tasks, and what is caught would not be a finding.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on [`take`] knows of each panic. What is printed of it is printed all the same.
pub fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            let how = format!("a panic{place}: {}", panic.payload_as_str().unwrap_or("no words"));
            // A thread that ends has nobody left to ask.
            let _ = PANICKED.try_with(|panicked| panicked.borrow_mut().get_or_insert(how).len());
            told(panic);
        }));
    });
}

/// The first panic of this thread since the last time this was asked.
pub fn take() -> Option<String> {
    PANICKED.take()
}
