//! The binary `multi-eni-sim`. Its commands are in [`multi_eni_histories::cli`].

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    multi_eni_histories::cli::main()
}
