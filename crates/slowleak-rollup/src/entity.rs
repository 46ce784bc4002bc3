//! Names of compound entities: parts joined by ` + `, so that they can be taken apart again.

use std::borrow::Cow;

use crate::Dimension;

impl Dimension {
    /// The entity of these parts: a single part as it is, several joined by [`Dimension::JOINER`].
    ///
    /// A part of a compound that itself holds a lone plus sign between spaces (or at its ends) would read
    /// like a joiner: that plus is written `\+`, and a lone `\+` is written `\\+`, and so on. Every other
    /// name, `a+b@example.org` among them, stays as it is.
    ///
    /// ```
    /// use slowleak_rollup::Dimension;
    ///
    /// let dimension: Dimension = "key+source".parse().unwrap();
    /// assert_eq!(dimension.join(["kid-7", "10.0.0.1"]), "kid-7 + 10.0.0.1");
    /// assert_eq!(dimension.join(["a + b", "c"]), r"a \+ b + c");
    /// assert_eq!(dimension.split(r"a \+ b + c"), ["a + b", "c"]);
    /// ```
    pub fn join<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> String {
        let mut entity = String::new();
        let compound = self.parts().len() > 1;
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                entity.push_str(Self::JOINER);
            }
            entity.push_str(&if compound { Self::escaped(part) } else { Cow::Borrowed(part) });
        }
        entity
    }

    /// A part as it stands in a compound.
    pub(crate) fn escaped(part: &str) -> Cow<'_, str> {
        if !part.split(' ').any(is_plus) {
            return Cow::Borrowed(part);
        }
        let word = |word: &str| if is_plus(word) { format!("\\{word}") } else { word.to_owned() };
        Cow::Owned(part.split(' ').map(word).collect::<Vec<_>>().join(" "))
    }

    /// The parts of an entity that [`Dimension::join`] made. Of one that it did not make, with too many
    /// joiners, the last part takes the rest; with too few there are fewer parts.
    pub fn split(&self, entity: &str) -> Vec<String> {
        let count = self.parts().len();
        if count == 1 {
            return vec![entity.to_owned()];
        }
        let mut parts = vec![String::new()];
        let mut first = true;
        for word in entity.split(' ') {
            if word == "+" && parts.len() < count {
                parts.push(String::new());
                first = true;
                continue;
            }
            let Some(part) = parts.last_mut() else { continue };
            if !std::mem::take(&mut first) {
                part.push(' ');
            }
            let escaped = word.starts_with('\\') && is_plus(word);
            part.push_str(if escaped { &word[1..] } else { word });
        }
        parts
    }
}

/// A plus sign behind any number of backslashes.
fn is_plus(word: &str) -> bool {
    word.strip_suffix('+').is_some_and(|rest| rest.bytes().all(|byte| byte == b'\\'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joined_parts_come_apart_again(parts in proptest::collection::vec(r"[ab+\\ ]{0,8}", 2..=3)) {
            let text = if parts.len() == 2 { "key+source" } else { "key+source+object" };
            let dimension: Dimension = text.parse().unwrap();
            let entity = dimension.join(parts.iter().map(String::as_str));
            prop_assert_eq!(dimension.split(&entity), parts);
        }
    }

    #[test]
    fn foreign_entities_do_not_lose_text() {
        let dimension: Dimension = "key+source".parse().unwrap();
        assert_eq!(dimension.split("a"), ["a"]);
        assert_eq!(dimension.split("a + b + c"), ["a", "b + c"]);
        let single: Dimension = "key".parse().unwrap();
        assert_eq!(single.join(["a + b"]), "a + b");
        assert_eq!(single.split("a + b"), ["a + b"]);
    }
}
