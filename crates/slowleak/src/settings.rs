//! One checked struct a command, made from raw flags and the config file.
//!
//! In: [`Cli`]. Out: [`Settings`], or a usage error before anything was read. After this point no command
//! asks whether a flag was given, contradicts another or has a default.

use std::path::PathBuf;

use bytesize::ByteSize;
use slowleak_detect::{DetectConfig, Severity, Suppression};
use slowleak_nightly::{Extent, Webhook};
use slowleak_record::{Mapping, Micros, TimeRange, Window};
use slowleak_rollup::{Memory, Metric, View};
use slowleak_scan::{Decoder as ScanDecoder, Io as ScanIo};

use xxhash_rust::xxh3::Xxh3;

use crate::cli::{
    Cli, Command, CommonArgs, Decoder, InputArgs, Io, JudgeArgs, LogArgs, NightlyArgs, Removed, ReplayArgs,
    ViewArgs,
};
use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::suppressions::Checked;

/// Memory of counting unless told otherwise.
const DEFAULT_MEMORY: ByteSize = ByteSize::gib(2);

/// What the program was told to do.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Worker threads; `None` means one a core.
    pub(crate) threads: Option<usize>,
    /// Why these are fewer than were asked for, or than there are cores.
    pub(crate) fewer: Option<String>,
    /// The command.
    pub(crate) job: Job,
}

/// A command with its settings.
#[derive(Debug)]
pub(crate) enum Job {
    Demo(Demo),
    Generate(Generate),
    Inspect(Input),
    Scan(Scan),
    Rollup(Rollup),
    Detect(Detect),
    Nightly(Box<Nightly>),
    Replay(Replay),
    Explain(Explain),
    Evaluate(Evaluate),
}

/// Which records to read.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) mapping: Mapping,
    /// Why that mapping: the flag or the default, in words.
    pub(crate) mapping_reason: &'static str,
    pub(crate) range: TimeRange,
    pub(crate) io: ScanIo,
    pub(crate) decoder: ScanDecoder,
}

/// What to count.
#[derive(Debug, Clone)]
pub(crate) struct Counting {
    /// No dimension and window twice.
    pub(crate) views: Vec<View>,
    /// Length of the windows by which regions are counted, should a registry ask for it; `None` where the user chose
    /// the views.
    pub(crate) regions: Option<Window>,
    /// Fail where anything is rejected.
    pub(crate) strict: bool,
    pub(crate) profile: bool,
    /// Bytes that counting may take before cells are set aside on disk.
    pub(crate) memory: usize,
}

/// What to judge by.
#[derive(Debug)]
pub(crate) struct Judging {
    pub(crate) config: DetectConfig,
    pub(crate) keys: Option<PathBuf>,
    pub(crate) people: Option<PathBuf>,
    pub(crate) issued: Option<PathBuf>,
    pub(crate) suppressions: Vec<Suppression>,
    pub(crate) show_suppressed: bool,
    pub(crate) fail_on: Option<Severity>,
}

impl Judging {
    /// A checksum of all that findings are made of besides the records, and of what reports name.
    ///
    /// # Errors
    /// A file of what is known from outside the log can not be read.
    pub(crate) fn checksum(&self, inputs: &[String]) -> Result<String, Failure> {
        let Self { config, keys, people, issued, suppressions, show_suppressed, fail_on: _ } = self;
        let mut sum = Xxh3::new();
        let settings = (env!("CARGO_PKG_VERSION"), config, suppressions, show_suppressed, inputs);
        sum.update(format!("{settings:?}").as_bytes());
        for path in [keys, people, issued] {
            let content = path.as_ref().map(|path| {
                std::fs::read(path)
                    .map_err(|error| Failure::at(path, error, "check the path and permissions"))
            });
            let content = content.transpose()?;
            sum.update(format!("{:?}", content.as_ref().map(Vec::len)).as_bytes());
            sum.update(&content.unwrap_or_default());
        }
        Ok(format!("{:016x}", sum.digest()))
    }
}

#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) out: PathBuf,
    pub(crate) rows: u64,
    pub(crate) seed: Option<u64>,
    pub(crate) counting: Counting,
    pub(crate) judging: Judging,
    pub(crate) io: ScanIo,
}

