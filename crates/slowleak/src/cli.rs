//! The command line as a user types it: commands, flags, help and examples.
//!
//! Raw flags only. [`crate::settings`] turns them, together with the config file, into one checked
//! struct a command; nothing else in the program looks at these.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use slowleak_detect::Severity;
use slowleak_record::{Micros, Window};
use slowleak_rollup::View;

/// Finds slow data leaks in access logs.
///
/// Reads records of who accessed what, with which key and from where, from Parquet files, and names the
/// keys, users and slices of traffic that were draining data, with the interval and how sure it is.
#[derive(Debug, Parser)]
#[command(name = "slowleak", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  slowleak demo                               see a five-month leak made, found and judged
  slowleak inspect logs/                      what is in these files, and what can be told from them
  slowleak scan logs/ --out out               find leaks; the report is out/report.html
  slowleak explain 1 --out out                why the worst finding exists

Exit codes:
  0   completed, with findings or without
  1   failed
  2   bad usage or configuration
  3   completed, with part of the input rejected (see coverage.json)
  10  a finding at or above --fail-on";

/// Flags that every command understands.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// Settings file; flags win over it
    #[arg(long, global = true, value_name = "slowleak.toml", help_heading = COMMON)]
    pub(crate) config: Option<PathBuf>,
    /// Worker threads [default: one a core]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = COMMON)]
    pub(crate) threads: Option<u16>,
    /// Form of what is printed on standard output
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", help_heading = COMMON)]
    pub(crate) format: Format,
    /// Plain text, whatever the terminal can do (NO_COLOR and CLICOLOR are heeded too)
    #[arg(long, global = true, help_heading = COMMON)]
    pub(crate) no_color: bool,
    /// No progress and no summary; errors are still told
    #[arg(long, short, global = true, help_heading = COMMON)]
    pub(crate) quiet: bool,
}

const COMMON: &str = "Common options";

/// Form of what is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// How local files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Io {
    /// Memory maps; fastest on local disks
    Mmap,
    /// Plain reads; for file systems that can not be mapped
    Read,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Generate(GenerateArgs),
    Inspect(InspectArgs),
    Scan(ScanArgs),
    Rollup(RollupArgs),
    Detect(DetectArgs),
    Nightly(NightlyArgs),
    Replay(ReplayArgs),
    Explain(ExplainArgs),
    Evaluate(EvaluateArgs),
}

/// Which files to read, and how their columns are named.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Parquet files, folders (Hive-style partitions understood) or globs
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Column names of a known kind of log
    #[arg(long, value_name = "NAME", help_heading = INPUT)]
    pub(crate) preset: Option<String>,
    /// TOML file that says which column holds which field
    #[arg(long, value_name = "FILE", help_heading = INPUT)]
    pub(crate) map: Option<PathBuf>,
    /// How local files are read [default: mmap]
    #[arg(long, value_name = "HOW", help_heading = INPUT)]
    pub(crate) io: Option<Io>,
    /// How Parquet pages are decoded; the answer is the same
    #[arg(long, value_name = "HOW", default_value = "pages", help_heading = INPUT)]
    pub(crate) decoder: Decoder,
}

/// Which records to read.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// First instant to read: RFC 3339 or a date; UTC where it has no offset
    #[arg(long, value_name = "T", value_parser = time, help_heading = INPUT)]
    pub(crate) since: Option<Micros>,
    /// First instant not to read
    #[arg(long, value_name = "T", value_parser = time, help_heading = INPUT)]
    pub(crate) until: Option<Micros>,
}

/// How Parquet pages are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decoder {
    /// By slowleak itself; fastest
    Pages,
    /// By the arrow library: a second opinion
    Arrow,
}

const INPUT: &str = "Input options";

/// What to count.
#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    /// Length of a window in the default views that count by the hour [default: 1h]
    #[arg(long, value_name = "LENGTH", help_heading = COUNTING)]
    pub(crate) window: Option<Window>,
    /// Count this instead of the default views, as in key@1h:events,rows; may be repeated
    #[arg(long = "view", value_name = "VIEW", help_heading = COUNTING, conflicts_with = "window")]
    pub(crate) views: Vec<View>,
    /// Count this besides, as in key@10m:events, by which bursts of minutes are found; may be repeated
    #[arg(long = "also-view", value_name = "VIEW", help_heading = COUNTING)]
    pub(crate) also: Vec<View>,
    /// Memory for counting, as in 512MiB or 8GiB; what exceeds it is set aside under --out, and the answer is the same.
    /// A limit that is too small for --threads is served by fewer [default: 2GiB]
    #[arg(long, value_name = "SIZE", value_parser = memory, help_heading = COUNTING)]
    pub(crate) memory: Option<ByteSize>,
    /// Fail, and write nothing, where any file, row or value has to be rejected
    #[arg(long, help_heading = COUNTING)]
    pub(crate) strict: bool,
    /// Tell on standard error where the time of counting went, step by step
    #[arg(long, help_heading = COUNTING)]
    pub(crate) profile: bool,
}

const COUNTING: &str = "Counting options";

