//! The report for a person at a terminal.

use std::fmt;

use bytesize::ByteSize;
use url::Url;

use super::{AssetReport, Finding, Hits, Measurement, PageReport, Percentiles, Report, Verdict};

/// The most characters of a URL in a table.
const WIDEST_NAME: usize = 44;

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for page in &self.pages {
            write_page(out, page, self.repeat)?;
        }
        self.write_layers(out)?;
        writeln!(out, "{}", self.summary())
    }
}

impl Report {
    fn write_layers(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[
            "WHO ANSWERED",
            "ANSWERS",
            "SENT",
            "REPEATS HIT",
            "RATIO",
            "FIRST BYTE p50",
            "p95",
        ]);
        for layer in &self.layers {
            let (p50, p95) = both(layer.first_byte_ms.as_ref());
            table.row([
                layer.layer.clone(),
                layer.answered.to_string(),
                bytes(layer.sent_bytes),
                layer.repeats.map_or_else(nothing, fraction),
                layer
                    .repeats
                    .and_then(|hits| hits.hit_ratio)
                    .map_or_else(nothing, |ratio| format!("{:.0} %", ratio * 100.0)),
                p50,
                p95,
            ]);
        }
        if self.layers.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "All addresses together (hits are counted for what may be cached)\n{table}"
        )
    }

    fn summary(&self) -> String {
        let measured = || {
            let assets = self.pages.iter().flat_map(|page| &page.assets);
            assets.filter_map(|asset| asset.measured.as_ref())
        };
        let cacheable = measured().filter(|asset| asset.cacheable).count();
        let hit = measured()
            .filter(|asset| asset.hit_on_repeat == Some(true))
            .count();
        let outcome = match self.verdict {
            Verdict::Cached => "all is well",
            Verdict::NotCached => "see above for those that were not",
            Verdict::Unreachable => "something could not be fetched",
        };
        format!(
            "{hit} of {cacheable} cacheable addresses were answered by a cache on every repeat: {outcome}."
        )
    }
}

fn write_page(out: &mut fmt::Formatter<'_>, page: &PageReport, repeat: u32) -> fmt::Result {
    writeln!(out, "{}", page.url)?;
    for redirect in &page.redirects {
        writeln!(out, "  {} to {}", redirect.status, redirect.location)?;
    }
    let base = page.assets.first().map(|asset| asset.short_name.clone());
    let name = |asset: &AssetReport| short(&asset.short_name, base.as_ref());
    let mut cold = Table::new(&[
        "FIRST REQUEST",
        "KIND",
        "STATUS",
        "SENT",
        "PLAIN",
        "CONNECT",
        "TLS",
        "FIRST BYTE",
        "TOTAL",
        "  CACHES",
    ]);
    let mut warm = Table::new(&[
        &format!("{repeat} REPEATS"),
        "FIRST BYTE p50",
        "p95",
        "TOTAL p50",
        "p95",
        "AGE",
        "  CACHES",
    ]);
    for asset in &page.assets {
        let Some(measured) = &asset.measured else {
            continue;
        };
        cold.row(cold_row(name(asset), asset, measured));
        warm.row(warm_row(name(asset), measured));
    }
    if !cold.rows.is_empty() {
        writeln!(out, "\n{cold}\n{warm}")?;
    }
    for asset in &page.assets {
        if let Some(error) = &asset.error {
            writeln!(out, "{}\n  could not be fetched: {error}", name(asset))?;
        }
    }
    for (finding, names) in by_finding(page, &name) {
        let layer = finding.layer.as_ref();
        let layer = layer.map_or_else(String::new, |layer| format!("{layer}: "));
        writeln!(out, "{}", names.join("  "))?;
        writeln!(out, "  {layer}{} [{}]", finding.message, finding.code)?;
        writeln!(out, "  -> {}", finding.remedy)?;
    }
    if page.left_out > 0 {
        writeln!(out, "{} more assets were not measured", page.left_out)?;
    }
    writeln!(out)
}

/// Groups the findings, so that what is true of several URLs is told once.
fn by_finding<'a>(
    page: &'a PageReport,
    name: &impl Fn(&AssetReport) -> String,
) -> Vec<(&'a Finding, Vec<String>)> {
    let mut found: Vec<(&Finding, Vec<String>)> = Vec::new();
    for asset in &page.assets {
        let findings = asset
            .measured
            .iter()
            .flat_map(|measured| &measured.findings);
        for finding in findings {
            match found.iter_mut().find(|(known, _)| *known == finding) {
                Some((_, names)) => names.push(name(asset)),
                None => found.push((finding, vec![name(asset)])),
            }
        }
    }
    found
}

