//! The `multi-eni` binary: the controller and the tools for its operator.

/// An idle minute of a large cluster is answers of EC2 and heartbeats of Nodes: many small pieces of memory, taken and given back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    multi_eni_controller::cli::main()
}
