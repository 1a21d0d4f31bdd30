//! The command line: it reads the configuration, opens the site and runs one command. It holds no
//! logic.

mod commands;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use cattocdn::config::Config;
use cattocdn::doctor::Doctor;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::{LocalScreener, Screener};
use cattocdn::site;
use cattocdn::site::claim::Claim;
use clap::{Args, Parser, Subcommand};
use probe::Probe;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A tiny cat picture CDN: screens and tags uploads, serves them from caches, and forgets them on time.
///
/// Configured by environment variables and a `.env` file; `.env.sample` explains each.
#[derive(Parser)]
#[command(name = "cattocdn", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Site(SiteCommand),
    /// Measure what viewers get through the caches: hits, latency and size, and why something missed
    ///
    /// Asks for each address once on a new connection and then again on the same one, and for the assets of pages too.
    /// Tells what Cloudflare, CloudFront and other caches say of each answer, and explains every miss. Needs no
    /// configuration, and sends no secret.
    ///
    /// Ends with 0 when caches answered every repeat of what may be cached, with 1 when they did not or an answer was an
    /// error, and with 2 when something could not be fetched.
    Probe(Probe),
    /// Check the configuration and the cloud resources it names, and say how to mend what is wrong
    ///
    /// Looks at the variables, the data folder, the models and the public URL. With a bucket also: whether it can be
    /// reached, is private and lies in the right region, whether versioning is off and a fitting lifecycle rule is there,
    /// whether this machine's clock is right, and whether small objects can be put, got and deleted; two are written under
    /// names of their own and deleted again. With CDNs: whether the token and the distribution are good. Rekognition is asked only with --probe-rekognition, because its calls are
    /// paid. Run it as the user that the server runs as, also while that runs. No secret is
    /// printed.
    ///
    /// Ends with 0 when nothing failed (warnings do not count), with 1 when something did, and with 2 when it could not look.
    Doctor(Doctor),
}

/// What works on the configured site.
#[derive(Subcommand)]
enum SiteCommand {
    /// Serve the site (the default); brings the index up to date first
    Serve,
    /// Delete everything that is past its time, once
    Expire,
    /// Rebuild the index from the stored objects; only while no server runs on this data folder
    ///
    /// Restores every published picture exactly, and every ban. An index that is damaged is put aside, not deleted.
    Reindex,
    /// Delete one picture at once, whoever uploaded it, and have the CDNs forget it
    ///
    /// Waits up to three minutes for the CDNs, then looks at the picture's address and tells what it saw. What is not done by
    /// then is left to the server.
    Takedown {
        /// The 16 characters of its link: https://…/c/ID
        id: String,
    },
    /// Show what was used this month (UTC) of what costs money, and how much may be
    Budget {
        #[command(subcommand)]
        command: Option<BudgetCommand>,
    },
}

#[derive(Subcommand)]
enum BudgetCommand {
    /// Say what was used this month, where you know better; also while a server runs
    ///
    /// Where the index was lost and nothing tells what it had counted, the month counts as spent until this is called.
    Set(SetBudget),
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct SetBudget {
    /// Calls of Amazon Rekognition, as the AWS console tells them under Billing
    #[arg(long, value_name = "N")]
    rekognition_calls: Option<u32>,
    /// Paths invalidated at CloudFront
    #[arg(long, value_name = "N")]
    cloudfront_paths: Option<u32>,
}

/// The most threads for blocking work such as disk access. The index and the decoders have threads
/// of their own.
const BLOCKING_THREADS: usize = 64;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = cattocdn::runtime::allocator::give_back_what_is_freed() {
        complain(&anyhow::Error::from(error).context("the allocator keeps its defaults"));
    }
    let (done, failure) = match cli.command {
        // Probing must work where nothing is configured, and must read no secret. Its exit code 1
        // is not a failure of the command.
        Some(Command::Probe(options)) => (probe(&options), ExitCode::from(2)),
        Some(Command::Doctor(options)) => (doctor(&options), ExitCode::from(2)),
        Some(Command::Site(command)) => (run(command), ExitCode::FAILURE),
        None => (run(SiteCommand::Serve), ExitCode::FAILURE),
    };
    done.unwrap_or_else(|error| {
        complain(&error);
        failure
    })
}

fn probe(probe: &Probe) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock = Clock::default();
    let report = runtime.block_on(probe.run(&|| clock.seconds()));
    let text = if probe.json {
        report.to_json()? + "\n"
    } else {
        report.to_string()
    };
    print(&text)?;
    Ok(ExitCode::from(report.verdict.exit_code()))
}

fn doctor(doctor: &Doctor) -> anyhow::Result<ExitCode> {
    read_dotenv()?;
    cattocdn::runtime::telemetry::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(doctor.run(Config::from_env(), &Clock::default()));
    runtime.shutdown_background();
    let text = if doctor.json {
        report.to_json()? + "\n"
    } else {
        report.to_string()
    };
    print(&text)?;
    Ok(ExitCode::from(report.exit_code()))
}

fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader such as `head` may close the pipe once it has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what stops the start is told to the person at the terminal"
)]
fn complain(error: &anyhow::Error) {
    eprintln!("cattocdn: {error:#}");
}

fn read_dotenv() -> anyhow::Result<()> {
    match dotenvy::dotenv() {
        // The error itself would quote the line, which may hold a secret.
        Err(dotenvy::Error::LineParse(_, position)) => {
            anyhow::bail!("a line of .env cannot be read (at its character {position})")
        }
        Err(error) if !error.not_found() => Err(error).context("cannot read .env"),
        _ => Ok(()),
    }
}

fn run(command: SiteCommand) -> anyhow::Result<ExitCode> {
    read_dotenv()?;
    cattocdn::runtime::telemetry::start()?;
    let config = Config::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let screener = Arc::new(LocalScreener::new(&config.files.models_dir));
        match command {
            SiteCommand::Serve => serve(&config, screener).await,
            SiteCommand::Expire => commands::expire(&config, screener).await,
            SiteCommand::Reindex => commands::reindex(&config, screener).await,
            SiteCommand::Takedown { id } => commands::takedown(&config, screener, &id).await,
            SiteCommand::Budget { command } => commands::budget(&config, screener, command).await,
        }
    });
    // What did not end in time, such as a decoder that was given up, must not keep the process
    // alive.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config, screener: Arc<LocalScreener>) -> anyhow::Result<()> {
    // Missing or damaged models must fail the start, not the first upload.
    if config.screening.needs_local_models() {
        screener.check()?;
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let claim = Claim::take(config)?;
    let state = site::open(config, screener, Clock::default()).await?;
    let listener = TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {} (CATTO_LISTEN)", config.http.listen))?;
    tracing::info!(address = %listener.local_addr()?, url = state.site.public_url, "serving");
    let mut lost = None;
    cattocdn::serve(listener, state, async {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            // What the server wrote from now on would be lost.
            path = claim.lost(&config.files.database_url) => lost = Some(path),
        }
    })
    .await;
    match lost {
        None => Ok(()),
        Some(path) => anyhow::bail!(
            "{} was removed or replaced while the server ran, so it stopped",
            path.display()
        ),
    }
}
