//! Two real caches in a row in front of a server: Varnish, which stands for CloudFront, and in
//! front of it nginx, which stands for Cloudflare. Each reads what its CDN reads, and neither
//! subtracts `Age`.
//!
//! Everything lies in one folder and runs as the current user. The caches listen on sockets in that
//! folder. Relays of the test on free ports lead to them, and a third relay counts what reaches the
//! server.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cdn_server::Purged;
use super::process::Client;

/// How long a cache may take to start or to end before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A chain of two caches, which ends when dropped.
pub(crate) struct Chain {
    outer: Relay,
    inner: Relay,
    origin: Relay,
    /// Where the outer cache keeps its files.
    kept: PathBuf,
    _nginx: Program,
    _varnish: Program,
}

impl Chain {
    /// Starts both caches in front of the server at this address, with their files below this
    /// folder.
    pub(crate) fn before(server: &str, dir: &Path) -> Self {
        let origin = Relay::to(Target::Tcp(server.to_owned()));
        let varnish = start_varnish(&dir.join("varnish"), &origin.address);
        let nginx = start_nginx(&dir.join("nginx"), &varnish.socket);
        Self {
            kept: dir.join("nginx/kept"),
            outer: Relay::to(Target::Unix(nginx.socket.clone())),
            inner: Relay::to(Target::Unix(varnish.socket.clone())),
            origin,
            _nginx: nginx,
            _varnish: varnish,
        }
    }

    /// The address at which both caches are asked together.
    pub(crate) fn address(&self) -> &str {
        &self.outer.address
    }

    /// Leads to another server from now on.
    pub(crate) fn lead_to(&self, server: &str) {
        let mut target = self.origin.target.lock();
        *target.as_deref_mut().expect("no test panicked with it") = Target::Tcp(server.to_owned());
    }

