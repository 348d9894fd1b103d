//! `multi-eni`: the controller and its operator's tools.

fn main() -> std::process::ExitCode {
    multi_eni_controller::cli::main()
}
