//! What is known from outside the log: keys, people, and what was issued. In: the files that the user named. Out: an
//! [`Outside`], which also says what has to be counted so that all of it can be judged.

use slowleak_detect::Issues;
use slowleak_record::{Field, InputError, IssuedList, Registry, Window};
use slowleak_rollup::{DayTable, Dimension, Metric, View};

use crate::failure::Failure;
use crate::settings::{Counting, Judging};
use crate::terminal::{count, warn};

/// See the module.
#[derive(Debug)]
pub(crate) struct Outside {
    /// Keys and people.
    pub(crate) registry: Registry,
    /// What was issued; its rows stay in the file.
    pub(crate) issued: Option<IssuedList>,
}

impl Outside {
    /// Reads the registries and checks the list of issues; before anything is counted, so that a mistake in them costs
    /// no time.
    ///
    /// # Errors
    /// A file can not be used.
    pub(crate) fn read(judging: &Judging) -> Result<Self, Failure> {
        let mut registry = Registry::default();
        if let Some(keys) = &judging.keys {
            registry.read_keys(keys)?;
        }
        if let Some(people) = &judging.people {
            registry.read_people(people)?;
        }
        if let (None, Some(people)) = (&judging.keys, &judging.people) {
            let cause = "without --keys nobody knows who owns which key, so no key is judged by its owner's departure";
            warn(&InputError::new(people, cause).remedy("add --keys").to_string());
        }
        let issued = judging.issued.as_deref().map(IssuedList::open).transpose()?;
        Ok(Self { registry, issued })
    }

    /// What to count: where the user left that to us and a key may be used from some regions only, also from which
    /// regions keys were used, and how many accounts were touched from each.
    pub(crate) fn counting(&self, counting: &Counting) -> Counting {
        let mut counting = counting.clone();
        if let Some(window) = counting.regions.filter(|_| self.registry.has_regions())
            && let Ok(dimension) = Dimension::new([Field::Key, Field::Region])
        {
            let subjects = View::new(dimension.clone(), Window::DAY, [Metric::Subjects]);
            counting.views.push(subjects);
            if window < Window::DAY {
                counting.views.push(View::new(dimension, window, []));
            }
            counting.views.sort();
        }
        counting
    }

    /// What the log's keys have on the list of issues; `None` where there is no list. Says what can not be judged by it.
    ///
    /// # Errors
    /// The list can not be read any more.
    pub(crate) fn issues<'a>(&self, days: &'a [DayTable]) -> Result<Option<Issues<'a>>, Failure> {
        let Some(list) = &self.issued else { return Ok(None) };
        let told = |cause: &str, remedy: &str| {
            warn(&InputError::new(list.path(), cause).remedy(remedy).to_string());
        };
        let Some(mut issues) = Issues::new(days, list.begins, list.names_users) else {
            told("nothing is judged by what was issued", "count by key, too: add --view key@1h:events");
            return Ok(None);
        };
        list.each(|issue| issues.issue(issue.key, issue.user, issue.at))?;
        if !issues.knows_the_log() {
            told(
                "no key of the log is on the list, so nothing is judged by it",
                "check that keys are written as the log writes them",
            );
            return Ok(None);
        }
        if list.names_users && !issues.judges_pairs() {
            let cause = "keys are not judged by whom they were issued to";
            told(cause, "count by both, too: add --view key+user@1d:events");
        }
        let older = issues.older_keys();
        if older > 0 {
            let of = count(issues.keys() as u64, "key", "keys");
            let begins = list.begins;
            let cause = format!(
                "{older} of {of} in the log are not judged by it: in use before it begins ({begins})"
            );
            told(&cause, "list what was issued earlier, too");
        }
        Ok(Some(issues))
    }
}