#[derive(Debug)]
pub(crate) struct Generate {
    pub(crate) scenario: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) rows: Option<u64>,
    pub(crate) seed: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) input: Input,
    pub(crate) out: PathBuf,
    pub(crate) counting: Counting,
    pub(crate) judging: Judging,
}

#[derive(Debug)]
pub(crate) struct Rollup {
    pub(crate) input: Input,
    pub(crate) out: PathBuf,
    pub(crate) counting: Counting,
}

#[derive(Debug)]
pub(crate) struct Detect {
    pub(crate) rollup: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) judging: Judging,
}

#[derive(Debug)]
pub(crate) struct Nightly {
    /// Everything; what of it counts yet is in the extent.
    pub(crate) input: Input,
    pub(crate) state: PathBuf,
    pub(crate) extent: Extent,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) webhook_severity: Severity,
    pub(crate) counting: Counting,
    pub(crate) judging: Judging,
}

#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) input: Input,
    pub(crate) out: PathBuf,
    /// Midnights, ascending, at least one.
    pub(crate) nights: Vec<Micros>,
    /// Whether the settings let nights forget days, which a replay does not.
    pub(crate) forgets: bool,
    pub(crate) counting: Counting,
    /// Those of the command line first.
    pub(crate) variants: Vec<Variant>,
}

/// Settings that history is replayed by.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) judging: Judging,
}

#[derive(Debug)]
pub(crate) struct Explain {
    pub(crate) id: String,
    pub(crate) out: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Evaluate {
    pub(crate) out: PathBuf,
    pub(crate) truth: PathBuf,
    pub(crate) min_severity: Severity,
}

impl Settings {
    /// Checks flags against each other and the config file.
    ///
    /// # Errors
    /// [`Failure::Usage`] for whatever the user has to correct.
    pub(crate) fn new(cli: Cli) -> Result<Self, Failure> {
        let CommonArgs { config, threads, .. } = cli.common;
        let config = config.map(|path| ConfigFile::read(&path)).transpose()?.unwrap_or_default();
        let threads = threads.or(config.threads).map(usize::from);
        let job = match cli.command {
            Command::Demo(args) => Job::Demo(Demo {
                out: args.out,
                rows: args.rows,
                seed: args.seed,
                io: io(None, &config),
                counting: Counting {
                    views: views(Vec::new(), None, &config),
                    regions: None,
                    strict: false,
                    profile: false,
                    memory: memory(None, &config),
                },
                judging: judging(JudgeArgs::default(), config),
            }),
            Command::Generate(args) => Job::Generate(Generate {
                scenario: args.scenario,
                out: args.out,
                rows: args.rows,
                seed: args.seed,
            }),
            Command::Inspect(args) => Job::Inspect(input(args.input, &config)?),
            Command::Scan(args) => Job::Scan(Scan {
                input: input(args.input, &config)?,
                out: args.out,
                counting: counting(args.view, &config),
                judging: judging(args.judge, config),
            }),
            Command::Rollup(args) => Job::Rollup(Rollup {
                input: input(args.input, &config)?,
                out: args.out,
                counting: counting(args.view, &config),
            }),
            Command::Detect(args) => Job::Detect(Detect {
                rollup: args.rollup,
                out: args.out,
                judging: judging(args.judge, config),
            }),
            Command::Nightly(args) => Job::Nightly(Box::new(nightly(args, config)?)),
            Command::Replay(args) => Job::Replay(replay(args, config)?),
            Command::Explain(args) => Job::Explain(Explain { id: args.id, out: args.out }),
            Command::Evaluate(args) => {
                Job::Evaluate(Evaluate { out: args.out, truth: args.truth, min_severity: args.min_severity })
            }
        };
        let (threads, fewer) = served(threads, &job);
        Ok(Self { threads, fewer, job })
    }
}

fn input(args: InputArgs, config: &ConfigFile) -> Result<Input, Failure> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since >= until
    {
        return Err(Failure::Usage(format!(
            "--since {since} is not before --until {until}: no record lies between (swap or correct them)"
        )));
    }
    let range = TimeRange { since: args.since, until: args.until };
    log(args.log, range, config)
}