/// What to judge by.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct JudgeArgs {
    /// Who owns which key: CSV or Parquet with key,owner,issued_at,revoked_at,regions,...
    #[arg(long, value_name = "FILE", help_heading = JUDGING)]
    pub(crate) keys: Option<PathBuf>,
    /// Who is in which group and when they left: CSV or Parquet with user,group,left_at
    #[arg(long, value_name = "FILE", help_heading = JUDGING)]
    pub(crate) people: Option<PathBuf>,
    /// What was issued: CSV or Parquet with key,issued_at and, where keys are issued to somebody, user
    #[arg(long, value_name = "FILE", help_heading = JUDGING)]
    pub(crate) issued: Option<PathBuf>,
    /// Show the findings that the settings file suppresses, marked with the reason; --fail-on ignores them all the same
    #[arg(long, help_heading = JUDGING)]
    pub(crate) show_suppressed: bool,
    /// Exit with code 10 where a finding is this bad or worse: info, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity, help_heading = JUDGING)]
    pub(crate) fail_on: Option<Severity>,
}

const JUDGING: &str = "Judging options";

/// Make a labelled five-month leak, scan it, and judge the answer
///
/// Writes the log, its ground truth and the report under --out, and says whether the leak was found, how
/// well its interval fits, and what else was reported. Run again, it replaces its own old folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak demo
  slowleak demo --rows 2000000 --out /tmp/demo")]
pub(crate) struct DemoArgs {
    /// Folder for the log, its truth and the report
    #[arg(long, value_name = "DIR", default_value = "demo")]
    pub(crate) out: PathBuf,
    /// Records to make, about; below 2 million the leak is too small to be found
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    /// Seed of the made log [default: the scenario's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
}

/// Make a labelled synthetic log from a scenario
///
/// Writes logs/**.parquet, truth.json and, where the scenario has them, keys.csv and people.csv. The same
/// scenario, rows and seed give the same bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak generate datasets/five-month.toml --out made --rows 1000000
  slowleak generate datasets/five-month.toml --out made --seed 7")]
pub(crate) struct GenerateArgs {
    /// Scenario file
    #[arg(value_name = "SCENARIO.toml")]
    pub(crate) scenario: PathBuf,
    /// Folder for the log and its truth
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Records to make, about [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: Option<u64>,
    /// Seed [default: the scenario's]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
}

/// Say what is in the files, and what can be told from them
///
/// Shows, for each schema among the files: size, row groups, codec, columns and the field each maps to,
/// time span and gaps, share of nulls, sample records, and which metrics could not be computed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak inspect logs/
  slowleak inspect 'logs/day=2025-06-*/*.parquet' --map columns.toml
  slowleak inspect logs/ --format json | jq .groups[0].columns")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

/// Find leaks: count, detect and report in one run
///
/// Writes findings.parquet, findings.jsonl, evidence.parquet, coverage.json, report.html, metrics.prom and
/// the rollup under --out, and prints a summary.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak scan logs/ --out out
  slowleak scan logs/ --out out --keys keys.csv --people people.csv --fail-on high
  slowleak scan logs/ --out out --keys keys.csv --issued tokens.parquet --config slowleak.toml
  slowleak scan logs/ --out out --since 2025-04-01 --until 2025-12-01
  slowleak scan logs/ --out out --view key@1h:events,rows --view key@1d:subjects,blocks
  slowleak scan logs/ --out out --format json | jq .findings[0]")]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// Count only: records to rollup
///
/// Writes rollup/ and coverage.json under --out. The heavy part of a scan; `slowleak detect` does the rest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak rollup logs/ --out counted
  slowleak rollup logs/ --out counted --view user@15m:events,bytes")]
pub(crate) struct RollupArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Folder for the rollup
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
}

/// Detect only: rollup to findings
///
/// Takes the rollup of an earlier run, or one made by any other tool: a folder DIMENSION@WINDOW a view, with
/// Parquet files of entity, window and events.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak detect counted/rollup --out out
  slowleak detect out/rollup --out again --config slowleak.toml --keys keys.csv")]
