//! Variables and secrets of the environment, one at a time; every error names the one it is about.

use alloy_primitives::Address;
use std::str::FromStr;
use worker::Env;

/// Why the deployment can't serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub(crate) struct ConfigError {
    /// The variable or secret.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl ConfigError {
    /// A setting that can't be used.
    pub(crate) fn new(name: &'static str, reason: impl ToString) -> Self {
        let reason = reason.to_string();
        Self { name, reason }
    }
}

/// Where the settings are read from. Secrets and variables are read alike: both are strings.
pub(crate) struct Settings<'a>(&'a dyn Fn(&str) -> Option<String>);

/// Reads the Worker's own settings with `work`.
pub(crate) fn with<T>(env: &Env, work: impl FnOnce(&Settings) -> T) -> T {
    work(&Settings(&|name| {
        env.var(name).ok().map(|value| value.to_string())
    }))
}

impl<'a> Settings<'a> {
    /// Settings of another source.
    #[cfg(test)]
    pub(crate) fn of(read: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(read)
    }

    /// A setting without the white space around it; one that is empty counts as not set.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = (self.0)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A setting that there must be. @param expected what it is
    pub(crate) fn need(&self, name: &'static str, expected: &str) -> Result<String, ConfigError> {
        let text = self.text(name);
        text.ok_or_else(|| ConfigError::new(name, format!("not set: expected {expected}")))
    }

    /// A setting of another type, if it is set.
    pub(crate) fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, ConfigError> {
        let parsed = self.text(name).map(|text| text.parse()).transpose();
        parsed.map_err(|_| ConfigError::new(name, format!("expected {expected}")))
    }

    /// A number, or the one that holds when it is not set.
    pub(crate) fn number(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        Ok(self.parsed(name, "a decimal number")?.unwrap_or(default))
    }

    /// What stands between a setting's commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    /// A list of addresses.
    pub(crate) fn addresses(&self, name: &'static str) -> Result<Vec<Address>, ConfigError> {
        let addresses = self.list(name);
        let addresses = addresses
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>();
        let expected = "expected addresses, 0x and 40 digits, with commas between";
        addresses.map_err(|_| ConfigError::new(name, expected))
    }

    /// A list of URLs, each with one of these beginnings. @param expected what it is
    pub(crate) fn urls(
        &self,
        name: &'static str,
        beginnings: &[&str],
        expected: &str,
    ) -> Result<Vec<String>, ConfigError> {
        let urls = self.list(name);
        let fits = |url: &String| beginnings.iter().any(|beginning| url.starts_with(beginning));
        match urls.iter().all(fits) {
            true => Ok(urls),
            false => Err(ConfigError::new(name, format!("expected {expected}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Option<String> {
        let value = match name {
            "EMPTY" => " ",
            "NUMBER" => " 12\n",
            "WORD" => "twelve",
            "URLS" => "http://a , ,https://b,",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn what_is_empty_is_not_set() {
        let settings = Settings::of(&read);
        assert_eq!((settings.text("EMPTY"), settings.text("OTHER")), (None, None));
        let error = settings.need("EMPTY", "a word").unwrap_err();
        assert_eq!(error.to_string(), "EMPTY: not set: expected a word");
    }

    #[test]
    fn numbers_have_defaults_and_say_what_they_should_be() {
        let settings = Settings::of(&read);
        assert_eq!(
            (settings.number("NUMBER", 1), settings.number("OTHER", 1)),
            (Ok(12), Ok(1))
        );
        let error = settings.number("WORD", 1).unwrap_err();
        assert_eq!(error.to_string(), "WORD: expected a decimal number");
    }

    #[test]
    fn lists_stand_between_commas_and_urls_begin_as_they_should() {
        let settings = Settings::of(&read);
        let both = ["http://", "https://"];
        assert_eq!(settings.list("URLS"), ["http://a", "https://b"]);
        assert_eq!(settings.urls("OTHER", &both, "URLs"), Ok(Vec::new()));
        assert_eq!(settings.urls("URLS", &both, "URLs").map(|urls| urls.len()), Ok(2));
        let error = settings.urls("URLS", &both[..1], "URLs").unwrap_err();
        assert_eq!(error.to_string(), "URLS: expected URLs");
    }
}
