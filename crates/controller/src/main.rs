//! The `multi-eni` binary: the controller and the tools for its operator.

fn main() -> std::process::ExitCode {
    multi_eni_controller::cli::main()
}