fn log(args: LogArgs, range: TimeRange, config: &ConfigFile) -> Result<Input, Failure> {
    let preset = args.preset.as_deref().or(config.preset.as_deref());
    let map = args.map.as_ref().or(config.map.as_ref());
    let mapping_reason = match (preset, map) {
        (None, None) => "default: columns carry the record's own names",
        (Some(_), None) => "chosen by --preset",
        (_, Some(_)) => "chosen by --map",
    };
    let mut mapping = match preset {
        None => Mapping::native(),
        Some(name) => Mapping::preset(name).ok_or_else(|| {
            Failure::Usage(format!("{name:?} is not a preset (write native, or name the columns with --map)"))
        })?,
    };
    if let Some(map) = map {
        mapping = mapping.with_file(map).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let decoder = match args.decoder {
        Decoder::Pages => ScanDecoder::Pages,
        Decoder::Arrow => ScanDecoder::Arrow,
    };
    Ok(Input { paths: args.paths, mapping, mapping_reason, range, io: io(args.io, config), decoder })
}

/// Names the variable that holds the address of a webhook, which the list of processes would show.
const WEBHOOK: &str = "SLOWLEAK_WEBHOOK";

/// Names the PEM file of whom to trust, as OpenSSL and what follows it have it.
const ROOTS: &str = "SSL_CERT_FILE";

fn nightly(args: NightlyArgs, config: ConfigFile) -> Result<Nightly, Failure> {
    let of_file = &config.nightly;
    let removed = args.removed.or(of_file.removed).unwrap_or(Removed::Rebuild);
    let extent = Extent {
        as_of: args.as_of,
        keep_days: args.keep_days.or(of_file.keep_days.map(u32::from)),
        keep_removed: removed == Removed::Keep,
    };
    let of_environment = || std::env::var(WEBHOOK).ok().filter(|url| !url.is_empty());
    let url = args.webhook.or_else(of_environment).or_else(|| of_file.webhook.clone());
    let webhook = url.map(|url| webhook(&url)).transpose()?;
    Ok(Nightly {
        input: log(args.log, TimeRange::default(), &config)?,
        state: args.state,
        extent,
        webhook,
        webhook_severity: args.webhook_severity.or(of_file.webhook_severity).unwrap_or(Severity::High),
        counting: counting(args.view, &config),
        judging: judging(args.judge, config),
    })
}

fn webhook(url: &str) -> Result<Webhook, Failure> {
    let webhook =
        Webhook::new(url).map_err(|cause| Failure::Usage(format!("--webhook: {cause} (correct it)")))?;
    match std::env::var_os(ROOTS).filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(roots) => webhook.trusting(&roots).map_err(|cause| {
            Failure::Usage(format!("{ROOTS} names {}: {cause} (correct or unset it)", roots.display()))
        }),
        None => Ok(webhook),
    }
}

/// The name of the settings that flags and `--config` give.
const DEFAULT: &str = "default";

fn replay(args: ReplayArgs, config: ConfigFile) -> Result<Replay, Failure> {
    let nights = nights(args.from, args.to, args.every)?;
    let mut others: Vec<Variant> = Vec::new();
    for (name, path) in args.settings {
        let other = ConfigFile::read(&path)?;
        let used = name == DEFAULT || others.iter().any(|other| other.name == name);
        let wrong = if used {
            Some("that name is taken (choose another)")
        } else if !other.views.is_empty() || other.window.is_some() {
            Some("what is counted is common to all: it can not have views or a window (take them out)")
        } else if other.preset.is_some() || other.map.is_some() {
            Some("what is read is common to all: it can not have a preset or a map (take it out)")
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return Err(Failure::Usage(format!("--settings {name}={}: {wrong}", path.display())));
        }
        others.push(Variant { name, judging: judging(args.judge.clone(), other) });
    }
    let (input, counting) = (log(args.log, TimeRange::default(), &config)?, counting(args.view, &config));
    let forgets = config.nightly.keep_days.is_some();
    let mut variants = vec![Variant { name: DEFAULT.to_owned(), judging: judging(args.judge, config) }];
    variants.extend(others);
    Ok(Replay { input, out: args.out, nights, forgets, counting, variants })
}