    /// Purges both caches, as the CDNs would do it.
    pub(crate) fn purger(&self) -> impl Fn(&Purged) + Send + 'static {
        let (kept, inner) = (self.kept.clone(), self.inner.address.clone());
        move |purged| match purged {
            Purged::Outer {
                files,
                prefixes,
                tags,
            } => {
                let files = files.iter().map(|file| path_of_url(file));
                let prefix =
                    |prefix: &String| format!("/{}*", prefix.split_once('/').expect("a path").1);
                let paths: Vec<String> = files.chain(prefixes.iter().map(prefix)).collect();
                forget_files(&kept, &paths, tags);
            }
            Purged::Inner { paths } => {
                for path in paths {
                    ban(&inner, path);
                }
            }
        }
    }

    /// A client that asks through both caches.
    pub(crate) fn outer(&self) -> Client {
        Client::new(&self.outer.address)
    }

    /// A client that asks only the inner cache, as another outer cache would.
    pub(crate) fn inner(&self) -> Client {
        Client::new(&self.inner.address)
    }

    /// The requests that reached the server so far: `GET /path`.
    pub(crate) fn origin_requests(&self) -> Vec<String> {
        let seen = self.origin.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The address of the outer cache, known before the cache is started below this folder.
pub(crate) fn front_door(dir: &Path) -> String {
    Relay::to(Target::Unix(dir.join("nginx/socket"))).address
}

fn path_of_url(url: &str) -> String {
    let url: url::Url = url.parse().expect("a URL");
    url.path().to_owned()
}

/// Deletes the files in which nginx keeps answers for these paths, which may end with `*`, or with
/// one of these tags. Each file begins with the key and then the header. nginx fetches again what
/// is missing.
fn forget_files(folder: &Path, paths: &[String], tags: &[String]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            forget_files(&entry.path(), paths, tags);
            continue;
        }
        // A file that vanishes meanwhile is deleted, too.
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let covers = |path: &String, key: &str| match path.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => path == key,
        };
        let is_named = value("KEY: ").is_some_and(|key| paths.iter().any(|path| covers(path, key)));
        let is_tagged = value("Cache-Tag: ")
            .or_else(|| value("cache-tag: "))
            .is_some_and(|own| own.split(',').any(|own| tags.iter().any(|tag| tag == own)));
        if is_named || is_tagged {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes Varnish forget a path that may end with `*`, or a `#tag`.
fn ban(varnish: &str, item: &str) {
    let rule = match (item.strip_prefix('#'), item.strip_suffix('*')) {
        (Some(tag), _) => format!("obj.http.Cache-Tag ~ (^|,){tag}(,|$)"),
        (_, Some(prefix)) => format!("req.url ~ ^{prefix}"),
        _ => format!("req.url == {item}"),
    };
    let mut stream = TcpStream::connect(varnish).expect("Varnish listens");
    let request =
        format!("BAN / HTTP/1.1\r\nHost: catto.test\r\nX-Ban: {rule}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("is answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A program that was started. It is ended when dropped.
struct Program {
    child: Child,
    /// The socket on which it listens.
    socket: PathBuf,
}

impl Program {
    /// Starts the program and waits until it listens.
    fn start(mut command: Command, dir: &Path, socket: PathBuf) -> Self {
        let log = dir.join("log");
        let file = std::fs::File::create(&log).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("is cloned"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; `make test-setup` installs it"));
        let mut program = Self { child, socket };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&program.socket).is_err() {
            let ended = program.child.try_wait().expect("can be asked");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{command:?} does not listen:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // If Varnish's manager is ended by SIGTERM, it ends its child too.
        let _ = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of a server, which Debian installs where `PATH` may not lead.
fn command(name: &str) -> Command {
    let path = Path::new("/usr/sbin").join(name);
    Command::new(if path.exists() {
        path.as_os_str().to_owned()
    } else {
        name.into()
    })
}

/// Starts Varnish with its default settings, except that it leaves compression to others, as
/// CloudFront does here.
fn start_varnish(dir: &Path, origin: &str) -> Program {
    std::fs::create_dir(dir).expect("a folder");
    let (host, port) = origin.split_once(':').expect("host and port");
    let rules = dir.join("rules.vcl");
    // There is only one site, whichever relay was asked.
    let text = format!(
        "vcl 4.1;\n\
         backend default {{ .host = \"{host}\"; .port = \"{port}\"; }}\n\
         sub vcl_recv {{\n\
         if (req.method == \"BAN\") {{ ban(req.http.X-Ban); return (synth(200)); }}\n\
         set req.http.Host = \"catto.test\";\n\
         }}\n"
    );
    std::fs::write(&rules, text).expect("is written");
    let socket = dir.join("socket");
    let mut varnishd = command("varnishd");
    varnishd
        .arg("-F")
        .args(["-j", "none"])
        .args(["-T", "none"])
        .args(["-s", "malloc,64m"])
        .args(["-p", "http_gzip_support=off"])
        .arg("-n")
        .arg(dir.join("work"))
        .arg("-f")
        .arg(rules)
        .arg("-a")
        .arg(&socket);
    Program::start(varnishd, dir, socket)
}

/// Starts nginx in two steps. The first step keeps nothing: it replaces the headers that nginx
/// reads with those that Cloudflare reads. The second step is the cache, and what it hands out
/// carries what the browser is to read. nginx shows stale answers only as the headers allow, and it
/// reads that part of them only while `X-Accel-Expires` has not come yet; so that header stands
/// last.
fn start_nginx(dir: &Path, inner: &Path) -> Program {
    std::fs::create_dir(dir).expect("a folder");
    let socket = dir.join("socket");
    let settings = dir.join("nginx.conf");
    let text = NGINX
        .replace("DIR", dir.to_str().expect("is text"))
        .replace("INNER", inner.to_str().expect("is text"));
    std::fs::write(&settings, text).expect("is written");
    let mut nginx = command("nginx");
    nginx
        .args(["-e", "stderr"])
        .arg("-p")
        .arg(dir)
        .arg("-c")
        .arg(settings);
    Program::start(nginx, dir, socket)
}

const NGINX: &str = r#"
daemon off;
master_process off;
pid DIR/pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  proxy_cache_path DIR/kept keys_zone=outer:4m inactive=8d;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;

  upstream inner { server unix:INNER; }
  upstream reader { server unix:DIR/reader; }

  map $upstream_http_cloudflare_cdn_cache_control $cloudflare_seconds {
    "~max-age=(?<seconds>[0-9]+)" $seconds;
    default "";
  }
  map $upstream_http_cloudflare_cdn_cache_control $cloudflare_reads {
    "" $upstream_http_cache_control;
    default $upstream_http_cloudflare_cdn_cache_control;
  }
  server {
    listen unix:DIR/reader;
    location / {
      proxy_pass http://inner;
      proxy_hide_header Cache-Control;
      proxy_hide_header Cloudflare-CDN-Cache-Control;
      add_header Cache-Control $cloudflare_reads always;
      add_header X-Accel-Expires $cloudflare_seconds always;
      add_header X-Browser-Cache-Control $upstream_http_cache_control always;
    }
  }
  server {
    listen unix:DIR/socket;
    location / {
      proxy_pass http://reader;
      proxy_cache outer;
      proxy_cache_key $request_uri;
      proxy_cache_lock on;
      proxy_cache_background_update on;
      proxy_hide_header Cache-Control;
      proxy_hide_header X-Browser-Cache-Control;
      add_header Cache-Control $upstream_http_x_browser_cache_control always;
      add_header X-Outer $upstream_cache_status always;
      add_header CF-Cache-Status $upstream_cache_status always;
    }
  }
}
"#;

/// Where a relay leads.
#[derive(Clone)]
enum Target {
    Tcp(String),
    Unix(PathBuf),
}

/// Passes connections on and notes the requests that go by.
struct Relay {
    address: String,
    target: Arc<Mutex<Target>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    fn to(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("has one").to_string();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let noted = seen.clone();
        let target = Arc::new(Mutex::new(target));
        let leads_to = target.clone();
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Where nobody listens, the connection just ends.
                let target = leads_to
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let _ = match &target {
                    Target::Tcp(address) => TcpStream::connect(address)
                        .and_then(|server| pass_on(client, server, &noted)),
                    Target::Unix(path) => {
                        UnixStream::connect(path).and_then(|server| pass_on(client, server, &noted))
                    }
                };
            }
        });
        Self {
            address,
            target,
            seen,
        }
    }
}

/// Passes one connection on in both directions, until both have ended.
fn pass_on(
    client: TcpStream,
    server: impl Duplex,
    seen: &Arc<Mutex<Vec<String>>>,
) -> io::Result<()> {
    let (to_client, to_server) = (client.another()?, server.another()?);
    let seen = seen.clone();
    std::thread::spawn(move || {
        let _ = note_requests(client, &to_server, &seen);
        to_server.end();
    });
    std::thread::spawn(move || {
        let mut server = server;
        let _ = io::copy(&mut server, &mut to_client.another()?);
        to_client.end();
        io::Result::Ok(())
    });
    Ok(())
}

/// Copies requests, which have no bodies here, and notes the first line of each before passing it
/// on.
fn note_requests(from: impl Read, to: &impl Duplex, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let (mut from, mut to) = (BufReader::new(from), BufWriter::new(to.another()?));
    let mut line = Vec::new();
    let mut is_first = true;
    while from.read_until(b'\n', &mut line)? > 0 {
        if is_first {
            let text = String::from_utf8_lossy(&line);
            let request = text
                .rsplit_once(" HTTP/")
                .map_or(&*text, |(start, _)| start);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(request.to_owned());
        }
        to.write_all(&line)?;
        is_first = line == b"\r\n";
        if is_first {
            to.flush()?;
        }
        line.clear();
    }
    to.flush()
}

/// A connection that two threads can share.
trait Duplex: Read + Write + Send + Sized + 'static {
    fn another(&self) -> io::Result<Self>;
    /// Says that nothing more comes.
    fn end(&self);
}

impl Duplex for TcpStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Duplex for UnixStream {
    fn another(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}
