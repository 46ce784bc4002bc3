//! Views: what is counted, by whom and over which window; written `key+source@1h:events,rows`.

use std::fmt;
use std::str::FromStr;

use slowleak_record::{Field, Window};
use thiserror::Error;

/// The word for [`Dimension::LOG`].
const LOG: &str = "log";

/// What an entity of a view is: one field, or a compound of up to [`Dimension::MAX_PARTS`] fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dimension(Vec<Field>);

impl Dimension {
    /// The largest number of parts in a compound.
    pub const MAX_PARTS: usize = 3;

    /// The log as a whole: no field. What is said of it is about the records, and not about who did something; it has no
    /// view, and its entity is the empty text.
    pub const LOG: Self = Self(Vec::new());

    /// What joins the parts of a compound's entity.
    pub const JOINER: &str = " + ";

    /// The dimension of one field.
    ///
    /// # Errors
    /// The field names no entity (a time, a count, a status), or there are none, too many or repeated ones.
    pub fn new(parts: impl IntoIterator<Item = Field>) -> Result<Self, ViewError> {
        let parts: Vec<Field> = parts.into_iter().collect();
        let repeated = parts.iter().enumerate().any(|(i, part)| parts[..i].contains(part));
        if parts.is_empty() || parts.len() > Self::MAX_PARTS || repeated {
            return Err(ViewError(format!("a dimension has 1 to {} different fields", Self::MAX_PARTS)));
        }
        match parts.iter().find(|part| !part.is_dimension()) {
            Some(part) => Err(ViewError(format!("{part:?} can not name an entity", part = part.name()))),
            None => Ok(Self(parts)),
        }
    }

    /// The fields, in the order of the entity's parts.
    pub fn parts(&self) -> &[Field] {
        &self.0
    }
}

impl From<Field> for Dimension {
    fn from(field: Field) -> Self {
        Self(vec![field])
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LOG {
            return f.write_str(LOG);
        }
        for (index, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if index == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

impl FromStr for Dimension {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<Self, ViewError> {
        if text == LOG {
            return Ok(Self::LOG);
        }
        let parts: Result<Vec<Field>, String> = text.split('+').map(|part| part.trim().parse()).collect();
        Self::new(parts.map_err(ViewError)?)
    }
}

/// A figure that a cell holds, or that is told from several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Metric {
    /// Accesses; every cell has it.
    Events,
    /// Records returned.
    Rows,
    /// Bytes returned.
    Bytes,
    /// Accesses with status `denied`.
    Denied,
    /// Accesses with status `missing`.
    Missing,
    /// Accesses with status `error`.
    Error,
    /// Distinct sources, exact.
    Sources,
    /// Distinct subjects, sketched.
    Subjects,
    /// Distinct blocks of subjects with consecutive numbers ([`slowleak_scan::block_hash`]), sketched.
    Blocks,
    /// Objects that an entity never used before. No cell holds it: it is told from when each pair was first seen.
    NewObjects,
    /// Distinct subjects beyond one in each block. No cell holds it: it is told from subjects and blocks.
    Neighbours,
}

impl Metric {
    /// Every metric of cells, in column order.
    pub const ALL: [Self; 9] = [
        Self::Events,
        Self::Rows,
        Self::Bytes,
        Self::Denied,
        Self::Missing,
        Self::Error,
        Self::Sources,
        Self::Subjects,
        Self::Blocks,
    ];

    /// The column's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Error => "error",
            Self::Sources => "sources",
            Self::Subjects => "subjects",
            Self::Blocks => "blocks",
            Self::NewObjects => "new_objects",
            Self::Neighbours => "neighbours",
        }
    }

    /// The column that holds the sketches of a metric beside its estimates; `None` where it is counted.
    pub const fn sketch_column(self) -> Option<&'static str> {
        match self {
            Self::Subjects => Some("subjects_sketch"),
            Self::Blocks => Some("blocks_sketch"),
            _ => None,
        }
    }

    /// The optional field whose column the metric needs; `None` for events.
    pub const fn needs(self) -> Option<Field> {
        match self {
            Self::Events => None,
            Self::Rows => Some(Field::Rows),
            Self::Bytes => Some(Field::Bytes),
            Self::Denied | Self::Missing | Self::Error => Some(Field::Status),
            Self::Sources => Some(Field::Source),
            Self::Subjects | Self::Blocks | Self::Neighbours => Some(Field::Subject),
            Self::NewObjects => Some(Field::Object),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<Self, ViewError> {
        let mut known = Self::ALL.into_iter().chain([Self::NewObjects, Self::Neighbours]);
        known.find(|metric| metric.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|metric| metric.name()).collect();
            ViewError(format!("unknown metric {text:?}; the metrics are {}", names.join(", ")))
        })
    }
}

