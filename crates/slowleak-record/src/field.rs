//! The fields of an access record, and sets of them.

use std::fmt;
use std::str::FromStr;

/// One field of the access record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// When the access happened; required.
    Time,
    /// Id of the credential: access key, token-signing key (kid), session or API key.
    Key,
    /// Principal that acted.
    User,
    /// Origin address or host.
    Source,
    /// Origin region, country or network.
    Region,
    /// Operation.
    Action,
    /// Table, endpoint, bucket or collection.
    Object,
    /// The account whose data was touched.
    Subject,
    /// Records returned.
    Rows,
    /// Bytes returned.
    Bytes,
    /// Outcome: see [`crate::Status`].
    Status,
    /// Id of the event, for removing duplicates.
    EventId,
}

impl Field {
    /// Every field, in the order of the contract.
    pub const ALL: [Self; 12] = [
        Self::Time,
        Self::Key,
        Self::User,
        Self::Source,
        Self::Region,
        Self::Action,
        Self::Object,
        Self::Subject,
        Self::Rows,
        Self::Bytes,
        Self::Status,
        Self::EventId,
    ];

    /// The field's column name in a native file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Key => "key",
            Self::User => "user",
            Self::Source => "source",
            Self::Region => "region",
            Self::Action => "action",
            Self::Object => "object",
            Self::Subject => "subject",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Status => "status",
            Self::EventId => "event_id",
        }
    }

    /// Position in [`Field::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the field can name an entity, alone or as a part of a compound.
    pub const fn is_dimension(self) -> bool {
        matches!(
            self,
            Self::Key
                | Self::User
                | Self::Source
                | Self::Region
                | Self::Action
                | Self::Object
                | Self::Subject
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|field| field.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|field| field.name()).collect();
            format!("unknown field {text:?}; the fields are {}", names.join(", "))
        })
    }
}

/// A set of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FieldSet(u16);

impl FieldSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Adds a field.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | 1 << field.index())
    }

    /// Whether the set holds `field`.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & 1 << field.index() != 0
    }

    /// The fields that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The fields in the contract's order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| self.contains(*field))
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        fields.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_order_is_the_index() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field.index(), index);
            assert_eq!(field.name().parse::<Field>(), Ok(field));
        }
        assert!("kid".parse::<Field>().is_err());
    }

    #[test]
    fn set_iterates_in_contract_order() {
        let set: FieldSet = [Field::User, Field::Time].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [Field::Time, Field::User]);
        assert!(!set.contains(Field::Key));
    }
}
