//! The real binary in a process of its own, for what only a process can show: being killed and
//! being started again.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{models_dir, write_site};

/// How long anything here may take before the test fails. It is far longer than a busy machine
/// needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the binary is started.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) data_dir: PathBuf,
    pub(crate) site_dir: PathBuf,
    /// A program that runs the binary, such as a tracer or a namespace.
    wrapper: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Launch {
    /// Puts data and site below this folder.
    pub(crate) fn within(dir: &Path) -> Self {
        let site_dir = dir.join("site");
        write_site(&site_dir);
        Self {
            data_dir: dir.join("data"),
            site_dir,
            wrapper: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Adds an environment variable.
    pub(crate) fn with_variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(crate) fn wrapped_in(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn command(&self, subcommand: &str) -> Command {
        let binary = env!("CARGO_BIN_EXE_cattocdn").to_owned();
        let mut words = self.wrapper.iter().cloned().chain([binary]);
        let mut command = Command::new(words.next().expect("there is a word"));
        command
            .args(words)
            .arg(subcommand)
            .env("CATTO_LISTEN", "127.0.0.1:0")
            .env("CATTO_DATA_DIR", &self.data_dir)
            .env("CATTO_SITE_DIR", &self.site_dir)
            .env("CATTO_MODELS_DIR", models_dir())
            .env("RUST_LOG", "warn,cattocdn=info")
            // All clients of a test come from one address.
            .env("CATTO_UPLOADS_PER_HOUR", "1000000")
            .env("CATTO_UPLOADS_PER_DAY", "1000000")
            .envs(self.variables.iter().cloned())
            // A developer's own .env must not be read.
            .current_dir(&self.site_dir);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, subcommand: &str) -> Output {
        self.run_with(subcommand, &[])
    }

    /// Runs a command with these arguments to its end.
    pub(crate) fn run_with(&self, subcommand: &str, arguments: &[&str]) -> Output {
        self.command(subcommand)
            .args(arguments)
            .output()
            .expect("the binary runs")
    }

    /// Runs a command with an argument to its end.
    pub(crate) fn run_on(&self, subcommand: &str, argument: &str) -> Output {
        let mut command = self.command(subcommand);
        command.arg(argument).output().expect("the binary runs")
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn serve(&self) -> Server {
        let mut child = self
            .command("serve")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let mut log = String::new();
        let address = loop {
            let line = match lines.next() {
                Some(line) => line.expect("the log is text"),
                None => panic!("the server ended before it served:\n{log}"),
            };
            log.push_str(&line);
            log.push('\n');
            if let Some((_, rest)) = line.split_once("serving address=") {
                break rest.split(' ').next().expect("a word").to_owned();
            }
        };
        let log = Arc::new(Mutex::new(log));
        let rest = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = rest.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        Server {
            child,
            address,
            log,
        }
    }
}

/// A running server, which is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("ends");
    }

    /// Asks the process to end, as a platform does.
    pub(crate) fn terminate(&self) {
        send_term("kill", &["-TERM", &self.child.id().to_string()]);
    }

    /// Asks the process that the wrapper started to end.
    pub(crate) fn terminate_children(&self) {
        send_term("pkill", &["-TERM", "-P", &self.child.id().to_string()]);
    }

    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("can be asked") {
                return (status, self.log());
            }
            assert!(
                Instant::now() < deadline,
                "does not end; its log:\n{}",
                self.log()
            );
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address)
    }
}

fn send_term(program: &str, arguments: &[&str]) {
    let sent = Command::new(program).args(arguments).status();
    assert!(sent.expect("runs").success(), "{program} {arguments:?}");
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where the test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plain HTTP client.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    address: String,
}

/// An answer, or why there is none.
pub(crate) type Reply = Result<Received, ureq::Error>;

pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn code(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Self {
            agent,
            address: address.to_owned(),
        }
    }

    fn url(&self, path: &str) -> String {
        // Links name the public URL, whatever the port is.
        let path = path.strip_prefix("http://127.0.0.1:3000").unwrap_or(path);
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        read(self.agent.get(self.url(path)).call()?)
    }

    /// Requests a path with this `Accept-Encoding`.
    pub(crate) fn get_encoded(&self, path: &str, encoding: &str) -> Reply {
        let request = self.agent.get(self.url(path));
        read(request.header("Accept-Encoding", encoding).call()?)
    }

    pub(crate) fn upload(&self, query: &str, bytes: &[u8]) -> Reply {
        let url = self.url(&format!("/api/v1/pictures{query}"));
        read(self.agent.post(url).send(bytes)?)
    }

    pub(crate) fn delete(&self, path: &str, token: &str) -> Reply {
        let request = self.agent.delete(self.url(path));
        read(
            request
                .header("Authorization", format!("Bearer {token}"))
                .call()?,
        )
    }
}

fn read(response: ureq::http::Response<ureq::Body>) -> Reply {
    let (parts, body) = response.into_parts();
    let mut bytes = Vec::new();
    body.into_reader()
        .read_to_end(&mut bytes)
        .map_err(ureq::Error::Io)?;
    Ok(Received {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: bytes,
    })
}
