//! The `multi-eni` binary: the controller and the tools for its operator.

/// An idle minute of a large cluster is answers of EC2 and heartbeats of Nodes: many small pieces of memory, taken and given back. Its
/// settings are those of `JEMALLOC_SYS_WITH_MALLOC_CONF` in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    multi_eni_controller::cli::main()
}