fn cold_row(name: String, asset: &AssetReport, measured: &Measurement) -> [String; 10] {
    let caches = measured
        .layers
        .iter()
        .map(|layer| format!("{} {}", layer.layer, layer.first.as_deref().unwrap_or("-")));
    let first = &measured.first;
    [
        name,
        asset.kind.name().to_owned(),
        measured.status.to_string(),
        bytes(measured.size.sent_bytes),
        bytes(measured.size.plain_bytes),
        time(first.connect_ms),
        time(first.tls_ms),
        time(Some(first.first_byte_ms)),
        time(Some(first.total_ms)),
        format!("  {}", or_none(caches.collect())),
    ]
}

fn warm_row(name: String, measured: &Measurement) -> [String; 7] {
    let caches = measured
        .layers
        .iter()
        .map(|layer| format!("{} {}", layer.layer, fraction(layer.repeats)));
    let (first_p50, first_p95) = both(Some(&measured.repeats.first_byte_ms));
    let (total_p50, total_p95) = both(Some(&measured.repeats.total_ms));
    [
        name,
        first_p50,
        first_p95,
        total_p50,
        total_p95,
        measured
            .age_seconds
            .map_or_else(nothing, |age| format!("{age} s")),
        format!("  {}", or_none(caches.collect())),
    ]
}

fn or_none(words: Vec<String>) -> String {
    if words.is_empty() {
        "none seen".into()
    } else {
        words.join(", ")
    }
}

fn nothing() -> String {
    "-".into()
}

fn bytes(bytes: u64) -> String {
    ByteSize(bytes).display().si().to_string()
}

fn time(ms: Option<f64>) -> String {
    ms.map_or_else(nothing, |ms| {
        if ms < 10.0 {
            format!("{ms:.1} ms")
        } else {
            format!("{ms:.0} ms")
        }
    })
}

fn both(percentiles: Option<&Percentiles>) -> (String, String) {
    (
        time(percentiles.map(|both| both.p50)),
        time(percentiles.map(|both| both.p95)),
    )
}

fn fraction(hits: Hits) -> String {
    if hits.asked == 0 {
        return "not asked".into();
    }
    format!("{}/{}", hits.hits, hits.asked)
}

/// Shortens a URL: to its path where the host is that of the page, and by cutting out its middle.
fn short(url: &Url, page: Option<&Url>) -> String {
    let own = page.is_some_and(|page| page.origin() == url.origin());
    let full = if own {
        &url[url::Position::BeforePath..]
    } else {
        url.as_str()
    };
    // A parsed URL is plain ASCII, so bytes are characters.
    if full.len() <= WIDEST_NAME {
        return full.to_owned();
    }
    let half = WIDEST_NAME / 2;
    format!("{}…{}", &full[..half], &full[full.len() - half + 1..])
}

/// A table whose columns are as wide as their widest cell. The first column is aligned left and the
/// others right, except for cells that begin with spaces, which are aligned left again.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&cell| cell.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = lines().map(|line| line[column].chars().count());
                cells.max().unwrap_or_default()
            })
            .collect();
        for line in lines() {
            let mut text = String::new();
            for (nth, (cell, &width)) in line.iter().zip(&widths).enumerate() {
                let pad = " ".repeat(width - cell.chars().count());
                if nth > 0 {
                    text.push_str("  ");
                }
                if nth == 0 || cell.starts_with(' ') {
                    text.push_str(cell);
                    text.push_str(&pad);
                } else {
                    text.push_str(&pad);
                    text.push_str(cell);
                }
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_addresses_are_shortened_in_their_middle() {
        let page = Url::parse("https://catto.example/c/7Hq2vKxW9sNfRb3T").expect("a URL");
        let image = page.join("/i/20261129T101502Z/7Hq2vKxW9sNfRb3T/512.webp");
        let image = short(&image.expect("a path"), Some(&page));
        assert_eq!(image.chars().count(), WIDEST_NAME);
        assert!(image.starts_with("/i/20261129T101502Z/") && image.ends_with("/512.webp"));
        assert_eq!(short(&page, Some(&page)), "/c/7Hq2vKxW9sNfRb3T");
        let other = Url::parse("https://o.example/a").expect("a URL");
        assert_eq!(short(&other, Some(&page)), "https://o.example/a");
    }

    #[test]
    fn a_table_stands_straight() {
        let mut table = Table::new(&["A", "SIZE", "  WORDS"]);
        table.row(["ä…".into(), "1 B".into(), "  x".into()]);
        table.row(["long".into(), "100 B".into(), "  y".into()]);
        assert_eq!(
            table.to_string(),
            "A      SIZE    WORDS\nä…      1 B    x\nlong  100 B    y\n"
        );
    }
}
