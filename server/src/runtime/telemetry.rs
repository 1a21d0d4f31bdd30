//! Logging to standard error, filtered by `RUST_LOG`.

use tracing_subscriber::EnvFilter;

/// The filter that holds where `RUST_LOG` is not set.
const DEFAULT_FILTER: &str = "warn,cattocdn=info";

/// Starts logging. It must be called once, at start.
///
/// # Errors
/// When `RUST_LOG` cannot be parsed.
pub fn start() -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => {
            EnvFilter::try_new(filter).map_err(|error| anyhow::anyhow!("RUST_LOG: {error}"))?
        }
        _ => EnvFilter::new(DEFAULT_FILTER),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    Ok(())
}
