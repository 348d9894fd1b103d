//! The `multi-eni-bench` binary: see [`multi_eni_bench::cli`].

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    multi_eni_bench::cli::main()
}
