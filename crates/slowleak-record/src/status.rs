//! The outcome of an access.

/// Outcome of an access; a null status means [`Status::Ok`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Status {
    /// The access was served.
    #[default]
    Ok,
    /// The access was refused.
    Denied,
    /// The subject does not exist.
    Missing,
    /// Anything else went wrong.
    Error,
}

impl Status {
    /// Reads the four words of the contract; anything else is `None`, which the scan counts.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "ok" => Some(Self::Ok),
            "denied" => Some(Self::Denied),
            "missing" => Some(Self::Missing),
            "error" => Some(Self::Error),
            _ => None,
        }
    }

    /// The word of the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Error => "error",
        }
    }
}