pub(crate) struct DetectArgs {
    /// Folder of the rollup, or the --out of the run that made it
    #[arg(value_name = "ROLLUP_DIR")]
    pub(crate) rollup: PathBuf,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

/// Keep watch: count what is new since the last night, and judge the whole log
///
/// Keeps the counted log under --state and reads only files that are new, replaced or gone since the last night. The
/// results are in the folder out under it, and are those of one scan over everything; changes.jsonl tells what is
/// news of them. Run again, it changes nothing; killed, the next run ends as if nothing had happened.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak nightly logs/ --state /var/lib/slowleak
  slowleak nightly logs/ --state state --keys keys.csv --people people.csv --fail-on high
  slowleak nightly logs/ --state state --webhook https://hooks.slack.com/services/... --webhook-severity high
  slowleak nightly logs/ --state state --removed keep --keep-days 400
  slowleak explain 1 --out state/out")]
pub(crate) struct NightlyArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Folder of the state, kept from night to night; the results are in DIR/out
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// Records from this instant on do not count yet, as if it were that night [default: all count]
    #[arg(long, value_name = "T", value_parser = time, help_heading = STATE)]
    pub(crate) as_of: Option<Micros>,
    /// Days of the log that are kept, the last one included [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = STATE)]
    pub(crate) keep_days: Option<u32>,
    /// What becomes of the records of a file that is gone [default: rebuild]
    #[arg(long, value_name = "WHAT", help_heading = STATE)]
    pub(crate) removed: Option<Removed>,
    /// Where to post what is new, as JSON with a text that Slack shows; the variable SLOWLEAK_WEBHOOK does as well
    #[arg(long, value_name = "URL", help_heading = STATE)]
    pub(crate) webhook: Option<String>,
    /// How bad a finding must be to be posted [default: high]
    #[arg(long, value_name = "SEVERITY", value_parser = severity, help_heading = STATE)]
    pub(crate) webhook_severity: Option<Severity>,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

const STATE: &str = "Nightly options";

/// Live through history again: what each night would have told, and when
///
/// Counts the log once, then judges it as it was on each night, with only the records before it, and follows what was
/// found from night to night as nightly does. Writes replay.parquet: of every leak when it was first reported, how long
/// after it began, and how many accounts were taken by then.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak replay logs/ --out replayed --from 2025-06-01 --to 2025-12-01
  slowleak replay logs/ --out replayed --from 2025-06-01 --to 2025-12-01 --every 7d
  slowleak replay logs/ --out replayed --from 2025-06-01 --to 2025-12-01 --settings with-people=people.toml
  slowleak replay logs/ --out replayed --from 2025-06-01 --to 2025-12-01 --format json | jq .settings[0].leaks")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The first night: a midnight, UTC. It knows all records before it
    #[arg(long, value_name = "T", value_parser = time, help_heading = NIGHTS)]
    pub(crate) from: Micros,
    /// The last night
    #[arg(long, value_name = "T", value_parser = time, help_heading = NIGHTS)]
    pub(crate) to: Micros,
    /// From one night to the next, in whole days
    #[arg(long, value_name = "LENGTH", default_value = "1d", help_heading = NIGHTS)]
    pub(crate) every: Window,
    /// Replay the same log by the settings of another file, too; may be repeated. Those that flags and --config give are
    /// called default
    #[arg(long = "settings", value_name = "NAME=FILE", value_parser = named_file, help_heading = NIGHTS)]
    pub(crate) settings: Vec<(String, PathBuf)>,
    #[command(flatten)]
    pub(crate) view: ViewArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

const NIGHTS: &str = "Replay options";

/// A name and a file, as in `strict=strict.toml`.
fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(file)))
        }
        _ => Err("write a name and a settings file, as in strict=strict.toml".to_owned()),
    }
}

/// What becomes of the records of a file that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Removed {
    /// They no longer count: its days are counted anew without it
    Rebuild,
    /// They still count: old logs are taken away, and what was in them stays known
    Keep,
}

/// Say why a finding exists, in words and numbers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak explain 1 --out out
  slowleak explain SL-7Q --out out --format json")]
pub(crate) struct ExplainArgs {
    /// Id of the finding, the start of one that no other shares, or a rank
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Compare a run's findings with the truth of a labelled log
///
/// A finding meets a leak where their intervals overlap and they name the same key, the same user, or the
/// same entity of the same dimension. Prints recall, precision, how well the intervals fit, and what else
/// was reported.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slowleak evaluate --out out --truth made/truth.json
  slowleak evaluate --out out --truth made/truth.json --min-severity high --format json")]
pub(crate) struct EvaluateArgs {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Ground truth of the log
    #[arg(long, value_name = "truth.json")]
    pub(crate) truth: PathBuf,
    /// Leave out findings below this severity
    #[arg(long, value_name = "SEVERITY", value_parser = severity, default_value = "medium")]
    pub(crate) min_severity: Severity,
}

/// A time as clap wants it; the message is [`slowleak_record::TimeError`]'s.
fn time(text: &str) -> Result<Micros, slowleak_record::TimeError> {
    text.parse()
}

/// The least memory that counting can do with, on one thread.
const LEAST_MEMORY: ByteSize = ByteSize(slowleak_rollup::Memory::LEAST as u64);

/// A number of bytes, with or without a unit.
pub(crate) fn memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|_| "not a size: write it as in 512MiB or 8GiB".to_owned())?;
    if size < LEAST_MEMORY {
        let least = LEAST_MEMORY.display().iec();
        return Err(format!("less than {least} is too little to count in (give {least} or more)"));
    }
    Ok(size)
}

/// A severity in any case: people type HIGH as reports print it. Result files keep to the contract's words.
pub(crate) fn severity(text: &str) -> Result<Severity, String> {
    // A wrong word is quoted as it was typed.
    text.to_ascii_lowercase().parse().or_else(|_| text.parse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains(&format!("slowleak {}", command.get_name())), "{}", command.get_name());
        }
    }
}
