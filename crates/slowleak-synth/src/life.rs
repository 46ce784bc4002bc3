//! How lively the honest background is: the `[life]` table. Every field has a default, so that a short
//! scenario is as restless as a real log; a zero switches a feature off.

use serde::Deserialize;

use crate::scenario::When;

/// Liveliness of the background.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Life {
    /// Coefficient of variation of the day factor that all entities share.
    pub(crate) day_cv: f64,
    /// Its correlation from one day to the next.
    pub(crate) day_ar: f64,
    /// Holidays as local dates; where absent, about one a month at random.
    pub(crate) holidays: Option<Vec<When>>,
    /// Level of office traffic on a holiday.
    pub(crate) holiday_level: f64,
    /// Sales days as local dates; where absent, one every two months at random.
    pub(crate) sales: Option<Vec<When>>,
    /// Level of customer traffic on a sales day.
    pub(crate) sales_level: f64,
    /// Share of the keys and users that grow over the span.
    pub(crate) growing: f64,
    /// Smallest and largest growth over the span.
    pub(crate) growth: (f64, f64),
    /// Share of the people whose level changes once, by a factor between 0.35 and 2.2.
    pub(crate) role_changes: f64,
    /// Share of the keys and users that appear during the span.
    pub(crate) born: f64,
    /// Share of the keys and users that disappear during the span.
    pub(crate) retired: f64,
    /// Leaves of one to four weeks a person takes a year.
    pub(crate) leaves_a_year: f64,
    /// Share of the people who work two or three fixed days a week.
    pub(crate) part_time: f64,
    /// Share of the people who work on some days only, at random.
    pub(crate) irregular: f64,
    /// Keys whose traffic and users move to a new key.
    pub(crate) migrations: u32,
    /// Services born during the span that read two existing tables.
    pub(crate) services: u32,
    /// How much a new service lifts those tables.
    pub(crate) service_lift: f64,
    /// Share of a person's weeks spent abroad.
    pub(crate) trips: f64,
    /// Share of customers' accesses from abroad.
    pub(crate) foreign: f64,
    /// Share of people's days on mobile networks, VPNs and hotels.
    pub(crate) roaming: f64,
    /// Days until a home address changes.
    pub(crate) address_days: f64,
    /// Share of records written up to two hours late.
    pub(crate) late: f64,
    /// Largest ordinary delay between an access and its record, in seconds.
    pub(crate) disorder_seconds: f64,
    /// Outages of two to six hours, each followed by a catch-up.
    pub(crate) outages: u32,
    /// Share of records without a key.
    pub(crate) null_keys: f64,
    /// Share of records without a user.
    pub(crate) null_users: f64,
    /// Share of refused accesses.
    pub(crate) denied: f64,
    /// Share of accesses to accounts that do not exist.
    pub(crate) missing: f64,
    /// Share of accesses that fail otherwise.
    pub(crate) error: f64,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            day_cv: 0.12,
            day_ar: 0.6,
            holidays: None,
            holiday_level: 0.3,
            sales: None,
            sales_level: 1.5,
            growing: 0.15,
            growth: (0.3, 1.0),
            role_changes: 0.05,
            born: 0.1,
            retired: 0.08,
            leaves_a_year: 2.0,
            part_time: 0.1,
            irregular: 0.1,
            migrations: 2,
            services: 1,
            service_lift: 0.4,
            trips: 0.01,
            foreign: 0.008,
            roaming: 0.15,
            address_days: 35.0,
            late: 0.000_2,
            disorder_seconds: 2.0,
            outages: 1,
            null_keys: 0.001,
            null_users: 0.002,
            denied: 0.004,
            missing: 0.006,
            error: 0.003,
        }
    }
}
