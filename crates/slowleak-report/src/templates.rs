//! Pages and pictures from templates. Whatever goes into one is escaped, whatever the name of the template ends in.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

/// The template `text`, called `name` in errors, filled with `content`.
pub(crate) fn render(name: &str, text: &str, content: impl Serialize) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.render_named_str(name, text, Serde(content))
}
