//! The order of lists in EC2's answers where EC2 promises none: with the setting `shuffles_lists`, another one in each answer.

use super::rng::Rng;

/// The order of the lists of one answer.
#[derive(Clone, Debug)]
pub(super) struct ListOrder(Option<Rng>);

impl ListOrder {
    /// The lists stay as they are.
    pub fn as_stored() -> Self {
        Self(None)
    }

    /// A random order, which depends on the seed alone.
    pub fn random(seed: u64) -> Self {
        Self(Some(Rng::new(seed)))
    }

    /// The items in this order.
    pub fn of<T>(&mut self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut items: Vec<T> = items.into_iter().collect();
        if let Some(rng) = &mut self.0 {
            for last in (1..items.len()).rev() {
                let other = rng.between(0, last as u64);
                items.swap(last, usize::try_from(other).unwrap_or(last));
            }
        }
        items
    }

    /// The items in this order after the first, which stays the first.
    pub fn after_first<T>(&mut self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut items = items.into_iter();
        let first = items.next();
        first.into_iter().chain(self.of(items)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_order_has_the_same_items_and_depends_on_the_seed() {
        let sorted: Vec<u32> = (0..20).collect();
        assert_eq!(ListOrder::as_stored().of(0..20), sorted);
        let mut orders: Vec<Vec<u32>> = (0..50).map(|seed| ListOrder::random(seed).of(0..20)).collect();
        assert_eq!(orders[7], ListOrder::random(7).of(0..20));
        let after_first = ListOrder::random(7).after_first(0..20);
        assert!(after_first[0] == 0 && after_first != sorted, "{after_first:?}");
        let firsts: std::collections::BTreeSet<u32> = orders.iter().map(|order| order[0]).collect();
        assert!(firsts.len() > 10, "{firsts:?}");
        orders.iter_mut().for_each(|order| order.sort_unstable());
        assert!(orders.iter().all(|order| *order == sorted));
    }
}
