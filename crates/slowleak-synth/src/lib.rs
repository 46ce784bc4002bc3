//! Labelled synthetic access logs: from a scenario file to Parquet files in the native record layout, and the
//! truth about every leak, taken from what was really written.
//!
//! ```
//! use slowleak_synth::{GenerateOptions, Scenario};
//!
//! let scenario = Scenario::parse("[span]\nstart = 2025-03-01\nend = 2025-04-01\n", "short.toml")?;
//! let out = std::env::temp_dir().join(format!("slowleak-synth-doc-{}", std::process::id()));
//! let options = GenerateOptions { rows: Some(5_000), seed: Some(7) };
//! let made = scenario.generate(&out, &options, &|_records| {})?;
//! assert_eq!(made.rows, 5_000);
//! assert!(made.truth.leaks.is_empty() && out.join("logs").is_dir());
//! # std::fs::remove_dir_all(&out).ok();
//! # Ok::<(), slowleak_synth::SynthError>(())
//! ```
//!
//! # How a log comes about
//! A *stream* is one user acting through one key. Each has a share of the traffic, times the day's factors of
//! its key and its user (their life stories: born, retired, growing, on leave, ...), times its group's season in
//! the hour of the week, times a factor that all share (common day, holiday, outage). The sums of these decide how many
//! records each hour gets; their total is exactly what was asked for. Within an hour a record draws its stream from an
//! alias table, then object, account, address, outcome and size from what is known about the stream. Leaked
//! accesses are merged in by time. Chance is addressed by seed, entity and hour, never consumed in sequence across
//! hours, so that files are made in parallel with the same bytes.
//!
//! The bytes depend on the scenario, seed and number of records; on PCG-64-MCG as `rand_pcg` 0.10 has it; on
//! how `parquet` 59 writes numbers and footers; and on the platform's `exp`, `ln` and `tanh`. A log's files are cut by the
//! time a record is *written*; its `time` may lie up to two hours before (`late`), so that a day's file can hold a
//! few records of the day before.
//!
//! # The scenario file
//! Only `[span]` is required; unknown fields are errors.
//!
//! | field | default | meaning |
//! | --- | --- | --- |
//! | `name` | the file's name | name of the scenario |
//! | `rows`, `seed` | 1,000,000, 0 | unless the caller says otherwise |
//! | `event_id` | `false` | write a distinct `event_id` a record |
//! | `files` | `"auto"` | `"daily"`, `"weekly"`; auto is daily from 10,000 records a day, several files a day from 8 million |
//! | `span.start`, `span.end` | required | dates, at midnight UTC; the end is exclusive |
//! | `span.utc_offset_hours` | 0 | local time of seasons, weekends, holidays and duty hours |
//!
//! `[population]`: `subjects` (200,000 accounts), `first_subject` (10,000,000: the first id), `unassigned` (0.2: share of
//! the id space that belongs to nobody), `objects` (40, named ones included), `sources` (8,000 addresses over the span, the
//! leaks' not counted), `home` (`"kr"`), `abroad` (eight regions, most frequent first), `departed` (20 people who left before
//! the span, with their keys properly withdrawn: registries only).
//!
//! `[[group]]`, a peer group; five by default (customer, support, office, service, batch):
//!
//! | field | default | meaning |
//! | --- | --- | --- |
//! | `name`, `share`, `keys`, `users`, `season` | required | season is `office`, `support` (people), `customers`, `service` or `batch`; shares are relative |
//! | `key_zipf`, `user_sigma` | 1, 1 | exponent of the keys' Zipf shares; sigma of the users' log-normal rates |
//! | `cv`, `ar` | by season, 0.6 | spread of a user's own daily factor (a key's is half, 0.15 at most) and its correlation from day to day |
//! | `favourites` | by season | share of accesses to the user's few favourite objects |
//! | `returning`, `working_set` | by season, 300 | share of accesses to accounts of the user's working set, and its typical size |
//! | `members`, `key_logged` | `false`, `true` | the account itself is the `user` (`member-ID`); whether the log shows the key |
//!
//! `[[object]]`, an object with a fixed place: `name`, `share` of the accesses of the `groups` listed (all where absent), `action`
//! (usual operation), `rows` (median of the records returned). All other objects are named `table-NN`.
//!
//! `[life]`, the liveliness; zero switches a feature off:
//!
//! | field | default | meaning |
//! | --- | --- | --- |
//! | `day_cv`, `day_ar` | 0.12, 0.6 | shared log-normal day factor: spread, correlation from day to day |
//! | `holidays`, `holiday_level` | random, 0.3 | local dates, about one a month where absent; level of office traffic (customers rise a little, batch is untouched) |
//! | `sales`, `sales_level` | random, 1.5 | local dates, one in two months where absent; level of customer traffic |
//! | `growing`, `growth` | 0.15, \[0.3, 1.0\] | share of keys and users that grow, and by how much over the span |
//! | `role_changes` | 0.05 | share of people whose level changes once, to between 0.35 and 2.2 of what it was |
//! | `born`, `retired` | 0.1, 0.08 | share of keys and users that appear or disappear within the span |
//! | `leaves_a_year` | 2 | leaves of one to four silent weeks a person |
//! | `part_time`, `irregular` | 0.1, 0.1 | share of people on fixed days, and on random days |
//! | `migrations` | 2 | keys whose traffic and users move to a new key within days to weeks |
//! | `services`, `service_lift` | 1, 0.4 | services born late, and by how much each lifts two existing tables |
//! | `trips`, `foreign`, `roaming` | 0.01, 0.008, 0.15 | share of people's weeks abroad; of customers' accesses from abroad; of people's days on mobile, VPN, hotel |
//! | `address_days` | 35 | days until a home address changes |
//! | `late`, `disorder_seconds` | 0.0002, 2 | share of records up to two hours late; longest ordinary delay |
//! | `outages` | 1 | outages of two to six hours, each with a catch-up |
//! | `null_keys`, `null_users` | 0.001, 0.002 | share of records without |
//! | `denied`, `missing`, `error` | 0.004, 0.006, 0.003 | share of accesses that are refused, hit no account, fail; each stream has better and worse days |
//!
//! `[[leak]]`: `name` (the scenario of `truth.json`), `dimension` (`key`, `user`, `object`, `region`, `source` or several joined by `+`),
//! `credential`, `user`, and one or more `[[leak.phase]]`. The credential is one of
//! - `{ dedicated = { key = "ID", owner = "NAME", owner_left = DATE, issued = DATE } }`, used by nothing else;
//! - `{ shared = { share = 0.16, group = "customer" } }`, the honest key with the nearest share of the traffic in the leak's time;
//! - `"own"`, the key of an insider; `"none"`, not logged.
//!
//! The user is `"of-key"` (the key's own users; default), `"victim"` (`member-ID`), `"null"`, `{ insider = "GROUP" }` (somebody
//! among the busier half of the group), or `{ new = "NAME" }`, who does nothing else. With `copies = 12` the leak is there
//! twelve times, each with another key or person: names get a number, and the truth has twelve entries.
//!
//! | field of a phase | default | meaning |
//! | --- | --- | --- |
//! | `start`, `end` | required | dates or times |
//! | `share`, `lift`, `per_day`, `accesses` | exactly one | share of the whole log's traffic in the phase; multiple of what the shared key or the insider does honestly from `start` to `end`; or a number that does not scale with the log |
//! | `objects` | required without `unused` | `[{ name = "...", weight = 1.0 }]`, each declared by `[[object]]` |
//! | `pattern` | `"once"` | each account once in random order; `"ordered"` by id over and over; `"random"` |
//! | `accounts` | all | only so many accounts are touched |
//! | `misses` | 0 | share of accesses to ids without an account |
//! | `addresses`, `active` | the insider's own, all | pool, and how many are in use at a time while the pool is worked through |
//! | `region` | none | region of the pool, required with one |
//! | `unused` | 0 | so many more objects, alike in weight, that the group of the shared key or insider leaves alone |
//! | `action`, `bulk` | the object's, 1 | operation; records and bytes an access returns, as a multiple of the object's usual ones |
//! | `duty` | always | `{ hours = [22, 6], weekdays = ["sat", "sun"], on_days = 3, off_days = 4, cv = 0.2 }`, local time |
//! | `in_truth` | `true` | whether the phase counts in `truth.json` |
//!
//! The truth's `subjects` are distinct accounts that exist: ids tried in vain are no accounts.

mod batch;
mod calendar;
mod chance;
mod change;
mod check;
mod draw;
mod error;
mod generate;
mod indices;
mod layout;
mod leak;
mod leak_spec;
mod life;
mod log_file;
mod objects;
mod phase;
mod plan;
mod registry;
mod scenario;
mod sources;
mod story;
mod subjects;
mod text_chunk;
mod user;
mod world;

pub use error::SynthError;
pub use generate::{GenerateOptions, Generated};
pub use scenario::Scenario;
