//! The command line. It reads the configuration, opens the site and runs one command; all logic is
//! elsewhere.

mod commands;
mod judge;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use cattocdn::config::{self, BudgetConfig, Config};
use cattocdn::costs::budget::Paid;
use cattocdn::doctor::Doctor;
use cattocdn::runtime::allocator;
use cattocdn::runtime::clock::Clock;
use cattocdn::screening::{LocalScreener, Screener};
use cattocdn::site;
use cattocdn::site::claim::Claim;
use clap::{Arg, ArgGroup, ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use probe::Probe;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A tiny cat picture CDN: it screens and tags uploads, serves them through caches, and deletes
/// them on time.
///
/// It is configured by environment variables and a `.env` file; `.env.sample` explains each
/// variable.
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
    /// Measure what viewers get through the caches (hits, latency, size), and explain every miss
    ///
    /// Requests each address, and the assets of each page, once on a new connection and then
    /// several times on the same one. Tells what Cloudflare, CloudFront and other caches say about
    /// each answer, and explains every miss. It needs no configuration and sends no secret.
    ///
    /// The exit code is 0 if caches answered every repeat of what may be cached, 1 if they did not
    /// or an answer was an error, and 2 if something could not be fetched.
    Probe(Probe),
    /// Check the configuration and the cloud resources it names, and say how to mend what is wrong
    ///
    /// Checks the variables, the data folder, the models and the public URL. With a bucket it also
    /// checks that the bucket can be reached, is private and lies in the right region, that
    /// versioning is off, that there is a fitting lifecycle rule, that this machine's clock is
    /// right, and that objects can be put, got and deleted: it writes two small objects under names
    /// of their own and deletes them again. With CDNs it checks the token and the distribution. It
    /// asks for a second opinion only with --probe-second-opinion, because that is paid.
    ///
    /// Please run it as the user that the server runs as; the server may be running meanwhile. It
    /// prints no secret.
    ///
    /// The exit code is 0 if nothing failed (warnings do not count), 1 if something did, and 2 if
    /// the checks could not be made.
    Doctor(Doctor),
    /// Judge a folder of pictures as uploads are judged, and count what is accepted and why not
    ///
    /// Looks at every file in the folder and in the folders inside it with the local models and the
    /// configured thresholds, and publishes nothing. Each folder is a row of the table, so sort
    /// your pictures by what they show: cats, dogs, and so on. About ten pictures a second.
    Judge(Judge),
}

#[derive(Args)]
struct Judge {
    /// The folder with the pictures
    folder: PathBuf,
    /// Print a line of JSON for each picture instead of the tables
    #[arg(long)]
    json: bool,
}

/// The commands that work on the configured site.
#[derive(Subcommand)]
enum SiteCommand {
    /// Serve the site (this is the default); first brings the tables of the index up to date
    Serve,
    /// Delete everything whose time is up, once; the server does so by itself
    Expire,
    /// Rebuild the index from the stored objects, while no server runs on this data folder
    ///
    /// Restores every published picture exactly as it was, and every ban. A damaged index is
    /// renamed and not deleted.
    Reindex,
    /// Delete one picture at once, whoever uploaded it, and have the CDNs forget it
    ///
    /// Waits for the CDNs for up to three minutes, then requests the picture's address and tells
    /// what it saw. The server does later what is not done by then.
    Takedown {
        /// The id of the picture: the 16 characters in its link, https://…/c/ID
        id: String,
    },
    /// Show how much was used this month (UTC) of what costs money, and how much may be used
    Budget {
        #[command(subcommand)]
        command: Option<BudgetCommand>,
    },
}

#[derive(Subcommand)]
enum BudgetCommand {
    /// Correct how much was used this month; the server may be running meanwhile
    ///
    /// If the index was lost and its count cannot be restored, the whole month counts as spent
    /// until you say with this command how much was used.
    Set(SetBudget),
}

/// What was used of everything that costs money, for what was told of it.
#[derive(Debug, Clone)]
struct SetBudget(Vec<(Paid, u32)>);

impl Args for SetBudget {
    fn augment_args(command: clap::Command) -> clap::Command {
        let options = kinds().map(|what| {
            Arg::new(what.name)
                .long(what.name)
                .value_name("N")
                .value_parser(clap::value_parser!(u32))
                .help(what.help)
        });
        let all = ArgGroup::new("used").required(true).multiple(true);
        command
            .args(options)
            .group(all.args(kinds().map(|what| what.name)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SetBudget {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let told = |what: Paid| Some((what, *matches.get_one::<u32>(what.name)?));
        Ok(Self(kinds().filter_map(told).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Everything that costs money.
fn kinds() -> impl Iterator<Item = Paid> {
    let limits = BudgetConfig::default().limits();
    limits.into_iter().map(|(what, _)| what)
}

/// The most threads that wait for the disk. The index and the decoders have further threads of
/// their own.
const BLOCKING_THREADS: usize = 64;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = allocator::give_back_what_is_freed(config::is_set(allocator::VARIABLE)) {
        complain(&anyhow::Error::from(error).context(
            "the settings of the memory allocator could not be changed, so it keeps its defaults",
        ));
    }
    let (done, failure) = match cli.command {
        // The probe must work where nothing is configured, and must read no secret. Its exit code 1
        // does not mean that it failed.
        Some(Command::Probe(options)) => (probe(&options), ExitCode::from(2)),
        Some(Command::Doctor(options)) => (doctor(&options), ExitCode::from(2)),
        Some(Command::Judge(options)) => (judge(&options), ExitCode::FAILURE),
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

fn judge(options: &Judge) -> anyhow::Result<ExitCode> {
    read_dotenv()?;
    let text = judge::judge(&Config::from_env()?, &options.folder, options.json)?;
    print(&text)?;
    Ok(ExitCode::SUCCESS)
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
        // The program that reads the output, such as `head`, may have seen enough.
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
            anyhow::bail!("a line of .env cannot be read: it is wrong at its character {position}")
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
            // Nobody would find again what the server went on writing.
            path = claim.lost(&config.files.database_url) => lost = Some(path),
        }
    })
    .await;
    match lost {
        None => Ok(()),
        Some(path) => anyhow::bail!(
            "{} was removed or replaced while the server ran, so the server stopped; start it again once the right data folder is in place",
            path.display()
        ),
    }
}
