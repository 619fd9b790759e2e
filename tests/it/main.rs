//! The one integration binary: golden vectors, programs, properties.

mod golden;
mod store;
