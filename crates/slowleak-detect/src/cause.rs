//! Honest causes of a rise: what the finer views say about who carries it.

pub(crate) mod attribution;
pub(crate) mod carriers;

use slowleak_record::Field;

use crate::leak::wording;

/// The honest cause of an excess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Keys or users that first appeared with the rise carry it, and nothing is known against them; the
    /// largest first.
    Newcomers { by: Field, names: Vec<String> },
    /// A few persons or keys carry it, and did nothing unusual as a whole; the largest first.
    Carried { by: Field, carriers: Vec<Carrier> },
    /// The same people or sources left another key by as much.
    Migration { from: String },
    /// The entity bursts like this now and then: so often in the log.
    Habit { times: usize },
    /// So many entities of the view rose as much that it is more likely a custom.
    Common { count: usize },
}

/// Who carries an excess, with all its events in those days, and how many are usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carrier {
    pub(crate) name: String,
    pub(crate) did: u64,
    pub(crate) usual: u64,
}

impl Cause {
    /// The cause in words, to end a sentence.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Newcomers { by, names } if names.len() == 1 => {
                format!("explained by the new {by} {}", names[0])
            }
            Self::Newcomers { by, names } => {
                format!("explained by {} new {by}s, {} the largest", names.len(), names[0])
            }
            Self::Carried { by, carriers } => {
                let one = |Carrier { name, did, usual }: &Carrier| {
                    let (did, usual) = (wording::count(*did as f64), wording::count(*usual as f64));
                    format!("{by} {name} ({did} accesses in all on the days of the rise, {usual} expected)")
                };
                let all: Vec<String> = carriers.iter().map(one).collect();
                format!("explained by {}: within what a {by} does at times", all.join(" and "))
            }
            Self::Habit { times } => format!("it does so now and then: {times} times in the log"),
            Self::Common { count } => {
                format!("{count} of its kind rose as much: a custom, or more than one leak")
            }
            Self::Migration { from } => format!("explained by traffic that moved here from key {from}"),
        }
    }
}
