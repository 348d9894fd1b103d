//! The device indexes that a network card has, by the design's rules. It uses none of the controller's code.

/// Whether a device index is beyond its network card. `cards`: the interfaces of each card of the instance type. Only an instance
/// with several cards counts the indexes of each card; with one card EC2 accepts higher indexes.
pub fn is_beyond_its_card(cards: &[u32], card: i32, index: i32) -> bool {
    let most = usize::try_from(card).ok().and_then(|card| cards.get(card));
    cards.len() > 1 && most.is_some_and(|most| u32::try_from(index).is_ok_and(|index| index >= *most))
}

#[cfg(test)]
mod tests {
    use super::is_beyond_its_card;

    #[test]
    fn an_index_is_counted_by_its_card_only_if_there_are_several() {
        assert!(!is_beyond_its_card(&[8, 8], 1, 7) && !is_beyond_its_card(&[8, 8], 1, 0));
        assert!(is_beyond_its_card(&[8, 8], 1, 8) && is_beyond_its_card(&[8, 4], 1, 4));
        assert!(!is_beyond_its_card(&[15], 0, 20), "EC2 accepts higher indexes with one card");
        assert!(!is_beyond_its_card(&[8, 8], 0, -1), "any free index is right");
        assert!(!is_beyond_its_card(&[8, 8], 2, 9), "there is no such card, which is another reason");
    }
}