/// The nights from one midnight to another, both included.
fn nights(from: Micros, to: Micros, every: Window) -> Result<Vec<Micros>, Failure> {
    for (flag, time) in [("--from", from), ("--to", to)] {
        if Window::DAY.floor(time) != time {
            return Err(Failure::Usage(format!(
                "{flag} {time} is no midnight, UTC: what is counted can be cut by the day alone (give a date)"
            )));
        }
    }
    if from > to {
        return Err(Failure::Usage(format!(
            "--from {from} is after --to {to}: no night lies between (swap or correct them)"
        )));
    }
    if every < Window::DAY {
        return Err(Failure::Usage(format!("--every {every} is less than a day (give 1d or more)")));
    }
    let steps = (from.0..to.0).step_by(usize::try_from(every.micros()).unwrap_or(usize::MAX));
    Ok(steps.chain([to.0]).map(Micros).collect())
}

fn io(flag: Option<Io>, config: &ConfigFile) -> ScanIo {
    match flag.or(config.io).unwrap_or(Io::Mmap) {
        Io::Mmap => ScanIo::Mmap,
        Io::Read => ScanIo::Read,
    }
}

fn counting(args: ViewArgs, config: &ConfigFile) -> Counting {
    let chosen = !args.views.is_empty() || (args.window.is_none() && !config.views.is_empty());
    let window = args.window.or(config.window).unwrap_or(Window::HOUR);
    Counting {
        views: merged(views(args.views, args.window, config).into_iter().chain(args.also)),
        regions: (!chosen).then_some(window),
        strict: args.strict || config.strict,
        profile: args.profile,
        memory: memory(args.memory, config),
    }
}

/// The threads that a job's memory has room for, of those asked for or of one a core; and the reason if they are fewer.
fn served(asked: Option<usize>, job: &Job) -> (Option<usize>, Option<String>) {
    let counting = match job {
        Job::Demo(demo) => &demo.counting,
        Job::Scan(scan) => &scan.counting,
        Job::Rollup(rollup) => &rollup.counting,
        Job::Nightly(nightly) => &nightly.counting,
        Job::Replay(replay) => &replay.counting,
        _ => return (asked, None),
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let (wanted, served) = (asked.unwrap_or_else(cores), Memory::threads(counting.memory));
    if wanted <= served {
        return (asked, None);
    }
    let limit = ByteSize(counting.memory as u64).display().iec();
    let enough = ByteSize(Memory::of_threads(wanted) as u64).display().iec();
    let fewer =
        format!("--memory {limit} serves {served} of {wanted} threads (give {enough} for all of them)");
    (Some(served), Some(fewer))
}

fn memory(flag: Option<ByteSize>, config: &ConfigFile) -> usize {
    let memory = flag.or(config.memory).unwrap_or(DEFAULT_MEMORY);
    usize::try_from(memory.as_u64()).unwrap_or(usize::MAX)
}

/// The views to count: those of the flags, else of the config file, else the defaults with `window` in
/// place of the hour. A window flag wins over the config file's views.
fn views(flags: Vec<View>, window: Option<Window>, config: &ConfigFile) -> Vec<View> {
    let named = if flags.is_empty() && window.is_none() { config.views.clone() } else { flags };
    if !named.is_empty() {
        return merged(named);
    }
    let window = window.or(config.window).unwrap_or(Window::HOUR);
    merged(View::defaults().into_iter().map(|mut view| {
        if view.window == Window::HOUR {
            view.window = window;
        }
        view
    }))
}

/// One view a dimension and window, with the metrics of all: two would share a folder in the store.
fn merged(views: impl IntoIterator<Item = View>) -> Vec<View> {
    let mut merged: Vec<View> = Vec::new();
    for view in views {
        let same = |other: &&mut View| (&other.dimension, other.window) == (&view.dimension, view.window);
        match merged.iter_mut().find(same) {
            Some(other) => {
                let metrics: Vec<Metric> = other.metrics().iter().chain(view.metrics()).copied().collect();
                *other = View::new(view.dimension, view.window, metrics);
            }
            None => merged.push(view),
        }
    }
    merged.sort();
    merged
}

fn judging(args: JudgeArgs, config: ConfigFile) -> Judging {
    Judging {
        config: config.detect,
        keys: args.keys.or(config.keys),
        people: args.people.or(config.people),
        issued: args.issued.or(config.issued),
        suppressions: config.suppress.into_iter().map(|Checked(suppression)| suppression).collect(),
        show_suppressed: args.show_suppressed,
        fail_on: args.fail_on.or(config.fail_on),
    }
}

#[cfg(test)]
mod tests;
