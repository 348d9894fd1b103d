//! What a person does with the product, on real parts.

mod page;