/// A table of the rollup: dimension, window and metrics (sorted, always with [`Metric::Events`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct View {
    /// What an entity is.
    pub dimension: Dimension,
    /// Length of a window.
    pub window: Window,
    metrics: Vec<Metric>,
}

impl View {
    /// A view of the given metrics; events are added where they are not named.
    pub fn new(dimension: Dimension, window: Window, metrics: impl IntoIterator<Item = Metric>) -> Self {
        let mut metrics: Vec<Metric> = metrics.into_iter().chain([Metric::Events]).collect();
        metrics.sort_unstable();
        metrics.dedup();
        Self { dimension, window, metrics }
    }

    /// The metrics in column order; the first is always events.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Name of the view's folder in the rollup store: `DIMENSION@WINDOW`.
    pub fn folder(&self) -> String {
        format!("{}@{}", self.dimension, self.window)
    }

    /// The views that a run computes unless told otherwise: five dimensions per hour; who used which key
    /// per day and which object per week, to tell migrations and newcomers from theft; which actions a user
    /// takes, to see work that is not theirs; what is touched from which source per week, to tell what a new
    /// source is for; distinct subjects per day; and their distinct
    /// blocks, to see accounts visited by number.
    pub fn defaults() -> Vec<Self> {
        use Field::{Action, Key, Object, Source, User};
        use Metric::{Blocks, Bytes, Denied, Error, Missing, Rows, Subjects};
        let view = |parts: &[Field], window, metrics: &[Metric]| {
            Self::new(Dimension(parts.to_vec()), window, metrics.iter().copied())
        };
        let counts = &[Rows, Bytes, Denied, Missing, Error];
        vec![
            view(&[Key], Window::HOUR, counts),
            view(&[User], Window::HOUR, counts),
            view(&[Object], Window::HOUR, counts),
            view(&[Key, Source], Window::HOUR, counts),
            view(&[Key, Object], Window::HOUR, counts),
            view(&[Key, User], Window::DAY, &[]),
            view(&[User, Object], Window::WEEK, &[]),
            view(&[User, Action], Window::DAY, &[]),
            view(&[Source, Object], Window::WEEK, &[]),
            view(&[Key], Window::DAY, &[Subjects, Blocks]),
            view(&[User], Window::DAY, &[Subjects]),
            view(&[Object], Window::DAY, &[Subjects, Blocks]),
            view(&[Key, Object], Window::DAY, &[Subjects]),
        ]
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:", self.dimension, self.window)?;
        for (index, metric) in self.metrics.iter().enumerate() {
            write!(f, "{}{metric}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for View {
    type Err = ViewError;

    fn from_str(text: &str) -> Result<Self, ViewError> {
        let shape = || {
            ViewError(format!(
                "{text:?} is not a view: write DIMENSION@WINDOW:METRIC,... as in key@1h:events,rows"
            ))
        };
        let (dimension, rest) = text.split_once('@').ok_or_else(shape)?;
        let (window, metrics) = rest.split_once(':').ok_or_else(shape)?;
        let window = window.parse().map_err(|error| ViewError(format!("{error}")))?;
        let metric = |text: &str| {
            let metric: Metric = text.parse()?;
            let held = Metric::ALL.contains(&metric);
            held.then_some(metric)
                .ok_or_else(|| ViewError(format!("{metric} is told from other views, and in none")))
        };
        let metrics: Result<Vec<Metric>, _> = metrics.split(',').map(|text| metric(text.trim())).collect();
        let dimension: Dimension = dimension.parse()?;
        if dimension == Dimension::LOG {
            return Err(ViewError("the log as a whole is told from other views, and has none".to_owned()));
        }
        Ok(Self::new(dimension, window, metrics?))
    }
}

/// A view, dimension or metric that can not be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ViewError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_always_counts_events() {
        let view: View = "key+source@1d:subjects".parse().unwrap();
        assert_eq!(view.to_string(), "key+source@1d:events,subjects");
        assert_eq!(view.folder(), "key+source@1d");
        assert_eq!(view.to_string().parse(), Ok(view));
        for view in View::defaults() {
            assert_eq!(view.to_string().parse(), Ok(view));
        }
    }

    #[test]
    fn the_log_as_a_whole_has_a_name_and_no_view() {
        assert_eq!(Dimension::LOG.to_string().parse(), Ok(Dimension::LOG));
        assert!(Dimension::LOG.parts().is_empty() && Dimension::new([]).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        for text in [
            "key",
            "key@1h",
            "kid@1h:events",
            "key+key@1h:events",
            "rows@1h:events",
            "key@7h:events",
            "key@1h:event",
            "key@1h:new_objects",
            "key@1h:neighbours",
            "log@1h:events",
        ] {
            assert!(text.parse::<View>().is_err(), "{text}");
        }
    }
}
