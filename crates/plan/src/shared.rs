//! A value that many objects have in common, and that is stored once for all of them. Whoever reads it does not notice.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that can be stored once for several owners. A change of it makes a copy first, so the other owners do not see the change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Shared<T> {
    /// Whether both are stored in one place.
    pub fn is_stored_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// So many different values are shared. A search through them must be cheap.
const MOST: usize = 64;

/// The values that are stored once. It is meant for a kind of value of which there are few different ones.
#[derive(Debug, Default)]
pub struct SharedValues<T>(Vec<Shared<T>>);

impl<T: PartialEq> SharedValues<T> {
    /// Stores a value with an equal one that was given before and still has an owner.
    pub fn store(&mut self, value: &mut Shared<T>) {
        if let Some(same) = self.0.iter().find(|other| *other == value) {
            value.0.clone_from(&same.0);
            return;
        }
        self.0.retain(|other| Arc::strong_count(&other.0) > 1);
        if self.0.len() < MOST {
            self.0.push(value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_stored_once_until_one_of_them_changes() {
        let mut values = SharedValues::default();
        let [mut first, mut second, mut third] = ["a", "a", "b"].map(|text| Shared::from(text.to_owned()));
        [&mut first, &mut second, &mut third].into_iter().for_each(|value| values.store(value));
        assert!(second.is_stored_with(&first) && !third.is_stored_with(&first));
        assert_eq!(*third, "b");
        second.push('c');
        assert_eq!((first.as_str(), second.as_str()), ("a", "ac"));
    }

    #[test]
    fn values_without_an_owner_are_forgotten_and_not_too_many_are_searched() {
        let mut values = SharedValues::default();
        (0..1000).for_each(|number| values.store(&mut Shared::from(number)));
        assert_eq!(values.0.len(), 1, "each was dropped before the next came");
        let mut kept: Vec<Shared<i32>> = (0..1000).map(Shared::from).collect();
        kept.iter_mut().for_each(|value| values.store(value));
        assert_eq!(values.0.len(), MOST);
    }
}
