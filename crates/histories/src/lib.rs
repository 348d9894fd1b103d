//! Simulated histories: the real controller, the real clients, and a simulated API server, EC2 and clock, in one
//! process and under one seed.
pub mod chance;
pub mod cli;
pub mod desk;
pub mod entropy;
pub mod generate;
pub mod history;
pub mod oracle;
pub mod replica;
pub mod rest;
pub mod script;
pub mod stage;
pub mod wants;
pub mod witness;
